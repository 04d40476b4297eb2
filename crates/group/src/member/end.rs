//! The end of memberships.

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{Actor, Date, Error, FieldError, Result, Tx, schema::group_members, store::among};

use super::{GroupMembersChange, GroupMembersEnd, MemberRow, MembershipId, active_from, announce, hold_customers, list, reaches};
use crate::{access, by_rule, group::GroupId};

/// How many ids one query names.
const CHUNK: usize = 5_000;

/// Ends the memberships of customers in a group, all of them or none. What holds on the day ends on it, what would begin later
/// never holds.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for customers out of sight and for those who are not members;
/// [`Error::Conflict`] `group_by_rule`.
pub fn end(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, how: &GroupMembersEnd) -> Result<GroupMembersChange> {
    by_rule::refuse(&access::manage(tx, actor, id)?)?;
    let mut seen = BTreeSet::new();
    let twice = |(index, customer): (usize, &CustomerId)| {
        let pointer = format!("/customer_ids/{index}");
        (!seen.insert(*customer)).then(|| FieldError::new(pointer, "duplicate", "This customer stands here twice."))
    };
    let broken: Vec<FieldError> = how.customer_ids.iter().enumerate().filter_map(twice).collect();
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    hold_customers(tx, actor, &how.customer_ids, |index| format!("/customer_ids/{index}"))?;
    let day = how.valid_to.unwrap_or_else(|| tx.now.date());
    let found = open_rows(tx, id, &how.customer_ids, day, |index| format!("/customer_ids/{index}"))?;
    let rows = how.customer_ids.iter().flat_map(|customer| found.get(customer).cloned().unwrap_or_default()).collect();
    let ended = close_rows(tx, actor, rows, day, &how.reason)?;
    list::change(tx, actor, id, ended)
}

/// The memberships of customers that hold on a day or later, those of absorbed records included, by the customer whose they are.
/// Whoever has none is a fault of the field that names them.
pub(crate) fn open_rows(
    tx: &mut Tx<'_>,
    group: GroupId,
    customers: &[CustomerId],
    day: Date,
    pointer: impl Fn(usize) -> String,
) -> Result<HashMap<CustomerId, Vec<MemberRow>>> {
    let records = scope::lineages(tx, customers)?;
    let living: HashMap<CustomerId, CustomerId> = scope::living(tx, records.iter().copied())?;
    let mut found: HashMap<CustomerId, Vec<MemberRow>> = HashMap::new();
    for chunk in records.chunks(CHUNK) {
        let of = group_members::table
            .filter(group_members::group_id.eq(group))
            .filter(among(group_members::customer_id, chunk.to_vec()))
            .filter(active_from(day))
            .order(group_members::id);
        for row in of.select(MemberRow::as_select()).load::<MemberRow>(&mut tx.db)? {
            let customer = living.get(&row.customer_id).copied().unwrap_or(row.customer_id);
            found.entry(customer).or_default().push(row);
        }
    }
    let absent = |(index, customer): (usize, &CustomerId)| {
        let message = "The customer is no member on this day, nor later.";
        (!found.contains_key(customer)).then(|| FieldError::new(pointer(index), "not_a_member", message))
    };
    let broken: Vec<FieldError> = customers.iter().enumerate().filter_map(absent).collect();
    if broken.is_empty() { Ok(found) } else { Err(Error::Invalid(broken)) }
}

/// All memberships of a group that hold on a day or later, if the actor reaches all these customers, who are then locked.
///
/// # Errors
/// [`Error::Forbidden`] when the group has members beyond the actor's reach.
pub(crate) fn all_open_rows(tx: &mut Tx<'_>, actor: &Actor, group: GroupId, day: Date) -> Result<Vec<MemberRow>> {
    let of = group_members::table.filter(group_members::group_id.eq(group)).filter(active_from(day)).order(group_members::id);
    let rows: Vec<MemberRow> = of.select(MemberRow::as_select()).load(&mut tx.db)?;
    let living = scope::living(tx, rows.iter().map(|row| row.customer_id))?;
    let customers: BTreeSet<CustomerId> =
        rows.iter().map(|row| living.get(&row.customer_id).copied().unwrap_or(row.customer_id)).collect();
    if !reaches(tx, actor, &customers.iter().copied().collect::<Vec<_>>())? {
        return Err(Error::Forbidden("The group has members beyond your reach.".into()));
    }
    scope::hold_all(tx, customers.into_iter())?;
    Ok(rows)
}

/// Refuses a group that is locked if it has present or future members.
pub(crate) fn refuse_members(tx: &mut Tx<'_>, group: GroupId) -> Result<()> {
    let of = group_members::table.filter(group_members::group_id.eq(group)).filter(active_from(tx.now.date()));
    let left: i64 = of.count().get_result(&mut tx.db)?;
    if left == 0 {
        return Ok(());
    }
    let detail = "The group has members, now or from a later day on: end their memberships first, or say end_members.";
    Err(Error::conflict("group_has_members", detail))
}

/// Ends all memberships of a group that is locked that hold on a day or later.
pub(crate) fn end_all(tx: &mut Tx<'_>, actor: &Actor, group: GroupId, day: Date, reason: &str) -> Result<Vec<MemberRow>> {
    let of = group_members::table.filter(group_members::group_id.eq(group)).filter(active_from(day));
    let rows: Vec<MemberRow> = of.select(MemberRow::as_select()).load(&mut tx.db)?;
    close_rows(tx, actor, rows, day, reason)
}

/// Ends memberships on a day, or on their first day if that is later, with their events.
pub(crate) fn close_rows(
    tx: &mut Tx<'_>,
    actor: &Actor,
    rows: Vec<MemberRow>,
    day: Date,
    reason: &str,
) -> Result<Vec<MemberRow>> {
    let mut by_day: HashMap<Date, Vec<MembershipId>> = HashMap::new();
    let mut ended = Vec::with_capacity(rows.len());
    for row in rows {
        let last = day.max(row.valid_from);
        by_day.entry(last).or_default().push(row.id);
        let end_reason = Some(reason.to_owned());
        ended.push(MemberRow { valid_to: Some(last), end_reason, updated_at: tx.now, version: row.version + 1, ..row });
    }
    for (last, ids) in by_day {
        for chunk in ids.chunks(CHUNK) {
            diesel::update(group_members::table.filter(among(group_members::id, chunk.to_vec())))
                .set((
                    group_members::valid_to.eq(last),
                    group_members::end_reason.eq(reason),
                    group_members::updated_at.eq(tx.now),
                    group_members::version.eq(group_members::version + 1),
                ))
                .execute(&mut tx.db)?;
        }
    }
    for row in &ended {
        announce(tx, actor, "group_member.removed", row);
    }
    Ok(ended)
}
