//! Source systems, mappings and imports.

pub mod import;
pub mod mapping;
pub mod source_system;
mod upload;
