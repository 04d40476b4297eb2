//! Which groups stand above which: a group may have several above it, and never itself, through others neither.

use std::collections::{BTreeSet, HashSet};

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Error, FieldError, Result, Tx, bulk_insert,
    schema::{group_parents, groups},
    store::among,
};

use super::{GroupId, GroupStatus};

/// The number that those hold who put groups above others, one after the other: two who do so at once could close a circle.
const TREE: i64 = 5_204_611_930_276_145_882;

#[derive(Insertable)]
#[diesel(table_name = group_parents, treat_none_as_default_value = false)]
struct ParentRow {
    group_id: GroupId,
    parent_id: GroupId,
}

/// Puts exactly these groups above a group.
pub(super) fn set(tx: &mut Tx<'_>, group: GroupId, parents: &[GroupId]) -> Result<()> {
    tx.hold(&[TREE])?;
    check(tx, group, parents)?;
    diesel::delete(group_parents::table.filter(group_parents::group_id.eq(group))).execute(&mut tx.db)?;
    if stands_above(tx, group, parents)? {
        let detail = "One of these groups stands below this one already: groups never stand in a circle.";
        return Err(Error::conflict("group_cycle", detail));
    }
    let rows: Vec<ParentRow> = parents.iter().map(|parent| ParentRow { group_id: group, parent_id: *parent }).collect();
    bulk_insert!(tx, group_parents::table, &rows)?;
    Ok(())
}

fn check(tx: &mut Tx<'_>, group: GroupId, parents: &[GroupId]) -> Result<()> {
    let known: Vec<(GroupId, GroupStatus)> =
        groups::table.filter(among(groups::id, parents.to_vec())).select((groups::id, groups::status)).load(&mut tx.db)?;
    let mut seen = BTreeSet::new();
    let fault = |(index, parent): (usize, &GroupId)| {
        let (code, message) = match known.iter().find(|(id, _)| id == parent) {
            _ if *parent == group => ("own_parent", "A group does not stand above itself."),
            _ if !seen.insert(*parent) => ("duplicate", "This group stands here twice."),
            None => ("unknown_group", "There is no group with this id."),
            Some((_, GroupStatus::Closed)) => ("group_closed", "The group is closed."),
            Some((_, GroupStatus::Active)) => return None,
        };
        Some(FieldError::new(format!("/parent_ids/{index}"), code, message))
    };
    let broken: Vec<FieldError> = parents.iter().enumerate().filter_map(fault).collect();
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// Whether a group stands above any of others, level by level upwards.
fn stands_above(tx: &mut Tx<'_>, group: GroupId, others: &[GroupId]) -> Result<bool> {
    let mut seen: HashSet<GroupId> = others.iter().copied().collect();
    let mut level = others.to_vec();
    while !level.is_empty() {
        let above: Vec<GroupId> = group_parents::table
            .filter(among(group_parents::group_id, level))
            .select(group_parents::parent_id)
            .load(&mut tx.db)?;
        if above.contains(&group) {
            return Ok(true);
        }
        level = above.into_iter().filter(|id| seen.insert(*id)).collect();
    }
    Ok(false)
}
