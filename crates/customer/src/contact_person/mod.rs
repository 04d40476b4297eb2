//! Contact persons: people whom the bank knows in companies, a pool that is independent of any one company.

pub mod employment;
pub mod end;
pub mod input;
pub mod list;
pub mod person;
pub mod relation;
mod sight;

pub use employment::{Employment, EmploymentId};
pub use list::CustomerContactPerson;
pub use person::{ContactPerson, ContactPersonId};
pub use relation::{ContactPersonRelation, ContactPersonRelationId};
