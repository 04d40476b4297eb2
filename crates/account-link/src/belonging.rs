//! What the tables of this crate do when customers are merged, exported and erased. Accounts, their
//! transactions and balances belong to customers through links alone.

use kehu_customer::belonging::{Belonging, Beyond, Block, Fit, Holding, OnErasure, OnExport, OnMerge, Rules};

/// Tables of this crate without a column that leads to a customer: they lead to accounts, and these to customers by links.
pub const BEYOND: &[Beyond] = &[
    Beyond::new("products", Holding::Nothing),
    Beyond::new("product_rates", Holding::Nothing),
    Beyond::new("accounts", Holding::Within("account_links")),
    Beyond::new("deposits", Holding::Within("account_links")),
    Beyond::new("loans", Holding::Within("account_links")),
    Beyond::new("cards", Holding::Within("account_links")),
    Beyond::new("holdings", Holding::Within("account_links")),
    Beyond::new("standing_orders", Holding::Within("account_links")),
    Beyond::new("account_balances", Holding::Within("account_links")),
    Beyond::new("transactions", Holding::Within("account_links")),
    Beyond::new("account_daily_totals", Holding::Kept("They are sums of the transactions.")),
    Beyond::new("account_monthly_totals", Holding::Kept("They are sums of the transactions.")),
    Beyond::new(
        "parked_transactions",
        Holding::Kept("They wait for an account that is not known yet; nobody knows whose it is."),
    ),
];

/// Columns of this crate by which rows belong to customers.
pub const BELONGINGS: &[Belonging] = &[Belonging::new("account_links", "customer_id")
    .on_merge(OnMerge::Moves(Rules {
        // The primary link to an account stands above a second one in the same role, if it lasts as long.
        yields: Some(
            "NOT r.is_primary AND EXISTS (SELECT 1 FROM account_links x WHERE x.customer_id = {absorbed}
             AND x.account_id = r.account_id AND x.role = r.role AND x.is_primary AND x.valid_from <> r.valid_from
             AND r.valid_from < COALESCE(x.valid_to, '9999-12-31')
             AND COALESCE(r.valid_to, '9999-12-31') <= COALESCE(x.valid_to, '9999-12-31'))
             AND NOT EXISTS (SELECT 1 FROM account_links y WHERE y.customer_id = {absorbed} AND y.account_id = r.account_id
             AND y.role = r.role AND y.valid_from = r.valid_from)",
        ),
        // Two that begin on the same day cannot change places: the survivor's becomes the primary one.
        fits: &[
            Fit {
                column: "is_primary",
                from: "false",
                to: "true",
                of: "r.customer_id = {survivor} AND EXISTS (SELECT 1 FROM account_links x WHERE x.customer_id = {absorbed}
                     AND x.account_id = r.account_id AND x.role = r.role AND x.is_primary AND x.valid_from = r.valid_from
                     AND COALESCE(r.valid_to, '9999-12-31') = COALESCE(x.valid_to, '9999-12-31'))",
            },
            Fit {
                column: "is_primary",
                from: "true",
                to: "false",
                of: "r.customer_id = {absorbed} AND EXISTS (SELECT 1 FROM account_links x WHERE x.customer_id = {survivor}
                     AND x.account_id = r.account_id AND x.role = r.role AND x.is_primary AND x.valid_from = r.valid_from
                     AND COALESCE(r.valid_to, '9999-12-31') = COALESCE(x.valid_to, '9999-12-31'))",
            },
        ],
        // Only where the survivor's own holds today, or from the same day, and lasts as long: an account never goes out of
        // sight. What is held back is read as the survivor's all the same.
        held_back: Some(
            "EXISTS (SELECT 1 FROM account_links x WHERE x.customer_id = {survivor}
             AND x.account_id = r.account_id AND x.role = r.role AND x.valid_from < COALESCE(r.valid_to, '9999-12-31')
             AND COALESCE(r.valid_to, '9999-12-31') <= COALESCE(x.valid_to, '9999-12-31')
             AND (x.valid_from <= r.valid_from OR x.valid_from <= {today}))",
        ),
    }))
    .on_export(OnExport::Read { section: "account_links", read: crate::privacy::links })
    // The bank must keep who held an account; an ended link names only the tombstone.
    .on_erasure(OnErasure::Scrubbed(&[("evidence", "NULL"), ("closed_reason", "NULL")]))
    .blocked_by(&[Block {
        when: "r.valid_to IS NULL OR r.valid_to > {today}",
        code: "open_account_link",
        why: "A link to an account is open.",
    }])];
