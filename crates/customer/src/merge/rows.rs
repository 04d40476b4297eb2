//! The rows that move: set by set, one statement a step, however many there are.

use diesel::{QueryableByName, RunQueryDsl, sql_types::BigInt};
use kehu_kernel::{Conn, Date, Error, Result, Tx, store::sql};
use serde_json::Value;

use super::{MovedRow, MovedRows, NAMED, record::MergeId};
use crate::{
    CustomerId,
    belonging::{Belonging, Fit, OnMerge, Registry, Rules, Statement},
};

/// One absorbed record on its way into the survivor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub merge: MergeId,
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    /// The day of the merge.
    pub today: Date,
}

impl Way {
    /// A statement whose ids and day are those of this way.
    pub fn statement(&self, text: String) -> Statement {
        let ids = Statement::new(text).id("merge", self.merge).id("survivor", self.survivor).id("absorbed", self.absorbed);
        ids.day("today", self.today)
    }
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = sql::Uuid)]
    row_id: kehu_kernel::AnyId,
    #[diesel(sql_type = sql::Uuid)]
    customer_id: CustomerId,
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    moved: i64,
    #[diesel(sql_type = BigInt)]
    yielded: i64,
}

/// The tables whose rows move, in their order.
pub(super) fn moving(registry: Registry) -> Vec<(&'static Belonging, Rules)> {
    let of = |belonging: &'static Belonging| match belonging.merge {
        OnMerge::Moves(rules) => Some((belonging, rules)),
        _ => None,
    };
    registry.iter().filter_map(of).collect()
}

/// Moves the rows of one absorbed record.
pub(super) fn carry(tx: &mut Tx<'_>, registry: Registry, way: Way) -> Result<()> {
    for (belonging, rules) in moving(registry) {
        if let Some(yields) = rules.yields {
            yield_up(tx, way, belonging, yields)?;
        }
        for fit in rules.fits {
            adapt(tx, way, belonging, fit)?;
        }
        let held_back = rules.held_back.map(|held| format!(" AND NOT ({held})")).unwrap_or_default();
        // What was yielded a moment ago is not to come back.
        let moves = format!("r.{} = {{absorbed}} AND {}{held_back}", belonging.column, unnoted(belonging));
        note(tx, way, belonging, &moves, way.absorbed)?;
        hand_over(tx, way, belonging)?;
        keep_versions(tx, way, belonging)?;
    }
    Ok(())
}

/// Rows that this merge has not touched yet.
fn unnoted(belonging: &Belonging) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM merge_rows y WHERE y.merge_id = {{merge}} AND y.table_name = {{table}}
         AND y.column_name = {{column}} AND y.row_id = r.{})",
        belonging.key
    )
}

/// Gives rows of the survivor to the absorbed, whose like is worth more. Of a row that came with another absorbed record
/// a moment ago it is written down already whose it was.
fn yield_up(tx: &mut Tx<'_>, way: Way, belonging: &Belonging, yields: &str) -> Result<()> {
    let Belonging { table, column, key, .. } = belonging;
    let yielding = format!("r.{column} = {{survivor}} AND ({yields})");
    note(tx, way, belonging, &format!("{yielding} AND {}", unnoted(belonging)), way.survivor)?;
    let text =
        format!("UPDATE {table} SET {column} = {{absorbed}} WHERE {key} IN (SELECT r.{key} FROM {table} r WHERE {yielding})");
    way.statement(text).execute(tx)?;
    Ok(())
}

/// What a change made by the merge itself counts for nothing when it is asked what was changed since.
fn keep_versions(tx: &mut Tx<'_>, way: Way, belonging: &Belonging) -> Result<()> {
    let Belonging { table, column, key, versioned, .. } = belonging;
    if !versioned {
        return Ok(());
    }
    let text = format!(
        "UPDATE merge_rows SET row_version = (SELECT r.version FROM {table} r WHERE r.{key} = merge_rows.row_id)
         WHERE merge_id = {{merge}} AND table_name = {{table}} AND column_name = {{column}}"
    );
    way.statement(text).text("table", *table).text("column", *column).execute(tx)?;
    Ok(())
}

/// Writes down which rows are to change their customer, and whose they were.
fn note(tx: &mut Tx<'_>, way: Way, belonging: &Belonging, condition: &str, owner: CustomerId) -> Result<()> {
    let Belonging { table, column, key, versioned, .. } = belonging;
    let version = if *versioned { "r.version" } else { "CAST(NULL AS BIGINT)" };
    let text = format!(
        "INSERT INTO merge_rows (merge_id, table_name, column_name, row_id, customer_id, row_version, before)
         SELECT {{merge}}, {{table}}, {{column}}, r.{key}, {{owner}}, {version}, NULL FROM {table} r WHERE {condition}"
    );
    way.statement(text).text("table", *table).text("column", *column).id("owner", owner).execute(tx)?;
    Ok(())
}

/// Gives the rows that were written down to the survivor.
fn hand_over(tx: &mut Tx<'_>, way: Way, belonging: &Belonging) -> Result<()> {
    let Belonging { table, column, key, .. } = belonging;
    let text = format!(
        "UPDATE {table} SET {column} = {{survivor}} WHERE {column} = {{absorbed}} AND {key} IN (SELECT m.row_id FROM merge_rows m
         WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}} AND m.customer_id = {{absorbed}})"
    );
    way.statement(text).text("table", *table).text("column", *column).execute(tx)?;
    Ok(())
}

