//! Rows of any table as JSON objects, alike on both databases: for what hands out all that is held.

use std::{collections::HashMap, sync::LazyLock};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use serde_json::{Map, Value};

use super::{Conn, Kind, sql};
use crate::{Error, Id, Instant, Result};

/// The tables with the names and types of their columns, as the generated file tells them.
static TABLES: LazyLock<HashMap<&'static str, Vec<(&'static str, &'static str)>>> = LazyLock::new(|| {
    let mut tables: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    let mut table = "";
    for line in include_str!("../schema.rs").lines().map(str::trim) {
        if let Some((name, _)) = line.strip_suffix(") {").and_then(|head| head.split_once(" (")) {
            table = name;
        } else if let Some((column, kind)) = line.strip_suffix(',').and_then(|line| line.split_once(" -> ")) {
            let kind = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind);
            tables.entry(table).or_default().push((column, kind));
        }
    }
    tables
});

#[derive(QueryableByName)]
struct Document {
    #[diesel(sql_type = Text)]
    document: String,
}

/// The names of a table's columns; of none that is not there.
pub fn columns(table: &str) -> impl Iterator<Item = &'static str> + use<> {
    TABLES.get(table).into_iter().flatten().map(|(name, _)| *name)
}

/// The names of all tables.
pub fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.keys().copied()
}

/// How many ids one query asks for.
const CHUNK: usize = 500;

/// The rows of a table whose `column` holds one of these ids, in the order of `key`, with all columns but those that hold
/// bytes (sealed values, hashes) and those named in `without`.
///
/// # Errors
/// [`Error::Internal`] for a table that is not there; the database's.
pub fn rows<T>(
    conn: &mut Conn,
    table: &str,
    column: &str,
    key: &str,
    ids: &[Id<T>],
    without: &[&str],
) -> Result<Vec<Map<String, Value>>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let places: Vec<String> = (1..=chunk.len()).map(|place| format!("${place}")).collect();
        let which = format!("r.{column} IN ({}) ORDER BY r.{column}, r.{key}", places.join(", "));
        found.extend(such(conn, table, &which, chunk, without)?);
    }
    Ok(found)
}

/// The last rows, by `order`, whose `column` holds this id: the newest first, and no more than so many.
///
/// # Errors
/// As [`rows`].
pub fn last<T>(
    conn: &mut Conn,
    table: &str,
    column: &str,
    order: &[&str],
    id: Id<T>,
    most: usize,
) -> Result<Vec<Map<String, Value>>> {
    let order: Vec<String> = order.iter().map(|name| format!("r.{name} DESC")).collect();
    such(conn, table, &format!("r.{column} = $1 ORDER BY {} LIMIT {most}", order.join(", ")), &[id], &[])
}

/// The rows that a condition chooses.
fn such<T>(conn: &mut Conn, table: &str, which: &str, ids: &[Id<T>], without: &[&str]) -> Result<Vec<Map<String, Value>>> {
    let all = TABLES.get(table).ok_or_else(|| Error::internal(format!("there is no table {table}")))?;
    let columns: Vec<(&str, &str)> =
        all.iter().filter(|(name, kind)| *kind != "Binary" && !without.contains(name)).copied().collect();
    let fields: Vec<String> =
        columns.iter().map(|(name, kind)| format!("'{name}', {}", shown(&conn.db.kind, name, kind))).collect();
    let (make, text) = match &conn.db.kind {
        Kind::Sqlite(_) => ("json_object", ""),
        Kind::Postgres(_) => ("json_build_object", "::text"),
    };
    let select = format!("SELECT {make}({}){text} AS document FROM {table} r WHERE {which}", fields.join(", "));
    let mut query = sql_query(select).into_boxed();
    for id in ids {
        query = query.bind::<sql::Uuid, _>(*id);
    }
    let mut found = Vec::new();
    for row in query.load::<Document>(&mut conn.db)? {
        let mut object: Map<String, Value> = serde_json::from_str(&row.document).map_err(Error::internal)?;
        for (name, kind) in &columns {
            if let Some(value) = object.get_mut(*name) {
                *value = read(kind, value.take());
            }
        }
        found.push(object);
    }
    Ok(found)
}

/// A column as a value of JSON, the same on both sides but for what [`read`] sets right.
fn shown(db: &Kind, name: &str, kind: &str) -> String {
    match (db, kind) {
        (Kind::Sqlite(_), "Uuid") => format!("hex(r.{name})"),
        (Kind::Sqlite(_), "Json") => format!("json(r.{name})"),
        (Kind::Postgres(_), "Instant") => format!("(EXTRACT(EPOCH FROM r.{name}) * 1000000)::bigint"),
        _ => format!("r.{name}"),
    }
}

fn read(kind: &str, value: Value) -> Value {
    match (kind, &value) {
        ("Uuid", Value::String(text)) => match uuid::Uuid::try_parse(text) {
            Ok(id) => Value::String(id.to_string()),
            // hex() of nothing is an empty text.
            Err(_) => Value::Null,
        },
        ("Instant", Value::Number(micros)) => {
            micros.as_i64().map_or(Value::Null, |micros| Value::String(Instant::from_micros(micros).to_string()))
        }
        ("Bool", Value::Number(flag)) => Value::Bool(flag.as_i64() == Some(1)),
        _ => value,
    }
}
