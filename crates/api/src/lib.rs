//! Kehu over HTTP, and the `kehu` program. Nothing below this crate knows HTTP.

pub mod auth;
pub mod belonging;
pub mod caller;
pub mod cli;
pub mod client;
pub mod demo;
pub mod docs;
pub mod events;
pub mod extract;
pub mod gate;
pub mod health;
pub mod idempotency;
pub mod logging;
pub mod metrics;
pub mod openapi;
pub mod problem;
pub mod rate;
pub mod reply;
pub mod routes;
pub mod sealed;
pub mod server;
pub mod settings;
pub mod time_limit;
pub mod tls;
pub mod trace;
pub mod worker;
