//! The feed of staff.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Error, FieldError, Result, Tx,
    feed::{Outcome, Source},
    json::Json,
    schema::staff,
};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::{apart, broken, changed, set};
use crate::{
    branch::{self, BranchId},
    staff::{NewStaff, StaffPatch, StaffRow, StaffStatus, amend, hire, set_status},
};

/// A staff member as a source tells of them; what the source does not name stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaffRecord {
    /// The bank's own number of the person: 1 to 32 letters, digits, `-` and `_`.
    pub employee_no: String,
    /// Name of the person; a new one needs it.
    pub name: Option<String>,
    /// Code of the branch at which they work; a new one needs it.
    pub branch_code: Option<String>,
    /// What they are called at work.
    pub title: Option<String>,
    /// Codes of their roles; only whoever may give them can run such an import.
    pub roles: Option<Vec<String>>,
    /// Languages that they speak, as BCP 47 tags.
    pub languages: Option<Vec<String>>,
    /// What they know best.
    pub specialities: Option<Vec<String>>,
    /// Extension of their telephone.
    pub phone_extension: Option<String>,
    /// How many customers they can look after.
    pub capacity: Option<i32>,
    /// Whether they work for the bank; a source can let somebody in again.
    pub status: Option<StaffStatus>,
}

/// Takes staff in. Somebody whose branch is not there is parked.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage`; the database's. Broken records are outcomes.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[StaffRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    records.iter().map(|record| apart(tx, |tx| take(tx, actor, source, record))).collect()
}

fn take(tx: &mut Tx<'_>, actor: &Actor, source: &Source, record: &StaffRecord) -> Result<Outcome> {
    let branch = match &record.branch_code {
        None => None,
        Some(code) => match branch::known(tx, code)? {
            Some(branch) => Some(branch.id),
            None => return Ok(Outcome::Parked { waiting_for: format!("branch:{}:{code}", source.code) }),
        },
    };
    let present: Option<StaffRow> = staff::table
        .filter(staff::employee_no.eq(&record.employee_no))
        .select(StaffRow::as_select())
        .first(&mut tx.db)
        .optional()?;
    match present {
        None => enter(tx, actor, source, record, branch),
        Some(present) => renew(tx, actor, source, record, &present, branch),
    }
}

fn enter(tx: &mut Tx<'_>, actor: &Actor, source: &Source, record: &StaffRecord, branch: Option<BranchId>) -> Result<Outcome> {
    let (Some(name), Some(branch_id)) = (record.name.clone(), branch) else {
        let missing = [("/name", record.name.is_none()), ("/branch_code", branch.is_none())];
        let missing = missing.into_iter().filter(|(_, missing)| *missing);
        let faults =
            missing.map(|(pointer, _)| FieldError::new(pointer, "required", "A new staff member needs a name and a branch."));
        return Err(Error::Invalid(faults.collect()));
    };
    let new = NewStaff {
        employee_no: record.employee_no.clone(),
        name,
        branch_id,
        title: record.title.clone(),
        roles: Json(record.roles.clone().unwrap_or_default()),
        languages: Json(record.languages.clone().unwrap_or_default()),
        specialities: Json(record.specialities.clone().unwrap_or_default()),
        phone_extension: record.phone_extension.clone(),
        capacity: record.capacity,
    };
    new.validate().map_err(|errors| broken(&errors))?;
    let id = hire(tx, actor, new)?;
    if record.status == Some(StaffStatus::Inactive) {
        set_status(tx, actor, id, 1, StaffStatus::Inactive, Some(&told_by(source)))?;
    }
    Ok(Outcome::Created(id.cast()))
}

fn renew(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    record: &StaffRecord,
    present: &StaffRow,
    branch: Option<BranchId>,
) -> Result<Outcome> {
    let list = |told: &Option<Vec<String>>, present: &Json<Vec<String>>| changed(told.as_ref(), &present.0).map(Json);
    let change = StaffPatch {
        name: changed(record.name.as_ref(), &present.name),
        branch_id: changed(branch.as_ref(), &present.branch_id),
        title: set(record.title.as_ref(), present.title.as_ref()),
        roles: list(&record.roles, &present.roles),
        languages: list(&record.languages, &present.languages),
        specialities: list(&record.specialities, &present.specialities),
        phone_extension: set(record.phone_extension.as_ref(), present.phone_extension.as_ref()),
        capacity: set(record.capacity.as_ref(), present.capacity.as_ref()),
    };
    let mut version = present.version;
    if change != StaffPatch::default() {
        change.validate().map_err(|errors| broken(&errors))?;
        amend(tx, actor, present.id, version, &change)?;
        version += 1;
    }
    if let Some(status) = changed(record.status.as_ref(), &present.status) {
        let reason = told_by(source);
        let reason = (status == StaffStatus::Inactive).then_some(reason.as_str());
        set_status(tx, actor, present.id, version, status, reason)?;
        version += 1;
    }
    let id = present.id.cast();
    Ok(if version == present.version { Outcome::Unchanged(id) } else { Outcome::Updated(id) })
}

fn told_by(source: &Source) -> String {
    format!("told by {}", source.code)
}
