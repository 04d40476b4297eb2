//! Records with the cell of a matrix to which they belong, by one statement.

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

use super::{
    CheckedDimension, Extent, FieldType, Operand,
    check::Quantity,
    condition::{Part, Writer, push},
    dimension::Divider,
};
use crate::{
    Conn,
    store::{Db, MultiBackend, sql},
};

/// A query for the ids of records and the numbers of their cells: the last dimension counts fastest, from 0.
#[derive(Debug, Clone)]
pub struct Divided<W> {
    parts: Vec<Part>,
    condition: W,
}

/// Which of the records that meet a condition belong to which cell of these dimensions, of which there is at least one.
#[must_use]
pub fn divided<W>(conn: &Conn, dimensions: &[CheckedDimension], extent: Extent, condition: W) -> Divided<W> {
    let (today, table) = dimensions.first().map_or((conn.now.date(), ""), |first| (first.today, first.table));
    let mut writer = Writer::new(conn, table, today, extent);
    let mut joins = Writer::new(conn, table, today, extent);
    writer.sql(format!("SELECT {table}.id, CAST("));
    let mut stride: usize = dimensions.iter().map(|dimension| dimension.parts.len()).product();
    for (place, dimension) in dimensions.iter().enumerate() {
        stride /= dimension.parts.len().max(1);
        writer.sql(if place > 0 { " + " } else { "" });
        part(&mut writer, &mut joins, dimension, place);
        writer.sql(format!(" * {stride}"));
    }
    writer.sql(format!(" AS BIGINT) FROM {table}"));
    writer.parts.append(&mut joins.parts);
    writer.sql(" WHERE ");
    Divided { parts: writer.parts, condition }
}

/// The number of a record's part.
fn part(writer: &mut Writer, joins: &mut Writer, dimension: &CheckedDimension, place: usize) {
    let rest = dimension.parts.len().saturating_sub(1);
    match &dimension.divider {
        Divider::Words(field, words) => beside(writer, field.beside, rest, |writer| {
            writer.sql(format!("CASE {}", field.sql));
            for (number, word) in words.iter().enumerate() {
                writer.sql(" WHEN ");
                writer.operand(word);
                writer.sql(format!(" THEN {number}"));
            }
            writer.sql(format!(" ELSE {rest} END"));
        }),
        Divider::Limits(field, limits) => beside(writer, field.beside, rest, |writer| {
            writer.sql(format!("CASE WHEN {} IS NULL", field.sql));
            if let (FieldType::Money(currency), Some(Operand::Money(money))) = (field.kind, limits.first()) {
                writer.sql(format!(" OR {currency} <> "));
                writer.bound(money.currency.code());
            }
            writer.sql(format!(" THEN {rest}"));
            below(writer, field.sql, limits);
        }),
        Divider::Sums(quantity, field, limits) => {
            let total = format!("COALESCE(SUM({}), 0) AS total", field.sql);
            if writer.gathers.is_some() {
                gathered(joins, quantity, &total, (field.kind, limits.first()), place);
                writer.sql("CASE");
                below(writer, &format!("COALESCE(divided_{place}.total, 0)"), limits);
            } else {
                writer.sql("(SELECT CASE");
                below(writer, "summed.total", limits);
                writer.sql(format!(" FROM (SELECT {total}"));
                writer.items(quantity);
                writer.in_currency(field.kind, limits.first());
                writer.sql(") AS summed)");
            }
        }
        Divider::Rules(rules) => {
            writer.sql("CASE");
            for (number, rule) in rules.iter().enumerate() {
                writer.sql(" WHEN ");
                writer.node(&rule.root);
                writer.sql(format!(" THEN {number}"));
            }
            writer.sql(format!(" ELSE {rest} END"));
        }
    }
}

/// What is written, where the field stands in another table: from its row, or `rest` without one.
fn beside(writer: &mut Writer, table: Option<&str>, rest: usize, write: impl FnOnce(&mut Writer)) {
    match table {
        None => write(writer),
        Some(table) => {
            writer.sql("COALESCE((SELECT ");
            write(writer);
            writer.sql(format!(" FROM {table}), {rest})"));
        }
    }
}

/// The rest of a `CASE`: between which limits a value lies.
fn below(writer: &mut Writer, value: &str, limits: &[Operand]) {
    for (number, limit) in limits.iter().enumerate() {
        writer.sql(format!(" WHEN {value} < "));
        writer.operand(limit);
        writer.sql(format!(" THEN {number}"));
    }
    writer.sql(format!(" ELSE {} END", limits.len()));
}

/// The sums of all records, joined to them.
fn gathered(joins: &mut Writer, quantity: &Quantity, total: &str, compared: (FieldType, Option<&Operand>), place: usize) {
    let key = quantity.collection.key;
    joins.sql(format!(" LEFT JOIN (SELECT {key} AS gathered_id, {total}"));
    joins.all_items(quantity);
    joins.in_currency(compared.0, compared.1);
    joins.sql(format!(" GROUP BY {key}) AS divided_{place} ON divided_{place}.gathered_id = {}.id", joins.table));
}

impl<W: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Divided<W> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        push(&self.parts, &mut out)?;
        self.condition.walk_ast(out)
    }
}

impl<W> QueryId for Divided<W> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<W> Query for Divided<W> {
    type SqlType = (sql::Uuid, BigInt);
}

impl<W> RunQueryDsl<Db> for Divided<W> {}
