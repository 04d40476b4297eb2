//! What the tables of this crate and of the kernel do when customers are merged, exported and erased.

use crate::{attribute, merge, privacy::reader, tag};

use super::{Belonging, Beyond, Block, Fit, Holding, OnErasure, OnExport, OnMerge, Rules};

/// What is left of a contact person who was a customer and was erased: that there was one.
const NAMELESS_PERSON: &[(&str, &str)] = &[
    ("name", "'Erased person'"),
    ("phone", "NULL"),
    ("email", "NULL"),
    ("wechat", "NULL"),
    ("background", "NULL"),
    ("experience", "NULL"),
    ("hobbies", "NULL"),
    ("family", "NULL"),
    ("personality", "NULL"),
    ("taboos", "NULL"),
    ("seniority", "NULL"),
    ("closeness", "NULL"),
    ("influence", "NULL"),
    ("concerns", "NULL"),
    ("need_detail", "NULL"),
    ("coping_strategy", "NULL"),
    ("competitor_relations", "NULL"),
    ("care_plan", "NULL"),
    ("end_reason", "NULL"),
];

const ITS_OWN: OnMerge = OnMerge::Stays("It tells the history of the record that it was written for.");
const SEARCH: OnExport = OnExport::No("It is computed from what else is exported.");

/// Tables of this crate, and of the kernel, without a column that leads to a customer.
pub const BEYOND: &[Beyond] = &[
    Beyond::new("event_heads", Holding::Nothing),
    Beyond::new("access_versions", Holding::Nothing),
    Beyond::new("jobs", Holding::Kept("Jobs name records by their ids and are removed when they are old.")),
    Beyond::new("match_parameters", Holding::Nothing),
    Beyond::new("tag_domains", Holding::Nothing),
    Beyond::new("tags", Holding::Within("customer_tags")),
    Beyond::new("attribute_definitions", Holding::Within("custom_attributes")),
    Beyond::new("contact_person_relations", Holding::Kept("They are the bank's own notes, and name other people.")),
];

