//! Operations of the API itself: tokens, machine clients, events, jobs.

pub mod client;
pub mod event;
pub mod job;
pub mod oauth;
