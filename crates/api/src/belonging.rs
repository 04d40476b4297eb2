//! Every table of every crate whose rows belong to customers, for merges and for privacy.

use kehu_customer::belonging::Registry;

/// All of them; `tests/rules` compares the list with the schema. A merge takes them in this order.
pub const REGISTRY: Registry =
    Registry(&[kehu_customer::BELONGINGS, kehu_organization::BELONGINGS, kehu_account_link::BELONGINGS]);
