//! The cells of a matrix: a dynamic group for each way in which parts of its dimensions meet.

use std::collections::HashMap;

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};
use kehu_customer::number;
use kehu_kernel::{
    Actor, Conn, Error, Result, Tx, bulk_copy,
    rule::CheckedDimension,
    schema::{group_parents, groups},
};

use crate::{
    group::{self, GroupClose, GroupId, GroupKind, GroupRow, GroupStatus},
    member,
};

/// How many cells a matrix may have.
pub(super) const MOST: usize = 1_000;
/// How long the name of a group may be.
const NAME: usize = 200;

/// The parts that meet in a cell, as they are kept.
#[must_use]
pub(crate) fn parts(kept: Option<&str>) -> Vec<String> {
    kept.and_then(|kept| serde_json::from_str(kept).ok()).unwrap_or_default()
}

/// The keys of all cells in their order: the last dimension counts fastest.
pub(super) fn keys<'a>(dimensions: &'a [CheckedDimension]) -> Result<Vec<String>> {
    let mut all: Vec<Vec<&'a str>> = vec![Vec::new()];
    for dimension in dimensions {
        let longer =
            |cell: Vec<&'a str>| dimension.parts.iter().map(move |part| cell.iter().copied().chain([part.as_str()]).collect());
        all = all.into_iter().flat_map(longer).collect();
    }
    all.iter().map(|cell| serde_json::to_string(cell).map_err(Error::internal)).collect()
}

/// The open cells of a matrix by their keys.
pub(super) fn open(conn: &mut Conn, matrix: GroupId) -> Result<HashMap<String, GroupId>> {
    let of = groups::table.filter(groups::matrix_id.eq(matrix)).filter(groups::status.eq(GroupStatus::Active));
    let rows: Vec<(Option<String>, GroupId)> = of.select((groups::cell, groups::id)).load(&mut conn.db)?;
    Ok(rows.into_iter().filter_map(|(key, id)| Some((key?, id))).collect())
}

#[derive(Insertable)]
#[diesel(table_name = group_parents, treat_none_as_default_value = false)]
struct Above {
    group_id: GroupId,
    parent_id: GroupId,
}

/// Makes the cells that a matrix lacks; it is locked. Those that it no longer has are closed when its members have left them.
pub(super) fn make(tx: &mut Tx<'_>, actor: &Actor, matrix: &GroupRow, dimensions: &[CheckedDimension]) -> Result<()> {
    let there = open(tx, matrix.id)?;
    let missing = keys(dimensions)?.into_iter().filter(|key| !there.contains_key(key));
    let rows: Vec<GroupRow> = missing.map(|key| row(matrix, key, tx.now)).collect();
    let above: Vec<Above> = rows.iter().map(|row| Above { group_id: row.id, parent_id: matrix.id }).collect();
    bulk_copy!(tx, groups::table, &rows)?;
    bulk_copy!(tx, group_parents::table, &above)?;
    for row in &rows {
        group::announce(tx, actor, "group.created", row);
    }
    Ok(())
}

fn row(matrix: &GroupRow, key: String, now: kehu_kernel::Instant) -> GroupRow {
    let id = GroupId::new();
    GroupRow {
        id,
        number: number::lettered('G', id.cast()),
        name: parts(Some(&key)).join(" / ").chars().take(NAME).collect(),
        kind: GroupKind::Dynamic,
        purpose: None,
        strategy: None,
        service_level: None,
        rule: None,
        dimensions: None,
        matrix_id: Some(matrix.id),
        cell: Some(key),
        created_at: now,
        updated_at: now,
        version: 1,
        ..matrix.clone()
    }
}

/// Closes the cells of a matrix that is locked and about to be closed.
///
/// # Errors
/// [`Error::Conflict`] `group_has_members` unless their memberships are to end, too.
pub(crate) fn close_all(tx: &mut Tx<'_>, actor: &Actor, matrix: GroupId, how: &GroupClose) -> Result<()> {
    let cells: Vec<GroupId> = open(tx, matrix)?.into_values().collect();
    if !how.end_members {
        cells.iter().try_for_each(|cell| member::refuse_members(tx, *cell))?;
    }
    close_gone(tx, actor, &cells, &how.reason)
}

/// Closes the cells that a matrix no longer has, with the memberships that are left in them.
pub(super) fn close_gone(tx: &mut Tx<'_>, actor: &Actor, gone: &[GroupId], reason: &str) -> Result<()> {
    for id in gone {
        let row: GroupRow = group::row(tx, *id)?;
        let today = tx.now.date();
        member::end_all(tx, actor, *id, today, reason)?;
        group::close_empty(tx, actor, &row, reason)?;
    }
    Ok(())
}
