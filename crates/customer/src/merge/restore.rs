//! The way back of rows: each to the customer that had it, with what was done to it meanwhile.

use diesel::{ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, AnyId, Result, Tx,
    event::NewEvent,
    schema::{legal_holds, merge_rows, source_records},
    store::sql,
};
use serde_json::json;

use super::{
    NAMED,
    record::{KeptChange, KeptKind, MergeRow},
    rows::{counted, json_of, moving},
};
use crate::{
    CustomerId,
    belonging::{Belonging, Fit, Registry, Statement},
    privacy::{LegalHold, LegalHoldId},
};

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = sql::Uuid)]
    id: AnyId,
}

/// What sources said of the restored records after the merge went to the survivor: their records are not known by it, so
/// that the source tells it again.
pub(super) fn forget_what_was_said(tx: &mut Tx<'_>, merge: &MergeRow) -> Result<()> {
    let moved: Vec<AnyId> = merge_rows::table
        .filter(merge_rows::merge_id.eq(merge.id))
        .filter(merge_rows::table_name.eq("source_records"))
        .select(merge_rows::row_id)
        .load(&mut tx.db)?;
    for chunk in moved.chunks(1_000) {
        let since = source_records::table
            .filter(source_records::id.eq_any(chunk.to_vec()))
            .filter(source_records::received_at.gt(merge.executed_at));
        diesel::update(since).set(source_records::content_hash.eq(Vec::<u8>::new())).execute(&mut tx.db)?;
    }
    Ok(())
}

/// A legal hold that was placed while the records were one holds each of them.
pub(super) fn keep_holding(tx: &mut Tx<'_>, actor: &Actor, merge: &MergeRow, members: &[CustomerId]) -> Result<()> {
    let holds: Vec<LegalHold> = legal_holds::table
        .filter(legal_holds::customer_id.eq(merge.survivor_id))
        .filter(legal_holds::released_at.is_null())
        .filter(legal_holds::placed_at.gt(merge.executed_at))
        .order(legal_holds::id)
        .select(LegalHold::as_select())
        .load(&mut tx.db)?;
    for member in members {
        for hold in &holds {
            let copy = LegalHold { id: LegalHoldId::new(), customer_id: *member, version: 1, ..hold.clone() };
            diesel::insert_into(legal_holds::table).values(&copy).execute(&mut tx.db)?;
            tx.emit(actor, NewEvent::new("legal_hold.placed", copy.id, json!({})).of_customer(*member));
        }
    }
    Ok(())
}

/// The customers of a merge, as the right side of `IN`.
const RECORDS: &str = "(SELECT n.customer_id FROM merge_members n WHERE n.merge_id = {merge} UNION SELECT {survivor})";

/// Moves all rows back, in the opposite order, and lists what is not as it was.
pub(super) fn restore(tx: &mut Tx<'_>, registry: Registry, merge: &MergeRow, kept: &mut Vec<KeptChange>) -> Result<()> {
    let mut tables = moving(registry);
    tables.reverse();
    for (belonging, rules) in tables {
        list(tx, belonging, merge, KeptKind::RowAdded, &added(belonging), kept)?;
        if belonging.versioned {
            list(tx, belonging, merge, KeptKind::RowChanged, &changed(belonging), kept)?;
        }
        list(tx, belonging, merge, KeptKind::RowGone, &gone(belonging), kept)?;
        give_back(tx, belonging, merge)?;
        for fit in rules.fits.iter().rev() {
            unfit(tx, belonging, fit, merge, kept)?;
        }
    }
    Ok(())
}

fn fill(text: String, belonging: &Belonging, merge: &MergeRow) -> Statement {
    Statement::new(text)
        .id("merge", merge.id)
        .id("survivor", merge.survivor_id)
        .text("table", belonging.table)
        .text("column", belonging.column)
}

/// Rows that are with the survivor now and were made after the merge: ids grow with time.
fn added(belonging: &Belonging) -> String {
    let Belonging { table, column, key, .. } = belonging;
    format!("SELECT r.{key} AS id FROM {table} r WHERE r.{column} = {{survivor}} AND r.{key} > {{merge}}")
}

/// Rows that moved and were changed since.
fn changed(belonging: &Belonging) -> String {
    let Belonging { table, column, key, .. } = belonging;
    format!(
        "SELECT r.{key} AS id FROM {table} r JOIN merge_rows m ON m.row_id = r.{key}
         WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}}
         AND r.version <> m.row_version AND r.{column} IN {RECORDS}"
    )
}

/// Rows that moved and are with somebody else now, or with nobody.
fn gone(belonging: &Belonging) -> String {
    let Belonging { table, column, key, .. } = belonging;
    format!(
        "SELECT m.row_id AS id FROM merge_rows m LEFT JOIN {table} r ON r.{key} = m.row_id
         WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}}
         AND (r.{column} IS NULL OR r.{column} NOT IN {RECORDS})"
    )
}

fn list(
    tx: &mut Tx<'_>,
    belonging: &Belonging,
    merge: &MergeRow,
    kind: KeptKind,
    query: &str,
    kept: &mut Vec<KeptChange>,
) -> Result<()> {
    let found: Vec<Found> = fill(format!("{query} ORDER BY 1 LIMIT {NAMED}"), belonging, merge).query()?.load(&mut tx.db)?;
    kept.extend(found.into_iter().map(|row| KeptChange { kind, table: belonging.table.to_owned(), row_id: row.id, field: None }));
    Ok(())
}

fn give_back(tx: &mut Tx<'_>, belonging: &Belonging, merge: &MergeRow) -> Result<()> {
    let Belonging { table, column, key, .. } = belonging;
    let text = format!(
        "UPDATE {table} SET {column} = m.customer_id FROM merge_rows m
         WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}}
         AND m.row_id = {table}.{key} AND {table}.{column} IN {RECORDS}"
    );
    fill(text, belonging, merge).execute(tx)?;
    Ok(())
}

/// Sets a value back that the merge had changed, where it is still what the merge made it.
fn unfit(tx: &mut Tx<'_>, belonging: &Belonging, fit: &Fit, merge: &MergeRow, kept: &mut Vec<KeptChange>) -> Result<()> {
    let Belonging { table, key, .. } = belonging;
    let Fit { column, from, to, .. } = fit;
    let noted = "m.merge_id = {merge} AND m.table_name = {table} AND m.column_name = {fit} AND m.before = {before}";
    let changed = format!(
        "SELECT r.{key} AS id FROM {table} r JOIN merge_rows m ON m.row_id = r.{key}
         WHERE {noted} AND r.{column} <> {to} ORDER BY 1 LIMIT {NAMED}"
    );
    let before = json_of(from)?;
    let with = |text: String| fill(text, belonging, merge).text("fit", *column).json("before", before.clone());
    let found: Vec<Found> = with(changed).query()?.load(&mut tx.db)?;
    kept.extend(found.into_iter().map(|row| KeptChange {
        kind: KeptKind::ValueChanged,
        table: (*table).to_owned(),
        row_id: row.id,
        field: Some((*column).to_owned()),
    }));
    let back = format!(
        "UPDATE {table} SET {column} = {from}{} WHERE {column} = {to}
         AND {key} IN (SELECT m.row_id FROM merge_rows m WHERE {noted})",
        counted(belonging)
    );
    with(back).execute(tx)?;
    Ok(())
}
