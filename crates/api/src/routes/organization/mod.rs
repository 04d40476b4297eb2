//! Operations of the organization crate.

pub mod access;
pub mod assignment;
pub mod branch;
pub mod role;
pub mod staff;
pub mod team;
