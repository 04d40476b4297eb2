//! Rows of any table, filled by the types of their columns, for tests that walk over all tables.

use std::collections::BTreeMap;

use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary},
};
use kehu_kernel::{
    AnyId, Store,
    store::{Backend, sql},
};

/// What stands in every optional text of a filled row.
pub const MARK: &str = "Zzyzx-Mark";

/// Every table with its columns: name, type, whether it may be null.
pub fn tables() -> BTreeMap<String, Vec<(String, String, bool)>> {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/kernel/src/schema.rs");
    let (mut table, mut found) = (String::new(), BTreeMap::<_, Vec<_>>::new());
    for line in std::fs::read_to_string(schema).unwrap().lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with(") {")) {
            table = name.to_owned();
        } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            found.entry(table.clone()).or_default().push((column.to_owned(), inner.unwrap_or(kind).to_owned(), inner.is_some()));
        }
    }
    found
}

/// Inserts a row and hands back its id. `given` names ids of columns; where a column leads to a table that needs a row of
/// its own, one is made.
pub fn fill(store: &Store, table: &str, given: &[(&str, AnyId)]) -> AnyId {
    let id = AnyId::new();
    let (mut names, mut values, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for (name, kind, nullable) in &tables()[table] {
        let known = given.iter().find(|(column, _)| column == name).map(|(_, id)| *id);
        let parent = match name.as_str() {
            "tag_id" => Some("tags"),
            "tag_domain_id" => Some("tag_domains"),
            "attribute_definition_id" => Some("attribute_definitions"),
            "contact_person_id" => Some("contact_persons"),
            "group_id" => Some("groups"),
            "merge_id" if table != "match_candidates" => Some("merges"),
            _ => None,
        };
        let own = match (known, parent) {
            (Some(known), _) => Some(known),
            (None, Some(parent)) => Some(fill(store, parent, given)),
            (None, None) if kind == "Uuid" && !nullable => Some(if name == "id" { id } else { AnyId::new() }),
            (None, None) => None,
        };
        let code = name.ends_with("_by") || name.starts_with("source_");
        let value = match (own, kind.as_str(), nullable) {
            (Some(own), ..) => {
                ids.push(own);
                format!("${}", ids.len())
            }
            (None, "Text", true) if !code => format!("'{MARK}'"),
            (None, "Json", true) => format!("'{{\"told\": \"{MARK}\"}}'"),
            (None, _, true) => "NULL".into(),
            (None, "Text", false) if name == "source" && table == "customer_tags" => "'manual'".into(),
            (None, "Text", false) if name == "value_type" => "'text'".into(),
            (None, "Text", false) if name == "field_class" => "'public'".into(),
            (None, "Json", false) if LISTS.contains(&name.as_str()) => "'[]'".into(),
            (None, "Text", false) => format!("'{id}'"),
            (None, "Json", false) => "'{}'".into(),
            (None, "Bool", _) => "true".into(),
            (None, "Integer" | "BigInt", _) => number().to_string(),
            (None, "Date", _) => "'2020-01-01'".into(),
            (None, "Instant", _) => "(SELECT MAX(created_at) FROM customers)".into(),
            (None, "Binary", _) => if store.backend() == Backend::Sqlite { "x'00'" } else { "'\\x00'" }.into(),
            (None, other, _) => panic!("no value for {table}.{name} of type {other}"),
        };
        names.push(name.clone());
        values.push(value);
    }
    let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
    let written = store.write_blocking(move |tx| {
        let mut query = sql_query(insert.clone()).into_boxed();
        for id in &ids {
            query = query.bind::<sql::Uuid, _>(*id);
        }
        Ok(query.execute(&mut tx.db)?)
    });
    written.unwrap_or_else(|error| panic!("{table}: {error}"));
    id
}

/// Columns that hold lists.
const LISTS: &[&str] = &["choices", "settable_by", "customer_kinds"];

/// A number that no other row has.
fn number() -> i32 {
    static NEXT: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(1_000);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many rows a table has with a condition; `$1` is the id.
pub fn count(store: &Store, table: &str, condition: &str, id: AnyId) -> i64 {
    let select = format!("SELECT COUNT(*) AS count FROM {table} r WHERE {condition}");
    let rows: Vec<Count> =
        store.read_blocking(move |conn| Ok(sql_query(select.as_str()).bind::<sql::Uuid, _>(id).load(&mut conn.db)?)).unwrap();
    rows[0].count
}

/// The columns of all tables in which a text occurs.
pub fn places_of(store: &Store, text: &str) -> Vec<String> {
    let mut places = Vec::new();
    for (table, columns) in tables() {
        for (column, kind, _) in columns {
            let (condition, needle) = match (kind.as_str(), store.backend()) {
                ("Text" | "Json", _) => (format!("CAST({column} AS TEXT) LIKE '%{text}%'"), None),
                ("Binary", Backend::Sqlite) => (format!("instr({column}, $1) > 0"), Some(text.as_bytes().to_vec())),
                ("Binary", Backend::Postgres) => (format!("position($1 in {column}) > 0"), Some(text.as_bytes().to_vec())),
                _ => continue,
            };
            let select = format!("SELECT COUNT(*) AS count FROM {table} WHERE {condition}");
            let rows: Vec<Count> = store
                .read_blocking(move |conn| {
                    Ok(match &needle {
                        None => sql_query(select.as_str()).load(&mut conn.db)?,
                        Some(needle) => sql_query(select.as_str()).bind::<Binary, _>(needle).load(&mut conn.db)?,
                    })
                })
                .unwrap();
            if rows[0].count > 0 {
                places.push(format!("{table}.{column}"));
            }
        }
    }
    places
}
