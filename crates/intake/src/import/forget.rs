//! What imports hold of a customer who is erased: samples, and rows that were not taken in. Rows are found by the id that
//! the source has for the customer, those that cannot be read by its name. What is left of them says only that they were.

use std::sync::Arc;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, RunQueryDsl, SelectableHelper, TextExpressionMethods,
};
use kehu_customer::{CustomerId, feed::ERASED, privacy::elsewhere};
use kehu_kernel::{
    Error, Result, Tx,
    crypto::{BlindIndex, Keyring},
    json::Json,
    schema::{import_row_customers, import_rows, imports, source_records},
};
use serde_json::Value;

use super::{
    ImportCounts, ImportId,
    batch::{self, FeedKey},
    plan::{Plan, PlannedFile},
    preview,
    rows::{self, ImportRow, ImportRowId, RowState, WHOLE},
};
use crate::mapping::{Raw, RowError};

/// How many rows are opened at a time.
const CHUNK: i64 = 1_000;

/// That a kept row tells of a customer.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = import_row_customers)]
pub(super) struct Told {
    customer_index: BlindIndex,
    import_row_id: ImportRowId,
}

/// Of which customers a row tells.
pub(super) fn told(keys: &Keyring, plan: &Plan, file: &PlannedFile, key: FeedKey, row: ImportRowId, raw: &Raw) -> Vec<Told> {
    let mut ids = batch::customers(&plan.document, file, key, raw);
    ids.sort_unstable();
    ids.dedup();
    let told = |id: &String| Told { customer_index: index(keys, &plan.source.code, id), import_row_id: row };
    ids.iter().map(told).collect()
}

fn index(keys: &Keyring, source: &str, id: &str) -> BlindIndex {
    keys.blind_index("import_rows.customer", &format!("{source}:{id}"))
}

/// Forgets what imports hold of a customer that is erased.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let sampled: Vec<ImportId> = imports::table.filter(imports::preview.is_not_null()).select(imports::id).load(&mut tx.db)?;
    for import in sampled {
        preview::forget_samples(tx, import)?;
    }
    let mut forgotten = forget_told(tx, customer)?;
    forgotten += forget_unreadable(tx, customer)?;
    Ok(forgotten)
}

/// Rows that name the customer by its id in the source.
fn forget_told(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let ids: Vec<(String, String)> = source_records::table
        .filter(source_records::customer_id.eq(customer))
        .select((source_records::source_system, source_records::source_id))
        .load(&mut tx.db)?;
    let indexes: Vec<BlindIndex> = ids.iter().map(|(source, id)| index(&tx.keys, source, id)).collect();
    let rows: Vec<ImportRowId> = import_row_customers::table
        .filter(import_row_customers::customer_index.eq_any(indexes))
        .select(import_row_customers::import_row_id)
        .load(&mut tx.db)?;
    let mut forgotten = 0;
    for chunk in rows.chunks(usize::try_from(CHUNK).map_err(Error::internal)?) {
        let rows: Vec<ImportRow> =
            import_rows::table.filter(import_rows::id.eq_any(chunk)).select(ImportRow::as_select()).load(&mut tx.db)?;
        for row in rows {
            forgotten += blank(tx, &row)?;
        }
    }
    Ok(forgotten)
}

/// Rows of which nobody knows of whom they tell, because they cannot be read or do not have the id: those that hold one of
/// the customer's names.
fn forget_unreadable(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let names = elsewhere::names(tx, customer)?;
    let keys = Arc::clone(&tx.keys);
    let (mut after, mut forgotten) = (None, 0);
    loop {
        let of_customers = ["customers", "identities", "contact_points", "relations", "account_links"];
        let unreadable = import_rows::feed.eq(WHOLE);
        let mut query = import_rows::table
            .filter(diesel::dsl::not(
                import_rows::id.eq_any(import_row_customers::table.select(import_row_customers::import_row_id)),
            ))
            .order(import_rows::id)
            .limit(CHUNK)
            .select(ImportRow::as_select())
            .into_boxed();
        let [a, b, c, d, e] = of_customers.map(|feed| import_rows::feed.like(format!("{feed}%")));
        query = query.filter(unreadable.or(a).or(b).or(c).or(d).or(e));
        if let Some(after) = after {
            query = query.filter(import_rows::id.gt(after));
        }
        let rows: Vec<ImportRow> = query.load(&mut tx.db)?;
        let Some(last) = rows.last() else { return Ok(forgotten) };
        after = Some(last.id);
        for row in rows {
            let raw = row.raw(&keys)?;
            if raw.values().any(|value| names.iter().any(|name| holds(value, name))) {
                forgotten += blank(tx, &row)?;
            }
        }
    }
}

fn holds(value: &Value, name: &str) -> bool {
    match value {
        Value::String(text) => text.contains(name),
        Value::Array(items) => items.iter().any(|item| holds(item, name)),
        Value::Object(fields) => fields.values().any(|field| holds(field, name)),
        _ => false,
    }
}

/// Empties a row. One that waited waits no longer: what it tells would be refused.
fn blank(tx: &mut Tx<'_>, row: &ImportRow) -> Result<u64> {
    let state = if row.state == RowState::Resolved { RowState::Resolved } else { RowState::Rejected };
    let error = RowError::of_row(ERASED, "It told of a customer who was erased.");
    let sealed = rows::seal(&tx.keys, row.id, &Raw::new())?;
    diesel::update(import_rows::table.find(row.id))
        .set((
            import_rows::state.eq(state),
            import_rows::errors.eq(Json(vec![error])),
            import_rows::record_sealed.eq(sealed),
            import_rows::waiting_for.eq(None::<BlindIndex>),
            import_rows::waiting_kind.eq(None::<String>),
            import_rows::updated_at.eq(tx.now),
        ))
        .execute(&mut tx.db)?;
    if row.state == RowState::Parked {
        batch::add(tx, row.import_id, &ImportCounts { parked: -1, rejected: 1, ..ImportCounts::default() })?;
    }
    Ok(1)
}
