//! Imports: files of one source system under one mapping, and what became of their rows.

mod batch;
mod directory;
mod entity;
mod forget;
mod job;
mod mask;
mod parked;
mod plan;
mod preview;
mod replay;
mod revert;
mod rows;
mod run;

pub use directory::{Directory, Summary, run_directory};
pub use entity::{
    Import, ImportCounts, ImportFile, ImportFileId, ImportFilter, ImportId, ImportState, NewImport, StoredFile, create, get,
    list, run, start,
};
pub use forget::forget;
pub use job::{JOB_KIND, handler};
pub use preview::{FeedPreview, FilePreview, MatchCount, Preview, PreviewError};
pub use replay::{Correction, ReplayRequest, replay};
pub use revert::revert;
pub use rows::{ImportError, ImportErrorFilter, ImportRowId, RowState, SEALED, list_errors};
pub use run::{Phase, Progress, execute};
