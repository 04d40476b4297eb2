//! What the tables of this crate do when customers are merged, exported and erased.

use kehu_customer::belonging::{Belonging, Beyond, Fit, Holding, OnErasure, OnMerge, Rules};

/// Tables of this crate without a column that leads to a customer.
pub const BEYOND: &[Beyond] = &[
    Beyond::new("groups", Holding::Kept("What the bank calls a group and intends with it; its members are exported.")),
    Beyond::new("group_parents", Holding::Nothing),
    Beyond::new("group_staff", Holding::Nothing),
    Beyond::new("segmentation_evaluations", Holding::Kept("Sums over whole groups, and what the bank intends with them.")),
    Beyond::new("group_lineages", Holding::Nothing),
    Beyond::new("group_lineage_groups", Holding::Nothing),
];

/// Columns of this crate by which rows belong to customers.
pub const BELONGINGS: &[Belonging] = &[Belonging::new("group_members", "customer_id")
    .on_merge(OnMerge::Moves(Rules {
        yields: None,
        // Who was the primary member stays it, by the membership that the survivor has in the same days.
        fits: &[
            Fit {
                column: "is_primary",
                from: "false",
                to: "true",
                of: "r.customer_id = {survivor} AND EXISTS (SELECT 1 FROM group_members x WHERE x.customer_id = {absorbed}
                     AND x.group_id = r.group_id AND x.is_primary AND x.valid_from = r.valid_from
                     AND COALESCE(x.valid_to, '9999-12-31') = COALESCE(r.valid_to, '9999-12-31'))",
            },
            Fit {
                column: "is_primary",
                from: "true",
                to: "false",
                of: "r.customer_id = {absorbed} AND EXISTS (SELECT 1 FROM group_members x WHERE x.customer_id = {survivor}
                     AND x.group_id = r.group_id AND x.valid_from = r.valid_from
                     AND COALESCE(x.valid_to, '9999-12-31') = COALESCE(r.valid_to, '9999-12-31'))",
            },
        ],
        // Of one customer in one group no two memberships hold on the same day. What is held back is read as the survivor's.
        held_back: Some(
            "EXISTS (SELECT 1 FROM group_members x WHERE x.customer_id = {survivor} AND x.group_id = r.group_id
             AND x.valid_from < COALESCE(r.valid_to, '9999-12-31') AND r.valid_from < COALESCE(x.valid_to, '9999-12-31'))",
        ),
    }))
    // What the bank had grouped together stays known in numbers, not in words.
    .on_erasure(OnErasure::Scrubbed(&[
        ("valid_to", "COALESCE(valid_to, CASE WHEN valid_from > {today} THEN valid_from ELSE {today} END)"),
        ("reason", "NULL"),
        ("end_reason", "NULL"),
    ]))];
