//! What the tables of this crate do when customers are merged, exported and erased.

use kehu_customer::belonging::{Belonging, Beyond, Fit, Holding, OnErasure, OnMerge, Rules};

/// Tables of this crate without a column that leads to a customer.
pub const BEYOND: &[Beyond] = &[
    Beyond::new("branches", Holding::Nothing),
    Beyond::new("branch_moves", Holding::Nothing),
    Beyond::new("staff", Holding::Nothing),
    Beyond::new("teams", Holding::Nothing),
    Beyond::new("team_members", Holding::Nothing),
    Beyond::new("roles", Holding::Nothing),
];

/// Columns of this crate by which rows belong to customers.
pub const BELONGINGS: &[Belonging] = &[Belonging::new("assignments", "customer_id")
    .on_merge(OnMerge::Moves(Rules {
        yields: None,
        // One person is primarily responsible: the survivor's. The other one stands in.
        fits: &[Fit {
            column: "role",
            from: "'primary'",
            to: "'deputy'",
            of: "r.customer_id = {absorbed} AND r.valid_to IS NULL AND EXISTS (SELECT 1 FROM assignments x
                 WHERE x.customer_id = {survivor} AND x.role = 'primary' AND x.valid_to IS NULL
                 AND x.staff_id <> r.staff_id)",
        }],
        held_back: Some(
            "r.valid_to IS NULL AND EXISTS (SELECT 1 FROM assignments x WHERE x.customer_id = {survivor}
             AND x.staff_id = r.staff_id AND x.valid_to IS NULL AND (x.role = r.role OR r.role = 'primary'
             AND EXISTS (SELECT 1 FROM assignments p WHERE p.customer_id = {survivor} AND p.role = 'primary'
                 AND p.valid_to IS NULL)))",
        ),
    }))
    .on_erasure(OnErasure::Scrubbed(&[("valid_to", "COALESCE(valid_to, {today})"), ("reason", "NULL"), ("end_reason", "NULL")]))];
