//! Source systems, mappings, imports and exports.

pub mod export;
pub mod import;
pub mod mapping;
pub mod source_system;
mod upload;
