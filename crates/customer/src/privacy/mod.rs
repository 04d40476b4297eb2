//! What the law gives a customer: to see everything that is held, and to have it erased, unless a legal hold
//! or something that is still open stands in the way.

mod document;
pub mod elsewhere;
mod erasure;
mod export;
mod hold;
pub(crate) mod reader;

use kehu_kernel::rotation::SealedColumn;

pub use document::PrivacyExportContent;
pub use erasure::{CustomerErasure, ErasedTable, ErasureRequest, ErasureTreatment, access_log, erase, erasure, last_erasure};
pub use export::{
    EXPIRY, JOB_KIND, PrivacyExport, PrivacyExportId, PrivacyExportState, content, export, get, handler, list, sweep,
};
pub use hold::{LegalHold, LegalHoldFilter, LegalHoldId, LegalHoldRelease, NewLegalHold, hold, holds, place, release};

/// Label of sealed exports.
pub(crate) const EXPORT: &str = "privacy_exports.content";

/// Its sealed column.
pub const SEALED: &[SealedColumn] =
    &[SealedColumn { table: "privacy_exports", id: "id", column: "content_sealed", label: EXPORT }];
