//! Products as sources deliver them.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, Result, Tx,
    event::NewEvent,
    feed::{Outcome, Source},
    json::Json,
    schema::products,
};
use serde_json::json;

use super::{check::Check, record::ProductRecord, refer::in_chunks};
use crate::product::{ProductId, ProductRow, ProductStatus};

/// Applies a batch of products.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, _source: &Source, records: &[ProductRecord]) -> Result<Vec<Outcome>> {
    let rows: Vec<ProductRow> = in_chunks(records.iter().map(|record| record.code.clone()), |chunk| {
        Ok(products::table.filter(products::code.eq_any(chunk)).select(ProductRow::as_select()).load(&mut tx.db)?)
    })?;
    let mut known: HashMap<String, ProductRow> = rows.into_iter().map(|row| (row.code.clone(), row)).collect();
    records.iter().map(|record| apply_one(tx, actor, record, &mut known)).collect()
}

fn apply_one(tx: &mut Tx<'_>, actor: &Actor, record: &ProductRecord, known: &mut HashMap<String, ProductRow>) -> Result<Outcome> {
    let mut check = Check::default();
    check.text(&record.code, 64, "/code");
    check.must(kehu_kernel::check::code(&record.code).is_ok(), "/code", "code", "Only letters, digits, - and _.");
    check.text(&record.name, 200, "/name");
    check.not_before(record.launch_to, record.launch_from, "/launch_to", "The last day cannot lie before the first.");
    let before = known.get(&record.code).cloned();
    let same_kind = before.as_ref().is_none_or(|row| row.category == record.category && row.currency == record.currency);
    check.must(same_kind, "/category", "fixed", "A product keeps its category and currency.");
    if let Some(rejected) = check.verdict() {
        return Ok(rejected);
    }
    let row = ProductRow {
        id: before.as_ref().map_or_else(ProductId::new, |row| row.id),
        code: record.code.clone(),
        name: record.name.clone(),
        category: record.category,
        for_kinds: Json(record.for_kinds.clone()),
        features: Json(record.features.clone()),
        launch_from: record.launch_from,
        launch_to: record.launch_to,
        status: record.status.unwrap_or(ProductStatus::Active),
        currency: record.currency,
        unit_revenue_minor: before.as_ref().and_then(|row| row.unit_revenue_minor),
        unit_cost_minor: before.as_ref().and_then(|row| row.unit_cost_minor),
        created_at: before.as_ref().map_or(tx.now, |row| row.created_at),
        updated_at: tx.now,
        version: before.as_ref().map_or(1, |row| row.version + 1),
    };
    let outcome = match before {
        None => {
            insert(tx, actor, &row)?;
            Outcome::Created(row.id.cast())
        }
        Some(before) if same(&before, &row) => return Ok(Outcome::Unchanged(row.id.cast())),
        Some(_) => {
            let change = (
                products::name.eq(&row.name),
                products::for_kinds.eq(&row.for_kinds),
                products::features.eq(&row.features),
                products::launch_from.eq(row.launch_from),
                products::launch_to.eq(row.launch_to),
                products::status.eq(row.status),
                products::updated_at.eq(row.updated_at),
                products::version.eq(products::version + 1),
            );
            diesel::update(products::table.find(row.id)).set(change).execute(&mut tx.db)?;
            tx.emit(actor, NewEvent::new("product.updated", row.id, json!({ "code": row.code, "status": row.status })));
            Outcome::Updated(row.id.cast())
        }
    };
    known.insert(row.code.clone(), row);
    Ok(outcome)
}

/// Writes a new product with its event.
pub(super) fn insert(tx: &mut Tx<'_>, actor: &Actor, row: &ProductRow) -> Result<()> {
    diesel::insert_into(products::table).values(row).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("product.created", row.id, json!({ "code": row.code, "category": row.category })));
    Ok(())
}

fn same(before: &ProductRow, after: &ProductRow) -> bool {
    before.name == after.name
        && before.for_kinds == after.for_kinds
        && before.features == after.features
        && (before.launch_from, before.launch_to, before.status) == (after.launch_from, after.launch_to, after.status)
}
