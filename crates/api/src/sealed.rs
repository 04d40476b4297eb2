//! Every sealed column of every crate, for key rotation.

use kehu_kernel::rotation::SealedColumn;

/// All sealed columns; `tests/rules` compares the list with the schema.
#[must_use]
pub fn columns() -> Vec<SealedColumn> {
    [
        &[crate::idempotency::SEALED],
        kehu_customer::identity::SEALED,
        kehu_customer::privacy::SEALED,
        kehu_account_link::number::SEALED,
        kehu_intake::import::SEALED,
        kehu_intake::export::SEALED,
        crate::webhook::SEALED,
    ]
    .concat()
}
