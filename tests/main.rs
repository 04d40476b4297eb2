//! Tests of Kehu through its API, every one on SQLite and on PostgreSQL.

mod support;

mod branch;
mod event;
mod rules;
