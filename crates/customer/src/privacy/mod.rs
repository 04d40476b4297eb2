//! What the law gives a customer: to see everything that is held, and to have it erased.

use kehu_kernel::rotation::SealedColumn;

/// Label of sealed exports.
pub(crate) const EXPORT: &str = "privacy_exports.content";

/// Its sealed column.
pub const SEALED: &[SealedColumn] =
    &[SealedColumn { table: "privacy_exports", id: "id", column: "content_sealed", label: EXPORT }];
