//! Mappings: declarative, versioned documents that say which file and column becomes which field.

pub mod birth_number;
pub mod check;
pub mod date_pattern;
pub mod document;
pub mod evaluate;
pub mod file_pattern;
pub mod number;
mod registry;
pub mod template;
pub mod transform;

pub use document::Document;
pub use evaluate::{Raw, RowError};
pub(crate) use registry::find;
pub use registry::{Mapping, MappingFilter, MappingId, NewMapping, create, ensure, get, list};
