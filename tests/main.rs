//! Tests of Kehu through its API, every one on SQLite and on PostgreSQL.

mod support;

mod auth;
mod branch;
mod client;
mod event;
mod idempotency;
mod job;
mod rules;
mod transport;
