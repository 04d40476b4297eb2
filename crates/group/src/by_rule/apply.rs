//! Bringing customers into groups and out of them, some at a time.

use std::collections::HashSet;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{
    Actor, Error, Result, Tx,
    schema::{group_members, groups},
    store::among,
};

use super::standing::Standing;
use crate::{
    access,
    group::{self, GroupId, GroupStatus},
    member::{GroupMemberRole, MemberRow, MembershipId, MembershipSource, active_from, close_rows, insert},
};

/// Why memberships end.
const OVER: &str = "no longer meets the rule";

/// Begins an attempt to make the members of a group follow its rule: older ones find themselves outdated and give up, so that
/// nothing is written by what was true before. Nothing for a group that is closed.
pub(super) fn begin(tx: &mut Tx<'_>, id: GroupId) -> Result<Option<i64>> {
    access::hold(tx, id)?;
    let of = groups::table.find(id).filter(groups::status.eq(GroupStatus::Active));
    let number = groups::refresh_number.eq(groups::refresh_number + 1);
    Ok(diesel::update(of).set(number).returning(groups::refresh_number).get_result(&mut tx.db).optional()?)
}

/// Takes hold of a group of which no later attempt has begun, and whose rule is as it was.
///
/// # Errors
/// [`Error::Conflict`] `outdated`: begin again.
pub(super) fn hold(tx: &mut Tx<'_>, id: GroupId, number: i64) -> Result<()> {
    access::hold(tx, id)?;
    let row = group::row(tx, id)?;
    if row.refresh_number != number || row.status != GroupStatus::Active {
        return Err(Error::conflict("outdated", "The group was asked anew, or its rule was changed."));
    }
    Ok(())
}

/// Lets customers become members from today on; those who are there already stay as they are. How many came.
pub(super) fn come(tx: &mut Tx<'_>, actor: &Actor, some: &[(CustomerId, GroupId)]) -> Result<i64> {
    let ids: Vec<CustomerId> = some.iter().map(|(customer, _)| *customer).collect();
    // Whoever was merged or erased meanwhile is asked about again for that.
    let living = scope::share_living(tx, ids.clone())?;
    let groups: HashSet<GroupId> = some.iter().map(|(_, group)| *group).collect();
    let present: HashSet<(CustomerId, GroupId)> = group_members::table
        .filter(among(group_members::customer_id, ids))
        .filter(among(group_members::group_id, groups.into_iter().collect::<Vec<_>>()))
        .filter(active_from(tx.now.date()))
        .select((group_members::customer_id, group_members::group_id))
        .load::<(CustomerId, GroupId)>(&mut tx.db)?
        .into_iter()
        .collect();
    let wanted = some.iter().filter(|(customer, group)| living.contains(customer) && !present.contains(&(*customer, *group)));
    let rows: Vec<MemberRow> = wanted.map(|(customer, group)| row(tx, actor, *customer, *group)).collect();
    insert(tx, actor, &rows)?;
    i64::try_from(rows.len()).map_err(Error::internal)
}

fn row(tx: &Tx<'_>, actor: &Actor, customer_id: CustomerId, group_id: GroupId) -> MemberRow {
    MemberRow {
        id: MembershipId::new(),
        group_id,
        customer_id,
        role: GroupMemberRole::Member,
        is_primary: false,
        valid_from: tx.now.date(),
        valid_to: None,
        source: MembershipSource::Rule,
        reason: None,
        end_reason: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    }
}

/// Ends memberships today. How many ended.
pub(super) fn leave(tx: &mut Tx<'_>, actor: &Actor, some: &[MembershipId]) -> Result<i64> {
    let today = tx.now.date();
    let of = group_members::table.filter(among(group_members::id, some.to_vec())).filter(active_from(today));
    let rows: Vec<MemberRow> = of.select(MemberRow::as_select()).load(&mut tx.db)?;
    let ended = close_rows(tx, actor, rows, today, OVER)?;
    i64::try_from(ended.len()).map_err(Error::internal)
}

/// Notes that the members of a group that is held follow the rule as of an event, and closes the cells that are no more.
pub(super) fn settle(tx: &mut Tx<'_>, actor: &Actor, standing: &Standing, to: i64) -> Result<()> {
    super::cell::close_gone(tx, actor, &standing.gone, "the matrix was divided anew")?;
    group::refreshed(tx, standing.group.id, to)
}
