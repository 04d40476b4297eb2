//! `/v1/customers` and what belongs to a customer.

pub mod attribute;
pub mod consent;
pub mod contact_person;
pub mod contact_point;
pub mod customer;
pub mod identity;
pub mod matching;
pub mod merge;
pub mod privacy;
pub mod quality;
pub mod record;
pub mod relation;
pub mod tag;
pub mod timeline;
pub mod view;