/// Columns of this crate, and of the kernel, by which rows belong to customers.
pub const BELONGINGS: &[Belonging] = &[
    Belonging::new("personal_profiles", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(OnMerge::Stays("The plan takes the values that win over into the survivor's own profile.")),
    Belonging::new("organisation_profiles", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(OnMerge::Stays("The plan takes the values that win over into the survivor's own profile.")),
    Belonging::new("identities", "customer_id")
        .on_merge(OnMerge::Moves(Rules {
            // A verified document is worth more than the same one unverified.
            yields: Some(
                "r.verification <> 'verified' AND EXISTS (SELECT 1 FROM identities x WHERE x.customer_id = {absorbed}
                 AND x.identity_type = r.identity_type AND x.number_index = r.number_index
                 AND x.verification = 'verified' AND x.ended_at IS NULL)",
            ),
            fits: &[],
            held_back: Some(
                "EXISTS (SELECT 1 FROM identities x WHERE x.customer_id = {survivor}
                 AND x.identity_type = r.identity_type AND x.number_index = r.number_index
                 AND (x.ended_at IS NULL OR r.ended_at IS NOT NULL))",
            ),
        }))
        .on_export(OnExport::Read { section: "identities", read: reader::identities }),
    Belonging::new("contact_points", "customer_id").on_merge(OnMerge::Moves(CONTACT_POINTS)),
    Belonging::new("customer_transitions", "customer_id").unversioned().on_merge(ITS_OWN),
    Belonging::new("attribute_history", "customer_id")
        .unversioned()
        .on_merge(ITS_OWN)
        .on_export(OnExport::Read { section: "attribute_history", read: reader::history }),
    Belonging::new("source_records", "customer_id")
        .unversioned()
        // The id in the source stays, so that the source does not bring the customer back.
        .on_erasure(OnErasure::By(reader::forget_source_records)),
    Belonging::new("duplicate_allowances", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(ITS_OWN)
        .on_export(OnExport::No("Why the customer is not somebody else may name other customers.")),
    Belonging::new("relations", "customer_id").on_merge(OnMerge::Moves(Rules {
        yields: None,
        fits: &[],
        held_back: Some(RELATED_FROM),
    })),
    Belonging::new("relations", "related_customer_id").on_merge(OnMerge::Moves(Rules {
        yields: None,
        fits: &[],
        held_back: Some(RELATED_TO),
    })),
    Belonging::new("customer_tags", "customer_id")
        .on_merge(OnMerge::Moves(Rules {
            yields: None,
            fits: &[],
            // A customer has a tag once at a time, from now on.
            held_back: Some(
                "(r.valid_to IS NULL OR r.valid_to > {today}) AND EXISTS (SELECT 1 FROM customer_tags x
                 WHERE x.customer_id = {survivor} AND x.tag_id = r.tag_id AND (x.valid_to IS NULL OR x.valid_to > {today})
                 AND (x.valid_to IS NULL OR r.valid_from < x.valid_to) AND (r.valid_to IS NULL OR x.valid_from < r.valid_to))",
            ),
        }))
        .on_export(OnExport::Read { section: "customer_tags", read: tag::list::exported }),
    Belonging::new("consents", "customer_id")
        .unversioned()
        // That the customer allowed or forbade something stays provable; the evidence may name it.
        .on_erasure(OnErasure::Scrubbed(&[("evidence", "NULL")])),
    Belonging::new("custom_attributes", "customer_id")
        .on_merge(OnMerge::Moves(Rules {
            yields: None,
            fits: &[],
            held_back: Some(
                "EXISTS (SELECT 1 FROM custom_attributes x WHERE x.customer_id = {survivor}
                 AND x.attribute_definition_id = r.attribute_definition_id)",
            ),
        }))
        .on_export(OnExport::Read { section: "custom_attributes", read: attribute::custom::exported }),
    Belonging::new("contact_persons", "person_customer_id")
        .on_export(OnExport::Read { section: "contact_persons", read: reader::contact_persons })
        .keeping_back(reader::BANKS_OWN)
        .on_erasure(OnErasure::Scrubbed(NAMELESS_PERSON)),
    Belonging::new("employments", "customer_id").on_merge(OnMerge::Moves(Rules {
        yields: None,
        fits: &[],
        held_back: Some(
            "(r.valid_to IS NULL OR r.valid_to > {today}) AND EXISTS (SELECT 1 FROM employments x
             WHERE x.customer_id = {survivor} AND x.contact_person_id = r.contact_person_id
             AND (x.valid_to IS NULL OR x.valid_to > {today})
             AND (x.valid_to IS NULL OR r.valid_from < x.valid_to) AND (r.valid_to IS NULL OR x.valid_from < r.valid_to))",
        ),
    })),
    Belonging::new("legal_holds", "customer_id")
        .on_export(OnExport::No("It is the bank's and the authorities' own matter."))
        .on_erasure(OnErasure::Kept("It proves why data was kept."))
        .blocked_by(&[Block { when: "r.released_at IS NULL", code: "legal_hold", why: "A legal hold stands." }]),
    Belonging::new("privacy_exports", "customer_id")
        .on_merge(OnMerge::Stays("It shows what was held about one record at one moment."))
        .on_export(OnExport::No("An export does not contain itself."))
        .blocked_by(&[Block {
            when: "EXISTS (SELECT 1 FROM jobs j WHERE j.id = r.job_id AND j.state IN ('queued', 'running'))",
            code: "open_export",
            why: "An export of the data is being made.",
        }]),
    Belonging::new("customer_tokens", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(OnMerge::Derived("names and numbers of the customer"))
        .on_export(SEARCH),
    Belonging::new("match_keys", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(OnMerge::Derived("what customers are compared by"))
        .on_export(SEARCH),
    Belonging::new("match_changes", "customer_id")
        .keyed_by("customer_id")
        .unversioned()
        .on_merge(OnMerge::Stays("Each record has a mark of its own; after a merge all of them are looked at."))
        .on_export(OnExport::No("It tells when the customer is to be compared, and nothing about it.")),
    Belonging::new("match_candidates", "left_id")
        .on_merge(OnMerge::Handled("A pair has two sides in the order of their ids; pairs that are now one are closed."))
        .on_export(OnExport::No("It names other customers.")),
    Belonging::new("match_candidates", "right_id")
        .on_merge(OnMerge::Handled("A pair has two sides in the order of their ids; pairs that are now one are closed."))
        .on_export(OnExport::No("It names other customers.")),
    Belonging::new("customers", "merged_into")
        .on_merge(OnMerge::Stays("Records that were absorbed before lead to the survivor through the absorbed."))
        .on_export(OnExport::No("The customer itself and what it absorbed are exported as records."))
        .on_erasure(OnErasure::Kept("The redirect of an absorbed record names nobody.")),
    Belonging::new("merges", "survivor_id")
        .on_merge(OnMerge::Stays("It tells what became of the record."))
        .keeping_back(&[
            ("plan", "Its values are exported as those of the records and their history."),
            ("kept_changes", "Its values are exported as those of the records and their history."),
        ])
        .on_erasure(OnErasure::Scrubbed(&[
            ("reason", "'Erased.'"),
            ("revert_reason", "NULL"),
            ("plan", "'{}'"),
            ("kept_changes", "NULL"),
        ])),
    Belonging::new("merge_members", "customer_id")
        .keyed_by("merge_id")
        .unversioned()
        .on_merge(OnMerge::Stays("It tells what became of the record."))
        .on_export(OnExport::No("The merges are exported."))
        // The plan holds the values of all that took part.
        .on_erasure(OnErasure::By(merge::forget)),
    Belonging::new("merge_rows", "customer_id")
        .keyed_by("row_id")
        .unversioned()
        .on_merge(OnMerge::Stays("It tells whose rows they were before an earlier merge."))
        .on_export(OnExport::No("The merges are exported."))
        .on_erasure(OnErasure::Kept("It names rows, not what they held.")),
    Belonging::new("events", "customer_id")
        .unversioned()
        .unreferenced()
        .on_merge(OnMerge::Stays("Events are append-only; the survivor reads them through its lineage."))
        .on_export(OnExport::Read { section: "events", read: reader::events })
        .on_erasure(OnErasure::Kept("The audit is append-only and holds no numbers.")),
    Belonging::new("access_log", "customer_id")
        .unversioned()
        .unreferenced()
        .on_merge(OnMerge::Stays("The log is append-only; the survivor reads it through its lineage."))
        .on_export(OnExport::No(
            "Who in the bank looks into a record, and for which purpose, may be an inquiry that the law forbids to tell.",
        ))
        .on_erasure(OnErasure::Kept("The audit is append-only and holds no personal data of the customer.")),
];

/// Whether a contact point, by this name, was the survivor's a moment ago: it has been given for the absorbed's like.
macro_rules! given {
    ($name:literal) => {
        concat!(
            $name,
            ".customer_id = {absorbed} AND EXISTS (SELECT 1 FROM merge_rows m WHERE m.merge_id = {merge}
             AND m.table_name = 'contact_points' AND m.column_name = 'customer_id' AND m.row_id = ",
            $name,
            ".id)"
        )
    };
}

/// Rows `x` of the other side that are the like of `r`, where `r` stays with the survivor or comes to it.
macro_rules! with_like {
    ($condition:literal) => {
        concat!(
            "(r.customer_id = {survivor} AND EXISTS (SELECT 1 FROM contact_points x WHERE x.customer_id = {absorbed}
              AND x.kind = r.kind AND x.normalised = r.normalised AND x.valid_to IS NULL AND ",
            $condition,
            ")) OR (r.customer_id = {absorbed} AND NOT (",
            given!("r"),
            ") AND EXISTS (SELECT 1 FROM contact_points x WHERE x.kind = r.kind AND x.normalised = r.normalised
              AND x.valid_to IS NULL AND ",
            $condition,
            " AND ",
            given!("x"),
            "))"
        )
    };
}

const CONTACT_POINTS: Rules = Rules {
    // One that somebody has checked is worth more than the same one unchecked.
    yields: Some(
        "r.verified_at IS NULL AND r.valid_to IS NULL AND EXISTS (SELECT 1 FROM contact_points x
         WHERE x.customer_id = {absorbed} AND x.kind = r.kind AND x.normalised = r.normalised
         AND x.verified_at IS NOT NULL AND x.valid_to IS NULL)",
    ),
    fits: &[
        // One preferred point of a kind: the survivor's.
        Fit {
            column: "preferred",
            from: "true",
            to: "false",
            of: concat!(
                "r.customer_id = {absorbed} AND NOT (",
                given!("r"),
                ") AND EXISTS (SELECT 1 FROM contact_points x WHERE x.kind = r.kind AND x.preferred
                 AND (x.customer_id = {survivor} OR (x.normalised <> r.normalised AND ",
                given!("x"),
                ")))"
            ),
        },
        // What is preferred on either record stays so on the one that goes on.
        Fit { column: "preferred", from: "false", to: "true", of: with_like!("r.valid_to IS NULL AND x.preferred") },
        // Who asked on either record not to be called there is not called there.
        Fit { column: "do_not_contact", from: "false", to: "true", of: with_like!("x.do_not_contact") },
        // What others use, too, proves less, whoever knew it.
        Fit { column: "shared", from: "false", to: "true", of: with_like!("x.shared") },
    ],
    held_back: Some(
        "EXISTS (SELECT 1 FROM contact_points x WHERE x.customer_id = {survivor} AND x.kind = r.kind
         AND x.normalised = r.normalised AND (x.valid_to IS NULL OR r.valid_to IS NOT NULL))",
    ),
};

/// A relation to what is now the same customer, one that the survivor has for that time already (symmetric
/// ones in either direction; one that has ended hides none that runs), shares of more than a whole at some moment, a second
/// parent or a circle of parents.
const RELATED_FROM: &str = "r.related_customer_id = {survivor}
    OR r.related_customer_id IN (SELECT m.customer_id FROM merge_members m WHERE m.merge_id = {merge})
    OR EXISTS (SELECT 1 FROM relations x WHERE x.id <> r.id AND x.relation_type = r.relation_type
        AND ((x.customer_id = {survivor} AND x.related_customer_id = r.related_customer_id)
          OR (x.relation_type IN ('spouse', 'other') AND x.related_customer_id = {survivor}
              AND x.customer_id = r.related_customer_id))
        AND (x.valid_to IS NULL OR r.valid_to IS NOT NULL OR (x.relation_type = 'parent_company' AND x.valid_to > {today}))
        AND ((r.valid_from < COALESCE(x.valid_to, '9999-12-31') AND x.valid_from < COALESCE(r.valid_to, '9999-12-31'))
          OR x.valid_from = r.valid_from))
    OR (r.relation_type = 'parent_company' AND r.related_customer_id IN (
        WITH RECURSIVE above(id) AS (SELECT {survivor} UNION
            SELECT p.customer_id FROM relations p JOIN above ON p.related_customer_id = above.id
            WHERE p.relation_type = 'parent_company')
        SELECT above.id FROM above))";

const RELATED_TO: &str = "r.customer_id = {survivor}
    OR r.customer_id IN (SELECT m.customer_id FROM merge_members m WHERE m.merge_id = {merge})
    OR EXISTS (SELECT 1 FROM relations x WHERE x.id <> r.id AND x.relation_type = r.relation_type
        AND ((x.related_customer_id = {survivor} AND x.customer_id = r.customer_id)
          OR (x.relation_type IN ('spouse', 'other') AND x.customer_id = {survivor}
              AND x.related_customer_id = r.customer_id)
          OR (x.relation_type = 'parent_company' AND x.related_customer_id = {survivor}))
        AND (x.valid_to IS NULL OR r.valid_to IS NOT NULL OR (x.relation_type = 'parent_company' AND x.valid_to > {today}))
        AND ((r.valid_from < COALESCE(x.valid_to, '9999-12-31') AND x.valid_from < COALESCE(r.valid_to, '9999-12-31'))
          OR x.valid_from = r.valid_from))
    OR (r.relation_type = 'shareholder' AND EXISTS (SELECT 1 FROM relations d
        WHERE d.relation_type = 'shareholder' AND d.related_customer_id IN ({survivor}, {absorbed})
        AND r.valid_from <= d.valid_from AND d.valid_from < COALESCE(r.valid_to, '9999-12-31')
        AND 10000 < (SELECT COALESCE(SUM(x.share_bp), 0) FROM relations x
            WHERE x.relation_type = 'shareholder' AND x.related_customer_id IN ({survivor}, {absorbed})
            AND x.valid_from <= d.valid_from AND d.valid_from < COALESCE(x.valid_to, '9999-12-31')
            AND (x.related_customer_id = {survivor} OR NOT EXISTS (SELECT 1 FROM relations y
                WHERE y.relation_type = 'shareholder' AND y.related_customer_id = {survivor}
                AND y.customer_id = x.customer_id AND (y.valid_to IS NULL OR x.valid_to IS NOT NULL)
                AND y.valid_from < COALESCE(x.valid_to, '9999-12-31')
                AND x.valid_from < COALESCE(y.valid_to, '9999-12-31'))))))
    OR (r.relation_type = 'parent_company' AND r.customer_id IN (
        WITH RECURSIVE below(id) AS (SELECT {survivor} UNION
            SELECT p.related_customer_id FROM relations p JOIN below ON p.customer_id = below.id
            WHERE p.relation_type = 'parent_company')
        SELECT below.id FROM below))";
