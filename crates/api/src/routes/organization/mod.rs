//! Operations of the organization crate.

pub mod access;
pub mod branch;
pub mod role;
pub mod staff;
pub mod team;
