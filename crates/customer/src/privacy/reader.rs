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

use super::document::PRIVATE;
use crate::{CustomerId, identity::NUMBER};

/// The kinds of events that are the bank's and the authorities' own matter begin so.
const PRIVATE_EVENTS: &str = "legal_hold.";

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

/// Events, without those of legal holds and without the names of fields that the bank keeps for itself.
pub(crate) fn events(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "events", "customer_id", "id", records, &["position"])?;
    let told =
        |row: &Map<String, Value>| !row.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.starts_with(PRIVATE_EVENTS));
    let shown = |mut row: Map<String, Value>| {
        if let Some(fields) = row.get_mut("data").and_then(|data| data.get_mut("fields")) {
            without_private(fields);
        }
        Value::Object(row)
    };
    Ok(rows.into_iter().filter(told).map(shown).collect())
}

/// Who has read what, without the names of fields that the bank keeps for itself.
pub(crate) fn accesses(conn: &mut Conn, records: &[CustomerId]) -> Result<Vec<Value>> {
    let rows = document::rows(conn, "access_log", "customer_id", "id", records, &[])?;
    let shown = |mut row: Map<String, Value>| {
        row.get_mut("fields").map(without_private);
        Value::Object(row)
    };
    Ok(rows.into_iter().map(shown).collect())
}

fn without_private(fields: &mut Value) {
    if let Value::Array(names) = fields {
        names.retain(|name| !name.as_str().is_some_and(is_private));
    }
}

/// The ids in the sources stay, what the sources said goes.
pub(crate) fn forget_source_records(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let forgotten = diesel::update(source_records::table.filter(source_records::customer_id.eq(customer)))
        .set((source_records::payload.eq(Json(Value::Object(Map::new()))), source_records::content_hash.eq(Vec::<u8>::new())))
        .execute(&mut tx.db)?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
