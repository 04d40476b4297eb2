//! Exports: any list as a file, read page by page by the very use case that answers the list.
//!
//! A job reads the pages as the one who asked, with the rights that they have at that moment, and appends them to an
//! encrypted file; how far it came is saved with every step, so that another worker goes on where one was killed. The file
//! is fetched by a signed link, in ranges if need be.

mod encode;
mod entity;
mod file;
mod forget;
mod link;
mod list;
mod parquet;
mod record;
mod run;
mod source;

pub use entity::{Export, ExportFormat, ExportId, ExportState, NewExport, cancel, create, get, list};
pub use file::Content;
pub use forget::{forget, sweep};
pub use link::{Download, open};
pub use list::ExportList;
pub use record::SEALED;
pub use run::{JOB_KIND, handler};
pub use source::{Column, Kind, Opened, Reading, Source};
