//! All that is held about a customer, as one document.

use std::collections::{BTreeMap, HashSet};

use kehu_kernel::{Conn, Instant, Result, store::document};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{
    CustomerId,
    belonging::{Holding, OnExport, Registry},
    scope,
};

/// Columns of the customer's own record that an export leaves out, and why.
pub(crate) const PRIVATE: &[(&str, &str)] = &[
    ("fraud_flag", "A suspicion that the law forbids to tell."),
    ("credit_rating", "The bank's own assessment of its risk."),
    ("market_rating", "The bank's own assessment of its risk."),
    ("operational_rating", "The bank's own assessment of its risk."),
    ("rated_on", "The bank's own assessment of its risk."),
];

/// Why an export does not say who in the bank did what, and for which reason.
const INSIDE: &str = "Who in the bank did it, and why, is told by the bank where the law allows it.";

/// Whether a column, of whichever table, tells who in the bank did something, or why.
pub(super) fn is_inside(column: &str) -> bool {
    ["actor", "actor_kind", "on_behalf_by", "request_id", "reason"].contains(&column)
        || column.ends_with("_by")
        || column.ends_with("_reason")
}

/// Everything that was held about a customer at one moment. Identity and account numbers are in full.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PrivacyExportContent {
    /// The customer.
    pub customer_id: CustomerId,
    /// The moment.
    pub as_of: Instant,
    /// The records that are the customer: its own, and those that merges have made part of it.
    #[schema(max_items = 10000)]
    pub records: Vec<CustomerId>,
    /// By the name of each section, the list of its entries: `customers`, `personal_profiles`, `identities` and so on.
    #[schema(value_type = Object)]
    pub sections: Map<String, Value>,
    /// What the bank holds besides and does not hand out, and why.
    #[schema(max_items = 1000)]
    pub left_out: Vec<PrivacyExportOmission>,
}

/// Something that an export does not hand out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct PrivacyExportOmission {
    /// Where it is held.
    #[schema(example = "match_candidates", max_length = 64)]
    pub held_in: String,
    /// Which field of it; null when it is all of it.
    #[schema(example = "fraud_flag", max_length = 64)]
    pub field: Option<String>,
    /// Why it is not handed out.
    #[schema(example = "It names other customers.", max_length = 500)]
    pub reason: String,
}

impl PrivacyExportOmission {
    fn new(held_in: &str, field: Option<&str>, reason: &str) -> Self {
        Self { held_in: held_in.to_owned(), field: field.map(str::to_owned), reason: reason.to_owned() }
    }
}

/// Gathers it: the customer's own record, what it absorbed, and all rows of all crates that belong to them.
pub(super) fn gather(conn: &mut Conn, registry: Registry, customer: CustomerId) -> Result<PrivacyExportContent> {
    let records = scope::lineage(conn, customer)?;
    let mut sections: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut left_out: Vec<_> =
        PRIVATE.iter().map(|(field, reason)| PrivacyExportOmission::new("customers", Some(field), reason)).collect();
    left_out.extend(inside("customers"));
    let own: Vec<&str> = PRIVATE.iter().map(|(field, _)| *field).collect();
    let rows = document::rows(conn, "customers", "id", "id", &records, &own)?;
    sections.insert("customers", rows.into_iter().map(Value::Object).map(outside).collect());
    for beyond in registry.beyond() {
        if let Holding::Kept(reason) = beyond.holding {
            left_out.push(PrivacyExportOmission::new(beyond.table, None, reason));
        }
    }
    for belonging in registry.iter() {
        let (section, rows) = match belonging.export {
            OnExport::No(reason) => {
                left_out.push(PrivacyExportOmission::new(belonging.table, None, reason));
                continue;
            }
            OnExport::Read { section, read } => (section, read(conn, &records)?),
            OnExport::Rows { section, without } => {
                let private = belonging.private.iter().map(|(field, _)| *field);
                let hidden: Vec<&str> = without.iter().copied().chain(private).collect();
                let rows = document::rows(conn, belonging.table, belonging.column, belonging.key, &records, &hidden)?;
                (section, rows.into_iter().map(Value::Object).collect())
            }
        };
        let told =
            belonging.private.iter().map(|(field, reason)| PrivacyExportOmission::new(belonging.table, Some(field), reason));
        left_out.extend(told.chain(inside(belonging.table)));
        let entries = sections.entry(section).or_default();
        // Two columns of one table may lead to the same row.
        let known: HashSet<String> = entries.iter().filter_map(id).collect();
        entries.extend(rows.into_iter().map(outside).filter(|row| id(row).is_none_or(|id| !known.contains(&id))));
    }
    left_out.sort();
    left_out.dedup();
    let sections = sections.into_iter().map(|(name, rows)| (name.to_owned(), Value::Array(rows))).collect();
    Ok(PrivacyExportContent { customer_id: customer, as_of: conn.now, records, sections, left_out })
}

/// The row without the columns that tell of the bank's inside.
fn outside(mut row: Value) -> Value {
    if let Value::Object(columns) = &mut row {
        columns.retain(|column, _| !is_inside(column));
    }
    row
}

fn inside(table: &'static str) -> impl Iterator<Item = PrivacyExportOmission> {
    document::columns(table)
        .filter(|column| is_inside(column))
        .map(move |column| PrivacyExportOmission::new(table, Some(column), INSIDE))
}

fn id(row: &Value) -> Option<String> {
    row.get("id")?.as_str().map(str::to_owned)
}
