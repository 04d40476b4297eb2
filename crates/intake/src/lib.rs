//! The data interface between the bank's systems and Kehu: source systems, mappings, imports, exports.
//!
//! A file is read row by row ([`reader`]), each row becomes records of one or more feeds ([`mapping`]),
//! and the records go in batches to the crates that own their tables ([`dispatch`]). What cannot be taken
//! in is kept with its reason; what has to wait for another record is parked.

mod belonging;
pub mod dispatch;
pub mod export;
pub mod import;
pub mod mapping;
pub mod reader;
pub mod source_system;

pub use belonging::BEYOND;
