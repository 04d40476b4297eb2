//! Every table of every crate and what it holds of customers, for merges and for privacy.

use kehu_customer::belonging::{Beyond, Holding, Registry};

/// The tables of this crate.
const BEYOND: &[Beyond] = &[
    Beyond::new("clients", Holding::Nothing),
    Beyond::new("webhook_endpoints", Holding::Nothing),
    Beyond::new(
        "webhook_deliveries",
        Holding::Kept("They name events by their ids, nothing of what happened, and are removed after 30 days."),
    ),
    Beyond::new("login_places", Holding::Nothing),
    Beyond::new(
        "rate_buckets",
        Holding::Kept("A keyed hash of who calls more than a little, a customer too, gone minutes after the last call."),
    ),
    Beyond::new("idempotency_keys", Holding::Kept("Answers that were given are kept sealed for a day, to be given again.")),
];

/// All of them; `tests/rules` compares the list with the schema. A merge takes them in this order.
pub const REGISTRY: Registry = Registry {
    belongings: &[
        kehu_customer::BELONGINGS,
        kehu_organization::BELONGINGS,
        kehu_account_link::BELONGINGS,
        kehu_group::BELONGINGS,
    ],
    beyond: &[
        kehu_customer::belonging::BEYOND,
        kehu_organization::BEYOND,
        kehu_account_link::BEYOND,
        kehu_group::BEYOND,
        kehu_intake::BEYOND,
        BEYOND,
    ],
    elsewhere: &[kehu_customer::privacy::elsewhere::scrub, kehu_intake::import::forget, kehu_intake::export::forget],
};
