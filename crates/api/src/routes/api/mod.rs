//! Operations of the API itself: tokens, machine clients, jobs.

pub mod client;
pub mod job;
pub mod oauth;
