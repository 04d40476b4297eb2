//! Tests of Kehu through its API, every one on SQLite and on PostgreSQL.

mod support;

mod access;
mod account;
mod account_link;
mod assignment;
mod auth;
mod berka;
mod branch;
mod client;
mod customer;
mod customer_feed;
mod customer_identity;
mod customer_privacy;
mod customer_quality;
mod customer_relation;
mod customer_timeline;
mod customer_view;
mod demo;
mod event;
mod idempotency;
mod import;
mod import_kill;
mod import_rules;
mod job;
mod organization_feed;
mod process;
mod product;
mod role;
mod rules;
mod sight;
mod staff;
mod store;
mod team;
mod transaction;
mod transport;
