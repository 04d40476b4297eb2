//! Matching in the bank: what is compared of a customer, the keys under which customers meet, and the work queue.

pub(crate) mod band;
mod base;
pub mod candidate;
pub mod changes;
pub mod decision;
mod engine;
mod explain;
pub(crate) mod facts;
mod find;
pub mod group;
mod input;
pub(crate) mod keys;
pub mod parameters;
mod probe;
pub(crate) mod queue;
pub mod run;
mod stale;

pub use band::{MatchBand, MatchReason};
pub use explain::{MatchExplanation, MatchStep, explain};
pub use facts::MatchSubject;
pub(crate) use find::{Fresh, guard};
pub use find::{find, find_for};
pub use input::{CustomerMatch, CustomerMatches, MatchAddress, MatchFacts, MatchIdentity, MatchPartner};
