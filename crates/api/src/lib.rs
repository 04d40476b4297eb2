//! Kehu over HTTP, and the `kehu` program. Nothing below this crate knows HTTP.

pub mod cli;
pub mod events;
pub mod extract;
pub mod gate;
pub mod openapi;
pub mod problem;
pub mod reply;
pub mod routes;
pub mod sealed;
pub mod server;
