//! Custom attributes: fields that the bank adds to its customers, and their values.

pub mod custom;
pub mod definition;

pub use custom::{CustomAttribute, CustomAttributes};
pub use definition::{AttributeDefinition, AttributeDefinitionId};
