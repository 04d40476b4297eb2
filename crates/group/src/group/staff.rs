//! Who works for a group and who answers for it.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Error, FieldError, Result, Tx,
    access::Reach,
    bulk_insert,
    schema::{group_staff, staff},
    store::among,
};
use kehu_organization::staff::{StaffId, StaffStatus};

use super::{GroupId, GroupStaffRole, NewGroupStaff};
use crate::access;

#[derive(Insertable)]
#[diesel(table_name = group_staff, treat_none_as_default_value = false)]
struct Row {
    group_id: GroupId,
    staff_id: StaffId,
    role: GroupStaffRole,
}

/// Lets exactly these people work for a group. Who does so already may stay, whatever has become of them.
pub(super) fn set(tx: &mut Tx<'_>, group: GroupId, team: &[NewGroupStaff]) -> Result<()> {
    let of = group_staff::table.filter(group_staff::group_id.eq(group));
    let present: Vec<StaffId> = of.select(group_staff::staff_id).load(&mut tx.db)?;
    let ids: Vec<StaffId> = team.iter().map(|one| one.staff_id).collect();
    let known = status(tx, ids.clone())?;
    let mut seen = BTreeSet::new();
    let fault = |(index, id): (usize, &StaffId)| {
        let (code, message) = match known.iter().find(|(known, _)| known == id) {
            _ if !seen.insert(*id) => ("duplicate", "This person stands here twice."),
            None => ("unknown_staff", "There is no staff member with this id."),
            Some((_, StaffStatus::Inactive)) if !present.contains(id) => ("staff_inactive", "This staff member is inactive."),
            Some(_) => return None,
        };
        Some(FieldError::new(format!("/team/{index}/staff_id"), code, message))
    };
    let broken: Vec<FieldError> = ids.iter().enumerate().filter_map(fault).collect();
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    diesel::delete(of).execute(&mut tx.db)?;
    let row = |one: &NewGroupStaff| Row { group_id: group, staff_id: one.staff_id, role: one.role };
    let rows: Vec<Row> = team.iter().map(row).collect();
    bulk_insert!(tx, group_staff::table, &rows)?;
    Ok(())
}

fn status(tx: &mut Tx<'_>, ids: Vec<StaffId>) -> Result<Vec<(StaffId, StaffStatus)>> {
    Ok(staff::table.filter(among(staff::id, ids)).select((staff::id, staff::status)).load(&mut tx.db)?)
}

/// Who is to answer for a group: somebody active within reach, the caller unless somebody is named.
pub(super) fn owner(tx: &mut Tx<'_>, actor: &Actor, reach: &Reach, wanted: Option<StaffId>) -> Result<Option<StaffId>> {
    let owner = wanted.or_else(|| actor.staff_id.map(kehu_kernel::Id::cast));
    if let Some(id) = wanted {
        match status(tx, vec![id])?.first() {
            None => return Err(Error::invalid("/owner_id", "unknown_staff", "There is no staff member with this id.")),
            Some((_, StaffStatus::Inactive)) => {
                return Err(Error::invalid("/owner_id", "staff_inactive", "This staff member is inactive."));
            }
            Some((_, StaffStatus::Active)) => {}
        }
    }
    access::check_owner(tx, reach, owner)?;
    Ok(owner)
}
