//! Customers: persons, companies and government bodies, with their profiles, identities, contact points,
//! relations and history.

pub mod contact_point;
pub mod create;
pub mod customer;
pub mod feed;
pub mod history;
pub mod identity;
pub mod number;
pub mod present;
pub mod profile;
pub mod quality;
pub mod rules;
pub mod scope;
pub mod source_record;
pub mod update;

pub use customer::{Customer, CustomerId, CustomerKind, CustomerRow, CustomerStatus, LifeCycleStage};
pub use scope::{require, set_owner, visible_to};
