//! Making, changing and closing groups.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_customer::{number, scope};
use kehu_kernel::{
    Action, Actor, Date, Error, Result, Tx,
    event::NewEvent,
    schema::{group_parents, groups},
};
use kehu_organization::staff::StaffId;
use serde_json::json;

use super::{Group, GroupClose, GroupId, GroupKind, GroupPatch, GroupRow, GroupStatus, NewGroup, list, parent, staff};
use crate::{access, by_rule, member};

/// Forms a group.
///
/// # Errors
/// [`Error::Forbidden`] without `group.manage` that reaches the owner; [`Error::Invalid`] for unknown or inactive staff and
/// for unknown or closed parents.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewGroup) -> Result<Group> {
    let id = insert(tx, actor, new)?;
    list::find(tx, id)
}

/// As [`create`]; its id.
pub(crate) fn insert(tx: &mut Tx<'_>, actor: &Actor, new: NewGroup) -> Result<GroupId> {
    let reach = scope::allow_inside(actor, Action::GroupManage)?;
    let owner_id = staff::owner(tx, actor, &reach, new.owner_id)?;
    let id = GroupId::new();
    let row = GroupRow {
        id,
        number: number::lettered('G', id.cast()),
        name: new.name,
        kind: new.kind,
        purpose: new.purpose,
        strategy: new.strategy,
        service_level: new.service_level,
        owner_id,
        status: GroupStatus::Active,
        closed_on: None,
        close_reason: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
        rule: None,
        dimensions: None,
        branch_id: None,
        matrix_id: None,
        cell: None,
        refresh_number: 0,
        refreshed_to: None,
        refreshed_on: None,
        refreshed_at: None,
    };
    diesel::insert_into(groups::table).values(&row).execute(&mut tx.db)?;
    staff::set(tx, id, &new.team)?;
    if !new.parent_ids.is_empty() {
        parent::set(tx, id, &new.parent_ids)?;
    }
    announce(tx, actor, "group.created", &row);
    by_rule::declare(tx, actor, &row, by_rule::Wanted { rule: new.rule, dimensions: new.dimensions, branch_id: new.branch_id })?;
    Ok(id)
}

/// Changes a group that still has the version the caller saw.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `group_closed`, or `group_cycle` when
/// a parent stands below the group.
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, version: i64, change: GroupPatch) -> Result<Group> {
    let mut row = access::manage_version(tx, actor, id, version)?;
    if let Some(owner) = change.owner_id {
        row.owner_id = new_owner(tx, actor, owner)?;
    }
    row.name = change.name.unwrap_or(row.name);
    row.purpose = change.purpose.unwrap_or(row.purpose);
    row.strategy = change.strategy.unwrap_or(row.strategy);
    row.service_level = change.service_level.unwrap_or(row.service_level);
    if let Some(team) = &change.team {
        staff::set(tx, id, team)?;
    }
    if let Some(parents) = &change.parent_ids {
        refuse_cell(&row)?;
        parent::set(tx, id, parents)?;
    }
    by_rule::change(tx, actor, &row, change.rule, change.dimensions, change.branch_id)?;
    diesel::update(groups::table.find(id))
        .set((
            groups::name.eq(&row.name),
            groups::purpose.eq(&row.purpose),
            groups::strategy.eq(&row.strategy),
            groups::service_level.eq(&row.service_level),
            groups::owner_id.eq(row.owner_id),
            groups::updated_at.eq(tx.now),
            groups::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    announce(tx, actor, "group.updated", &row);
    list::find(tx, id)
}

/// Another owner within reach, or nobody, which only those may say who reach everything.
fn new_owner(tx: &mut Tx<'_>, actor: &Actor, owner: Option<StaffId>) -> Result<Option<StaffId>> {
    let reach = scope::allow_inside(actor, Action::GroupManage)?;
    match owner {
        Some(_) => staff::owner(tx, actor, &reach, owner),
        None => access::check_owner(tx, &reach, None).map(|()| None),
    }
}

/// Closes a group; its past stays known.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `group_closed`,
/// `group_has_members` or `group_has_children`.
pub fn close(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, version: i64, how: &GroupClose) -> Result<Group> {
    let row = access::manage_version(tx, actor, id, version)?;
    refuse_cell(&row)?;
    let today = tx.now.date();
    if row.kind == GroupKind::Matrix {
        by_rule::close_cells(tx, actor, id, how)?;
    }
    if how.end_members {
        member::end_all(tx, actor, id, today, &how.reason)?;
    }
    member::refuse_members(tx, id)?;
    close_empty(tx, actor, &row, &how.reason)?;
    list::find(tx, id)
}

/// Refuses what would take a cell out of its matrix.
fn refuse_cell(row: &GroupRow) -> Result<()> {
    match row.matrix_id {
        None => Ok(()),
        Some(_) => Err(Error::conflict("group_by_rule", "The cell of a matrix follows the matrix: change that instead.")),
    }
}

/// Closes a group that is locked and has no members any more.
pub(crate) fn close_empty(tx: &mut Tx<'_>, actor: &Actor, row: &GroupRow, reason: &str) -> Result<()> {
    let below = group_parents::table.inner_join(groups::table.on(group_parents::group_id.eq(groups::id)));
    let children: i64 = below
        .filter(group_parents::parent_id.eq(row.id))
        .filter(groups::status.eq(GroupStatus::Active))
        .count()
        .get_result(&mut tx.db)?;
    if children > 0 {
        return Err(Error::conflict("group_has_children", "Other groups stand below this one: close them first, or move them."));
    }
    let today: Date = tx.now.date();
    diesel::update(groups::table.find(row.id))
        .set((
            groups::status.eq(GroupStatus::Closed),
            groups::closed_on.eq(today),
            groups::close_reason.eq(reason),
            groups::updated_at.eq(tx.now),
            groups::version.eq(groups::version + 1),
        ))
        .execute(&mut tx.db)?;
    announce(tx, actor, "group.closed", row);
    Ok(())
}

/// Counts a change of a group that is locked and whose fields stay.
pub(crate) fn touch(tx: &mut Tx<'_>, id: GroupId) -> Result<()> {
    diesel::update(groups::table.find(id))
        .set((groups::updated_at.eq(tx.now), groups::version.eq(groups::version + 1)))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Notes that the members of a group follow its rule as of an event.
pub(crate) fn refreshed(tx: &mut Tx<'_>, id: GroupId, to: i64) -> Result<()> {
    let (now, today) = (tx.now, tx.now.date());
    diesel::update(groups::table.find(id))
        .set((groups::refreshed_to.eq(to), groups::refreshed_on.eq(today), groups::refreshed_at.eq(now)))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Tells what happened to a group.
pub(crate) fn announce(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, row: &GroupRow) {
    tx.emit(actor, NewEvent::new(kind, row.id, json!({ "number": row.number, "kind": row.kind })));
}
