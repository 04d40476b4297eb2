//! Putting customers into groups.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, FieldError, Result, Tx, bulk_copy,
    error::Obstacle,
    schema::{customers, group_members},
    store::among,
};

use super::{
    GivenSource, GroupMemberRole, GroupMembersChange, MemberRow, MembershipId, MembershipSource, NewGroupMembers, announce, list,
};
use crate::{
    access, by_rule,
    group::{GroupId, GroupKind},
    interval::Span,
};

/// How many ids one query names.
const CHUNK: usize = 5_000;
/// How many obstacles an answer names.
const NAMED: usize = 100;

/// Puts customers into a group, all of them or none.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Invalid`] for customers out of sight, roles that do not fit the group and
/// impossible days; [`Error::Conflict`] `group_closed`, `group_by_rule`, `membership_overlaps` or `primary_member_exists`.
pub fn add(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, new: NewGroupMembers) -> Result<GroupMembersChange> {
    let group = access::open(access::manage(tx, actor, id)?)?;
    by_rule::refuse(&group)?;
    let from = new.valid_from.unwrap_or_else(|| tx.now.date());
    refuse_unfit(group.kind, &new, from)?;
    let ids: Vec<CustomerId> = new.members.iter().map(|member| member.customer_id).collect();
    hold_customers(tx, actor, &ids, |index| format!("/members/{index}/customer_id"))?;
    let row = |member: super::NewGroupMember| MemberRow {
        id: MembershipId::new(),
        group_id: id,
        customer_id: member.customer_id,
        role: member.role.unwrap_or(GroupMemberRole::Member),
        is_primary: member.primary,
        valid_from: from,
        valid_to: new.valid_to,
        source: match new.source {
            Some(GivenSource::Import) => MembershipSource::Import,
            Some(GivenSource::Manual) | None => MembershipSource::Manual,
        },
        reason: new.reason.clone(),
        end_reason: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    let rows: Vec<MemberRow> = new.members.into_iter().map(row).collect();
    check_spans(tx, id, &rows)?;
    insert(tx, actor, &rows)?;
    list::change(tx, actor, id, rows)
}

fn refuse_unfit(kind: GroupKind, new: &NewGroupMembers, from: Date) -> Result<()> {
    let mut broken = Vec::new();
    if new.valid_to.is_some_and(|to| to <= from) {
        broken.push(FieldError::new("/valid_to", "before_start", "A membership ends after it begins."));
    }
    let mut seen = BTreeSet::new();
    let mut primaries = 0;
    for (index, member) in new.members.iter().enumerate() {
        let mut fault = |field: &str, code: &str, message: &str| {
            broken.push(FieldError::new(format!("/members/{index}/{field}"), code, message));
        };
        if !seen.insert(member.customer_id) {
            fault("customer_id", "duplicate", "This customer stands here twice.");
        }
        if member.role.is_some_and(|role| !role.fits(kind)) {
            fault("role", "role_of_another_kind", "Members of this kind of group do not have this role.");
        }
        primaries += usize::from(member.primary);
        if member.primary && !kind.has_primary() {
            fault("primary", "no_primary_member", "Only households and groups of companies have a primary member.");
        } else if member.primary && primaries > 1 {
            fault("primary", "second_primary", "A group has one primary member at a time.");
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// Customers whom the actor sees, locked: none of them is merged or erased before what refers to them is written.
pub(crate) fn hold_customers(
    tx: &mut Tx<'_>,
    actor: &Actor,
    ids: &[CustomerId],
    pointer: impl Fn(usize) -> String,
) -> Result<()> {
    let seen = seen(tx, actor, ids)?;
    let mut broken = Vec::new();
    for (index, id) in ids.iter().enumerate().filter(|(_, id)| !seen.contains(*id)) {
        match scope::unknown(tx, actor, &pointer(index), *id)? {
            Error::Invalid(faults) => broken.extend(faults),
            other => return Err(other),
        }
    }
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    scope::hold_all(tx, ids.iter().copied())?;
    // Erased between the look and the lock: begin anew and find it gone.
    if self::seen(tx, actor, ids)?.len() < seen.len() { Err(Error::Busy) } else { Ok(()) }
}

/// Whether the actor may deal with all of these customers as members.
pub(super) fn reaches(conn: &mut Conn, actor: &Actor, ids: &[CustomerId]) -> Result<bool> {
    Ok(seen(conn, actor, ids)?.len() == ids.len())
}

fn seen(conn: &mut Conn, actor: &Actor, ids: &[CustomerId]) -> Result<HashSet<CustomerId>> {
    let (reading, managing) = (access::members_within(actor), actor.allow(Action::GroupManage)?);
    let mut seen = HashSet::new();
    for chunk in ids.chunks(CHUNK) {
        let of = customers::table
            .filter(among(customers::id, chunk.to_vec()))
            .filter(kehu_customer::visible_to(&reading))
            .filter(kehu_customer::visible_to(&managing));
        seen.extend(of.select(customers::id).load::<CustomerId>(&mut conn.db)?);
    }
    Ok(seen)
}

/// Refuses memberships that would hold on a day on which the same customer is in the group already, and a second primary
/// member. The group is locked. What an absorbed record of a customer has is the customer's.
fn check_spans(tx: &mut Tx<'_>, group: GroupId, new: &[MemberRow]) -> Result<()> {
    let ids: Vec<CustomerId> = new.iter().map(|row| row.customer_id).collect();
    let records = scope::lineages(tx, &ids)?;
    let living = scope::living(tx, records.iter().copied())?;
    let mut present: HashMap<CustomerId, Vec<(MembershipId, Span)>> = HashMap::new();
    for chunk in records.chunks(CHUNK) {
        let of = group_members::table
            .filter(group_members::group_id.eq(group))
            .filter(among(group_members::customer_id, chunk.to_vec()));
        for row in of.select(MemberRow::as_select()).load::<MemberRow>(&mut tx.db)? {
            let customer = living.get(&row.customer_id).copied().unwrap_or(row.customer_id);
            present.entry(customer).or_default().push((row.id, row.span()));
        }
    }
    let meets = |row: &MemberRow| {
        let of = present.get(&row.customer_id).map(Vec::as_slice).unwrap_or_default();
        of.iter().find(|(_, span)| span.meets(&row.span())).map(|(id, _)| *id)
    };
    let overlaps: BTreeMap<MembershipId, ()> = new.iter().filter_map(meets).map(|id| (id, ())).collect();
    if !overlaps.is_empty() {
        return Err(overlap(overlaps.into_keys()));
    }
    check_primary(tx, group, new)
}

fn overlap(ids: impl Iterator<Item = MembershipId>) -> Error {
    let obstacle = |id: MembershipId| Obstacle {
        code: "membership_overlaps".into(),
        held_in: "group_members".into(),
        id: id.cast(),
        message: "The customer is in the group on some of these days already.".into(),
    };
    let detail = "Customers are in the group on some of these days already: end those memberships first, or begin later.";
    Error::Refused { code: "membership_overlaps", detail: detail.into(), obstacles: ids.take(NAMED).map(obstacle).collect() }
}

/// Refuses a second primary member on any day.
fn check_primary(tx: &mut Tx<'_>, group: GroupId, new: &[MemberRow]) -> Result<()> {
    if !new.iter().any(|row| row.is_primary) {
        return Ok(());
    }
    let primaries: Vec<MemberRow> = group_members::table
        .filter(group_members::group_id.eq(group))
        .filter(group_members::is_primary.eq(true))
        .select(MemberRow::as_select())
        .load(&mut tx.db)?;
    let clash = new.iter().filter(|row| row.is_primary).any(|row| {
        primaries.iter().any(|other| other.span().meets(&row.span()))
            || new.iter().any(|other| other.is_primary && other.id != row.id && other.span().meets(&row.span()))
    });
    if clash {
        let detail = "The group has another primary member on some of these days: end that membership first.";
        return Err(Error::conflict("primary_member_exists", detail));
    }
    Ok(())
}

/// Writes memberships with their events.
pub(crate) fn insert(tx: &mut Tx<'_>, actor: &Actor, rows: &Vec<MemberRow>) -> Result<()> {
    bulk_copy!(tx, group_members::table, rows)?;
    for row in rows {
        announce(tx, actor, "group_member.added", row);
    }
    Ok(())
}
