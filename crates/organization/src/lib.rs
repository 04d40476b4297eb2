//! The bank's own structure: branches, staff, teams, roles, and who looks after whom.

pub mod access;
pub mod actor;
pub mod assignment;
mod belonging;
pub mod branch;
mod check;
pub mod feed;
pub mod portfolio;
pub mod role;
pub mod rule;
pub mod staff;
pub mod team;

pub use belonging::{BELONGINGS, BEYOND};
