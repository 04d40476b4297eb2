//! The bank's own structure: branches, staff, teams, roles, and who looks after whom.

pub mod branch;
