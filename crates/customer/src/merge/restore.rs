//! The way back of rows: each to the customer that had it, with what was done to it meanwhile.

use diesel::{QueryableByName, RunQueryDsl};
use kehu_kernel::{Result, Tx, store::sql};

use super::{
    NAMED,
    record::{KeptChange, KeptKind, MergeRow},
    rows::{json_of, moving},
};
use crate::belonging::{Belonging, Fit, Registry, Statement};

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = sql::Uuid)]
    id: kehu_kernel::AnyId,
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
        "UPDATE {table} SET {column} = {from} WHERE {column} = {to}
         AND {key} IN (SELECT m.row_id FROM merge_rows m WHERE {noted})"
    );
    with(back).execute(tx)?;
    Ok(())
}