/// Changes a value of rows so that they fit together, after writing down what it was.
fn adapt(tx: &mut Tx<'_>, way: Way, belonging: &Belonging, fit: &Fit) -> Result<()> {
    let Belonging { table, key, versioned, .. } = belonging;
    let Fit { column, from, to, of } = fit;
    let version = if *versioned { "r.version" } else { "CAST(NULL AS BIGINT)" };
    let text = format!(
        "INSERT INTO merge_rows (merge_id, table_name, column_name, row_id, customer_id, row_version, before)
         SELECT {{merge}}, {{table}}, {{column}}, r.{key}, {{absorbed}}, {version}, {{before}} FROM {table} r
         WHERE r.{column} = {from} AND ({of}) AND NOT EXISTS (SELECT 1 FROM merge_rows y WHERE y.merge_id = {{merge}}
             AND y.table_name = {{table}} AND y.column_name = {{column}} AND y.row_id = r.{key})"
    );
    let fill = |text: String| way.statement(text).text("table", *table).text("column", *column);
    fill(text).json("before", json_of(from)?).execute(tx)?;
    let text = format!(
        "UPDATE {table} SET {column} = {to}{} WHERE {column} = {from} AND {key} IN (SELECT m.row_id FROM merge_rows m
         WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}}
         AND m.customer_id = {{absorbed}} AND m.before = {{before}})",
        counted(belonging)
    );
    fill(text).json("before", json_of(from)?).execute(tx)?;
    Ok(())
}

/// What a changed value adds to the change: rows that count their versions have a new one.
pub(super) const fn counted(belonging: &Belonging) -> &'static str {
    if belonging.versioned { ", version = version + 1" } else { "" }
}

/// The JSON of a literal of SQL.
pub(super) fn json_of(literal: &str) -> Result<Value> {
    let text = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    text.map_or_else(|| serde_json::from_str(literal).map_err(Error::internal), |text| Ok(Value::from(text)))
}

/// What became of all rows, table by table.
pub(super) fn report(conn: &mut Conn, registry: Registry, merge: MergeId, survivor: CustomerId) -> Result<Vec<MovedRows>> {
    let mut tables = Vec::new();
    for (belonging, rules) in moving(registry) {
        let Belonging { table, column, key, .. } = *belonging;
        let fill = |text: String| Statement::new(text).id("merge", merge).text("table", table).text("column", column);
        let counted = format!(
            "SELECT CAST(COALESCE(SUM(CASE WHEN m.customer_id <> {{survivor}} AND r.{column} = {{survivor}} THEN 1 ELSE 0 END), 0)
                 AS BIGINT) AS moved,
             CAST(COALESCE(SUM(CASE WHEN m.customer_id = {{survivor}} THEN 1 ELSE 0 END), 0) AS BIGINT) AS yielded
             FROM merge_rows m JOIN {table} r ON r.{key} = m.row_id
             WHERE m.merge_id = {{merge}} AND m.table_name = {{table}} AND m.column_name = {{column}}"
        );
        let counts: Vec<Counts> = fill(counted).id("survivor", survivor).query()?.load(&mut conn.db)?;
        let (moved, yielded) = counts.first().map_or((0, 0), |counts| (counts.moved, counts.yielded));
        let mut adapted = 0;
        let mut counted = Vec::new();
        for fit in rules.fits.iter().filter(|fit| fit.column != column) {
            if counted.contains(&fit.column) {
                continue;
            }
            counted.push(fit.column);
            let text = "SELECT COUNT(*) AS count FROM merge_rows
                 WHERE merge_id = {merge} AND table_name = {table} AND column_name = {fit}";
            adapted += fill(text.to_owned()).text("fit", fit.column).count(conn)?;
        }
        // What is with the absorbed and was not the survivor's.
        let held = format!(
            "FROM {table} r JOIN merge_members m ON m.customer_id = r.{column} AND m.merge_id = {{merge}}
             WHERE NOT EXISTS (SELECT 1 FROM merge_rows y WHERE y.merge_id = {{merge}} AND y.table_name = {{table}}
                 AND y.column_name = {{column}} AND y.row_id = r.{key} AND y.customer_id = {{survivor}})"
        );
        let fill = |text: String| fill(text).id("survivor", survivor);
        let held_back = fill(format!("SELECT COUNT(*) AS count {held}")).count(conn)?;
        let select = format!("SELECT r.{key} AS row_id, r.{column} AS customer_id {held} ORDER BY r.{key} LIMIT {NAMED}");
        let held_back_rows = load(conn, fill(select))?;
        if moved + yielded + adapted + held_back > 0 {
            let (table, column) = (table.to_owned(), column.to_owned());
            tables.push(MovedRows { table, column, moved, held_back, yielded, adapted, rows: Vec::new(), held_back_rows });
        }
    }
    Ok(tables)
}

/// The first rows of a table that a merge moved.
pub(super) fn named(conn: &mut Conn, merge: MergeId, table: &str, column: &str) -> Result<Vec<MovedRow>> {
    let text = format!(
        "SELECT row_id, customer_id FROM merge_rows WHERE merge_id = {{merge}} AND table_name = {{table}}
         AND column_name = {{column}} ORDER BY row_id LIMIT {NAMED}"
    );
    load(conn, Statement::new(text).id("merge", merge).text("table", table).text("column", column))
}

fn load(conn: &mut Conn, statement: Statement) -> Result<Vec<MovedRow>> {
    let rows: Vec<Named> = statement.query()?.load(&mut conn.db)?;
    Ok(rows.into_iter().map(|row| MovedRow { id: row.row_id, customer_id: row.customer_id }).collect())
}
