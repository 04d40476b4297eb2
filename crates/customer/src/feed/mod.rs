//! What sources tell about customers, in batches: idempotent, and no record stops the others.
//!
//! A record is the same as before when its keyed content hash is; a source that does not name a field
//! says nothing about it. Values of a source with a lower precedence are kept in the history, but do
//! not replace those of a higher one.

mod contact_point;
mod customer;
mod foresee;
mod identity;
mod known;
mod relation;
pub mod retraction;

pub use contact_point::ContactPointRecord;
pub use customer::CustomerRecord;
pub use foresee::RecordMatch;
pub use identity::IdentityRecord;
pub use relation::RelationRecord;

/// The feed of contact points.
pub mod contact_points {
    pub use super::contact_point::apply;
}

/// The feed of customers.
pub mod customers {
    pub use super::{customer::apply, foresee::foresee};
}

/// The feed of identities.
pub mod identities {
    pub use super::identity::apply;
}

/// The feed of relations.
pub mod relations {
    pub use super::relation::apply;
}

/// Code of the refusal of a record whose customer was erased.
pub const ERASED: &str = "erased";

/// What becomes of a record of a customer that was erased.
#[must_use]
pub fn refused_as_erased(pointer: &str) -> kehu_kernel::feed::Outcome {
    known::erased(pointer)
}

/// Class of attributes under which sources give the precedence of profile values.
pub const PROFILE: &str = "profile";
