//! Operations of the API itself: tokens, machine clients, events, webhooks, jobs.

pub mod client;
pub mod event;
pub mod job;
pub mod oauth;
pub mod webhook;
