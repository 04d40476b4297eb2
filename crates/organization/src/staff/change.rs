//! Changes of staff: by people who may manage them, and by feeds.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Conn, Error, Result, Tx,
    access::{Reach, Resource},
    error::taken,
    event::NewEvent,
    schema::{branches, staff},
};
use serde_json::json;

use super::{NewStaff, Staff, StaffDeactivation, StaffId, StaffPatch, StaffRow, StaffStatus, find, row};
use crate::{branch::BranchId, role};

/// Records that somebody works for the bank.
///
/// # Errors
/// [`Error::Invalid`] for an unknown branch, or a role that is unknown or grants more than the caller's own;
/// [`Error::Forbidden`] when the branch is out of reach; [`Error::Conflict`] `employee_no_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewStaff) -> Result<Staff> {
    let reach = actor.allow(Action::StaffManage)?;
    check_place(tx, &reach, new.branch_id)?;
    let id = hire(tx, actor, new)?;
    find(tx, id)
}

/// Changes a staff member who still has the version the caller saw.
///
/// # Errors
/// [`Error::Invalid`] for an unknown branch or role; [`Error::Forbidden`] when the branch, old or new, is out of
/// reach; [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: StaffId, version: i64, change: &StaffPatch) -> Result<Staff> {
    let reach = actor.allow(Action::StaffManage)?;
    let before = row(tx, id)?;
    check_place(tx, &reach, before.branch_id)?;
    if let Some(branch) = change.branch_id {
        check_place(tx, &reach, branch)?;
    }
    amend(tx, actor, id, version, change)?;
    find(tx, id)
}

/// Ends somebody's access: tokens of theirs are refused within seconds. Their customers stay assigned to them
/// until they are handed over.
///
/// # Errors
/// [`Error::Conflict`] `staff_inactive`; [`Error::Forbidden`] when the branch is out of reach; [`Error::NotFound`];
/// [`Error::PreconditionFailed`].
pub fn deactivate(tx: &mut Tx<'_>, actor: &Actor, id: StaffId, version: i64, why: &StaffDeactivation) -> Result<Staff> {
    let reach = actor.allow(Action::StaffManage)?;
    let before = row(tx, id)?;
    check_place(tx, &reach, before.branch_id)?;
    if before.version == version && before.status == StaffStatus::Inactive {
        return Err(Error::conflict("staff_inactive", "This staff member is inactive already."));
    }
    set_status(tx, actor, id, version, StaffStatus::Inactive, Some(&why.reason))?;
    find(tx, id)
}

/// Checks that people of this branch may be managed. Where the bank has branches is known to all its staff, so
/// the answer is no secret.
pub(crate) fn check_place(conn: &mut Conn, reach: &Reach, branch: BranchId) -> Result<()> {
    let path: Option<String> = branches::table.find(branch).select(branches::path).first(&mut conn.db).optional()?;
    let path = path.ok_or_else(|| Error::invalid("/branch_id", "unknown_branch", "There is no branch with this id."))?;
    match reach.covers(&Resource { branch_path: Some(path), ..Resource::default() }) {
        (true, _) => Ok(()),
        (false, why) => Err(Error::Forbidden(format!("This branch is out of reach for staff.manage: {why}."))),
    }
}

pub(crate) fn hire(tx: &mut Tx<'_>, actor: &Actor, new: NewStaff) -> Result<StaffId> {
    role::check_given(tx, actor, &new.roles.0)?;
    let row = StaffRow {
        id: StaffId::new(),
        employee_no: new.employee_no,
        name: new.name,
        branch_id: new.branch_id,
        title: new.title,
        roles: new.roles,
        languages: new.languages,
        specialities: new.specialities,
        phone_extension: new.phone_extension,
        capacity: new.capacity,
        status: StaffStatus::Active,
        deactivated_at: None,
        deactivation_reason: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    let inserted = diesel::insert_into(staff::table).values(&row).execute(&mut tx.db);
    inserted.map_err(taken("employee_no_taken", "Another staff member has this number."))?;
    tx.emit(actor, NewEvent::new("staff.created", row.id, json!({ "employee_no": row.employee_no, "roles": row.roles })));
    Ok(row.id)
}

pub(crate) fn amend(tx: &mut Tx<'_>, actor: &Actor, id: StaffId, version: i64, change: &StaffPatch) -> Result<()> {
    if let Some(roles) = &change.roles {
        role::check_given(tx, actor, &roles.0)?;
    }
    let updated = diesel::update(staff::table.find(id).filter(staff::version.eq(version)))
        .set((change, staff::updated_at.eq(tx.now), staff::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let person = row(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: person.version });
    }
    let data = json!({ "employee_no": person.employee_no, "roles": person.roles, "branch_id": person.branch_id });
    tx.emit(actor, NewEvent::new("staff.updated", id, data));
    Ok(())
}

/// Moves active staff from one branch to another, at most so many, in the order of their ids; how many it moved. Their
/// customers stay assigned to them. The caller has checked the right.
///
/// # Errors
/// The database's; [`Error::PreconditionFailed`] when somebody else changes one of them.
pub fn resettle(tx: &mut Tx<'_>, actor: &Actor, from: BranchId, to: BranchId, limit: i64) -> Result<i64> {
    let people: Vec<(StaffId, i64)> = staff::table
        .filter(staff::branch_id.eq(from))
        .filter(staff::status.eq(StaffStatus::Active))
        .order(staff::id)
        .limit(limit)
        .select((staff::id, staff::version))
        .load(&mut tx.db)?;
    let change = StaffPatch { branch_id: Some(to), ..StaffPatch::default() };
    for (id, version) in &people {
        amend(tx, actor, *id, *version, &change)?;
    }
    i64::try_from(people.len()).map_err(Error::internal)
}

/// How many active people work at a branch.
///
/// # Errors
/// The database's.
pub fn count_at(conn: &mut Conn, branch: BranchId) -> Result<i64> {
    let of = staff::table.filter(staff::branch_id.eq(branch)).filter(staff::status.eq(StaffStatus::Active));
    Ok(of.count().get_result(&mut conn.db)?)
}

/// Lets somebody out, for a reason, or in again.
pub(crate) fn set_status(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: StaffId,
    version: i64,
    status: StaffStatus,
    reason: Option<&str>,
) -> Result<()> {
    let left = (status == StaffStatus::Inactive).then_some(tx.now);
    let updated = diesel::update(staff::table.find(id).filter(staff::version.eq(version)))
        .set((
            staff::status.eq(status),
            staff::deactivated_at.eq(left),
            staff::deactivation_reason.eq(reason),
            staff::updated_at.eq(tx.now),
            staff::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    let person = row(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: person.version });
    }
    let kind = if left.is_some() { "staff.deactivated" } else { "staff.reactivated" };
    tx.emit(actor, NewEvent::new(kind, id, json!({ "employee_no": person.employee_no })));
    Ok(())
}
