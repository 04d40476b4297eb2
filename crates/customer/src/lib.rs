//! Customers: persons, companies and government bodies, with their profiles, identities, contact points,
//! relations and history.

pub mod attribute;
pub mod belonging;
pub mod consent;
pub mod contact_person;
pub mod contact_point;
mod control;
pub mod create;
pub mod customer;
pub mod facts;
pub mod feed;
pub mod graph;
mod history;
pub mod identity;
pub mod index;
pub mod list;
pub mod lookup;
pub mod matching;
pub mod merge;
pub mod number;
mod ownership;
pub mod past;
pub mod present;
pub mod privacy;
pub mod profile;
pub mod quality;
pub mod relation;
pub mod review;
pub mod rule;
pub mod rules;
pub mod scope;
pub mod search;
pub mod sight;
pub mod source_record;
pub mod tag;
pub mod timeline;
pub mod transition;
pub mod tree;
pub mod update;
pub mod value;
pub mod view;

pub use belonging::BELONGINGS;
pub use customer::{Customer, CustomerId, CustomerKind, CustomerRow, CustomerStatus, LifeCycleStage};
pub use scope::{of_visible, require, set_owner, visible_to};
pub use view::CustomerAlert;
