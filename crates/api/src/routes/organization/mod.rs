//! Operations of the organization crate.

pub mod branch;
