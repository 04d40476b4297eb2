//! Reading groups.

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, AnyId, Conn, Error, Page, PageParams, Reference, Result,
    access::Reach,
    schema::{branches, group_members, group_parents, group_staff, groups, staff},
    store::{MultiBackend, among},
};
use kehu_organization::{branch::BranchId, staff::StaffId};

use super::{Group, GroupCell, GroupFilter, GroupId, GroupRow, GroupStaff, GroupStaffRole};
use crate::{access, by_rule::cell, member::active};

/// Groups in the order in which they were made.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &GroupFilter, params: &PageParams) -> Result<Page<Group>> {
    access::read(actor)?;
    let window = params.window::<GroupId>(&conn.keys, &format!("groups?{filter:?}"))?;
    let reach = access::members_within(actor);
    let total = if window.include_total { Some(matching(conn, filter, &reach).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(conn, filter, &reach).order(groups::id).limit(window.fetch()).select(GroupRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(groups::id.gt(after));
    }
    let rows: Vec<GroupRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row| row.id)?;
    let items = present(conn, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

fn matching(conn: &Conn, filter: &GroupFilter, reach: &Reach) -> groups::BoxedQuery<'static, MultiBackend> {
    let mut query = groups::table.into_boxed();
    if let Some(kind) = filter.kind {
        query = query.filter(groups::kind.eq(kind));
    }
    if let Some(status) = filter.status {
        query = query.filter(groups::status.eq(status));
    }
    if let Some(owner) = filter.owner_id {
        query = query.filter(groups::owner_id.eq(owner));
    }
    if let Some(person) = filter.staff_id {
        let of = group_staff::table.filter(group_staff::staff_id.eq(person)).select(group_staff::group_id);
        query = query.filter(groups::id.eq_any(of));
    }
    if let Some(parent) = filter.parent_id {
        let of = group_parents::table.filter(group_parents::parent_id.eq(parent)).select(group_parents::group_id);
        query = query.filter(groups::id.eq_any(of));
    }
    if let Some(customer) = filter.customer_id {
        let of = group_members::table
            .filter(group_members::customer_id.eq(customer))
            .filter(active(conn.now.date()))
            .filter(kehu_customer::of_visible(group_members::customer_id, reach))
            .select(group_members::group_id)
            .into_boxed();
        query = query.filter(kehu_kernel::store::within(groups::id, of));
    }
    if let Some(number) = &filter.number {
        query = query.filter(groups::number.eq(number.clone()));
    }
    query
}

/// One group.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: GroupId) -> Result<Group> {
    access::read(actor)?;
    find(conn, id)
}

pub(super) fn find(conn: &mut Conn, id: GroupId) -> Result<Group> {
    let row = row(conn, id)?;
    present(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

/// A group as it is kept.
pub(crate) fn row(conn: &mut Conn, id: GroupId) -> Result<GroupRow> {
    Ok(groups::table.find(id).select(GroupRow::as_select()).first(&mut conn.db)?)
}

/// The names of groups; of those that do not exist, nothing.
pub(crate) fn names(conn: &mut Conn, ids: impl Iterator<Item = GroupId>) -> Result<HashMap<GroupId, String>> {
    let ids: BTreeSet<GroupId> = ids.collect();
    let of = groups::table.filter(among(groups::id, ids.into_iter().collect::<Vec<_>>()));
    Ok(of.select((groups::id, groups::name)).load::<(GroupId, String)>(&mut conn.db)?.into_iter().collect())
}

/// Adds owners, teams and parents, with the same few queries for any number of groups.
fn present(conn: &mut Conn, rows: Vec<GroupRow>) -> Result<Vec<Group>> {
    let ids: Vec<GroupId> = rows.iter().map(|row| row.id).collect();
    let owners: Vec<StaffId> = rows.iter().filter_map(|row| row.owner_id).collect();
    let owners: HashMap<StaffId, String> =
        staff::table.filter(among(staff::id, owners)).select((staff::id, staff::name)).load(&mut conn.db)?.into_iter().collect();
    let people: Vec<(GroupId, StaffId, String, GroupStaffRole)> = group_staff::table
        .inner_join(staff::table.on(group_staff::staff_id.eq(staff::id)))
        .filter(among(group_staff::group_id, ids.clone()))
        .order((group_staff::role, staff::employee_no))
        .select((group_staff::group_id, staff::id, staff::name, group_staff::role))
        .load(&mut conn.db)?;
    let above: Vec<(GroupId, GroupId, String)> = group_parents::table
        .inner_join(groups::table.on(group_parents::parent_id.eq(groups::id)))
        .filter(among(group_parents::group_id, ids))
        .order(groups::id)
        .select((group_parents::group_id, groups::id, groups::name))
        .load(&mut conn.db)?;
    let places: Vec<AnyId> = rows.iter().filter_map(|row| row.branch_id).map(kehu_kernel::Id::cast).collect();
    let places = branches::table.filter(among(branches::id, places)).select((branches::id, branches::name));
    let places: HashMap<BranchId, String> = places.load(&mut conn.db)?.into_iter().collect();
    let matrices = names(conn, rows.iter().filter_map(|row| row.matrix_id))?;
    let shown = |row: GroupRow| {
        let mut team: Vec<GroupStaff> = people
            .iter()
            .filter(|(group, ..)| *group == row.id)
            .map(|(_, id, name, role)| GroupStaff { staff: Reference::new(*id, name.clone()), role: *role })
            .collect();
        team.sort_by_key(|person| person.role);
        let parents = above.iter().filter(|(group, ..)| *group == row.id);
        Group {
            parents: parents.map(|(_, id, name)| Reference::new(*id, name.clone())).collect(),
            owner: row.owner_id.map(|id| Reference::new(id, owners.get(&id).cloned().unwrap_or_default())),
            team,
            id: row.id,
            number: row.number,
            name: row.name,
            kind: row.kind,
            purpose: row.purpose,
            strategy: row.strategy,
            service_level: row.service_level,
            rule: row.rule.map(|rule| rule.0),
            dimensions: row.dimensions.map(|dimensions| dimensions.0).unwrap_or_default(),
            branch: row.branch_id.map(|id| Reference::new(id, places.get(&id).cloned().unwrap_or_default())),
            cell: row.matrix_id.map(|id| GroupCell {
                matrix: Reference::new(id, matrices.get(&id).cloned().unwrap_or_default()),
                parts: cell::parts(row.cell.as_deref()),
            }),
            status: row.status,
            closed_on: row.closed_on,
            close_reason: row.close_reason,
            created_by: row.created_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    };
    Ok(rows.into_iter().map(shown).collect())
}
