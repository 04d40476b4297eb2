//! What the tables of this crate hand out, and how they are scrubbed, where columns alone do not tell.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    AnyId, Conn, Result, Tx,
    json::Json,
    schema::{identities, source_records},
    store::document,
};
use serde_json::{Map, Value};

use super::document::{PRIVATE, is_inside};
use crate::{CustomerId, identity::NUMBER};

/// The kinds of events that are the bank's and the authorities' own matter begin so: holds, who exports for which inquiry,
/// and with whom the customer is compared.
const PRIVATE_EVENTS: &[&str] = &["legal_hold.", "privacy_export.", "match_candidate."];

/// What the bank plans with a contact person, and how it judges it.
pub(crate) const BANKS_OWN: &[(&str, &str)] = &[
    ("closeness", "The bank's own assessment."),
    ("influence", "The bank's own assessment."),
    ("coping_strategy", "How the bank plans to deal with the person."),
    ("competitor_relations", "The bank's own assessment."),
    ("care_plan", "How the bank plans to deal with the person."),
    ("end_reason", "Why the bank deals with the person no more is its own note."),
];

/// Whether the bank keeps the values of a field, and its changes, for itself.
fn is_private(field: &str) -> bool {
    PRIVATE.iter().any(|(name, _)| *name == field)
}

/// Identity documents with their numbers in full: they are the customer's.
pub(crate) fn identities(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let sealed: Vec<(AnyId, Vec<u8>)> = identities::table
        .filter(identities::customer_id.eq_any(records))
        .select((identities::id, identities::number_sealed))
        .load(&mut conn.db)?;
    let mut numbers: HashMap<String, String> = HashMap::new();
    for (id, sealed) in sealed {
        numbers.insert(id.to_string(), conn.keys.open(NUMBER, id, &sealed)?);
    }
    let rows = document::rows(conn, "identities", "customer_id", "id", records, &["number_masked"])?;
    Ok(rows.into_iter().map(|row| with_number(row, &numbers)).collect())
}

fn with_number(mut row: Map<String, Value>, numbers: &HashMap<String, String>) -> Value {
    let number = row.get("id").and_then(Value::as_str).and_then(|id| numbers.get(id)).cloned();
    row.insert("number".to_owned(), number.map_or(Value::Null, Value::String));
    Value::Object(row)
}

/// The history of values, but for those that the bank keeps for itself.
pub(crate) fn history(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "attribute_history", "customer_id", "id", records, &[])?;
    let told = |row: &Map<String, Value>| !row.get("field").and_then(Value::as_str).is_some_and(is_private);
    Ok(rows.into_iter().filter(told).map(Value::Object).collect())
}

/// Events, but for those that are the bank's own matter, and without what they tell of fields, people and reasons that the
/// bank keeps for itself. One that told of nothing else is not there: even its moment would tell.
pub(crate) fn events(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "events", "customer_id", "id", records, &["position"])?;
    Ok(rows.into_iter().filter_map(told).map(Value::Object).collect())
}

fn told(mut row: Map<String, Value>) -> Option<Map<String, Value>> {
    let kind = row.get("kind").and_then(Value::as_str).unwrap_or_default();
    if PRIVATE_EVENTS.iter().any(|private| kind.starts_with(private)) {
        return None;
    }
    if let Some(Value::Object(data)) = row.get_mut("data") {
        data.retain(|name, _| !is_inside(name));
        if let Some(Value::Array(fields)) = data.get_mut("fields") {
            let all = fields.len();
            fields.retain(|name| !name.as_str().is_some_and(is_private));
            if all > 0 && fields.is_empty() {
                return None;
            }
        }
    }
    Some(row)
}

/// What is known of the customer as a contact person of organisations, with where it works.
pub(crate) fn contact_persons(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let ours: Vec<&str> = BANKS_OWN.iter().map(|(column, _)| *column).collect();
    let rows = document::rows(conn, "contact_persons", "person_customer_id", "id", records, &ours)?;
    let ids: Vec<AnyId> = rows.iter().filter_map(|row| row.get("id")?.as_str()?.parse().ok()).collect();
    let mut places: HashMap<String, Vec<Value>> = HashMap::new();
    for row in document::rows(conn, "employments", "contact_person_id", "id", &ids, &["end_reason"])? {
        let person = row.get("contact_person_id").and_then(Value::as_str).unwrap_or_default().to_owned();
        places.entry(person).or_default().push(Value::Object(row));
    }
    let with_places = |mut row: Map<String, Value>| {
        let own = row.get("id").and_then(Value::as_str).and_then(|id| places.get(id)).cloned();
        row.insert("employments".to_owned(), Value::Array(own.unwrap_or_default()));
        Value::Object(row)
    };
    Ok(rows.into_iter().map(with_places).collect())
}

/// The ids in the sources stay, what the sources said goes.
pub(crate) fn forget_source_records(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let forgotten = diesel::update(source_records::table.filter(source_records::customer_id.eq(customer)))
        .set((source_records::payload.eq(Json(Value::Object(Map::new()))), source_records::content_hash.eq(Vec::<u8>::new())))
        .execute(&mut tx.db)?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
