//! Tags: a library of domains and definitions, and what is tagged on customers.

pub mod customer_tag;
pub mod definition;
pub mod domain;
pub mod list;

pub use customer_tag::{CustomerTag, CustomerTagId};
pub use definition::{Tag, TagId};
pub use domain::{TagDomain, TagDomainId, seed};
