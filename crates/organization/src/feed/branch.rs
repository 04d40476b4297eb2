//! The feed of branches.

use kehu_kernel::{
    Action, Actor, Error, FieldError, Result, Tx,
    feed::{Outcome, Source},
};
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::{apart, broken, changed, set};
use crate::branch::{self, Branch, BranchLevel, BranchMove, BranchPatch, BranchStatus, NewBranch};

/// A branch as a source tells of it; what the source does not name stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BranchRecord {
    /// The bank's own code of the branch: 1 to 32 letters, digits, `-` and `_`.
    pub code: String,
    /// Name of the branch; a new one needs it.
    pub name: Option<String>,
    /// Level in the tree; a new branch needs it, and a branch keeps it.
    pub level: Option<BranchLevel>,
    /// Code of the branch above; only the head office has none.
    pub parent_code: Option<String>,
    /// Region that it serves.
    pub region: Option<String>,
    /// Its time zone, an IANA name; the parent's unless given.
    pub time_zone: Option<String>,
    /// Where it is.
    pub address: Option<String>,
    /// Whether it is in business.
    pub status: Option<BranchStatus>,
}

/// Takes branches in, those above before those below, whatever their order in the batch. A branch whose parent
/// is not there is parked.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage`; the database's. Broken records are outcomes.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[BranchRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let mut downwards: Vec<(usize, &BranchRecord)> = records.iter().enumerate().collect();
    downwards.sort_by_key(|(_, record)| (record.level.is_none(), record.level));
    let mut outcomes = Vec::with_capacity(records.len());
    for (index, record) in downwards {
        outcomes.push((index, apart(tx, |tx| take(tx, actor, source, record))?));
    }
    outcomes.sort_by_key(|(index, _)| *index);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

fn take(tx: &mut Tx<'_>, actor: &Actor, source: &Source, record: &BranchRecord) -> Result<Outcome> {
    let parent = match &record.parent_code {
        None => None,
        Some(code) => match branch::known(tx, code)? {
            Some(parent) => Some(parent),
            None => return Ok(Outcome::Parked { waiting_for: format!("branch:{}:{code}", source.code) }),
        },
    };
    let taken = match branch::known(tx, &record.code)? {
        None => open(tx, actor, record, parent.as_ref()),
        Some(present) => renew(tx, actor, source, record, present, parent.as_ref()),
    };
    taken.map_err(name_parent)
}

fn open(tx: &mut Tx<'_>, actor: &Actor, record: &BranchRecord, parent: Option<&Branch>) -> Result<Outcome> {
    let (Some(name), Some(level)) = (record.name.clone(), record.level) else {
        let missing = [("/name", record.name.is_none()), ("/level", record.level.is_none())];
        let missing = missing.into_iter().filter(|(_, missing)| *missing);
        let faults = missing.map(|(pointer, _)| FieldError::new(pointer, "required", "A new branch needs a name and a level."));
        return Err(Error::Invalid(faults.collect()));
    };
    let new = NewBranch {
        code: record.code.clone(),
        name,
        level,
        parent_id: parent.map(|parent| parent.id),
        region: record.region.clone(),
        time_zone: record.time_zone.clone(),
        address: record.address.clone(),
    };
    new.validate().map_err(|errors| broken(&errors))?;
    let made = branch::open(tx, actor, new)?;
    if let Some(status) = changed(record.status.as_ref(), &made.status) {
        branch::amend(tx, actor, made.id, made.version, &BranchPatch { status: Some(status), ..BranchPatch::default() })?;
    }
    Ok(Outcome::Created(made.id.cast()))
}

fn renew(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    record: &BranchRecord,
    mut present: Branch,
    parent: Option<&Branch>,
) -> Result<Outcome> {
    if record.level.is_some_and(|level| level != present.level) {
        return Err(Error::invalid("/level", "level_changed", "A branch keeps its level."));
    }
    let before = present.version;
    if let Some(parent) = parent.filter(|parent| present.parent_id != Some(parent.id)) {
        let to = BranchMove { parent_id: parent.id, reason: format!("told by {}", source.code) };
        present = branch::hang(tx, actor, present.id, present.version, to)?;
    }
    let change = BranchPatch {
        name: changed(record.name.as_ref(), &present.name),
        region: set(record.region.as_ref(), present.region.as_ref()),
        time_zone: changed(record.time_zone.as_ref(), &present.time_zone),
        address: set(record.address.as_ref(), present.address.as_ref()),
        status: changed(record.status.as_ref(), &present.status),
    };
    if change != BranchPatch::default() {
        change.validate().map_err(|errors| broken(&errors))?;
        present = branch::amend(tx, actor, present.id, present.version, &change)?;
    }
    let id = present.id.cast();
    Ok(if present.version == before { Outcome::Unchanged(id) } else { Outcome::Updated(id) })
}

/// Records name the parent by its code.
fn name_parent(error: Error) -> Error {
    match error {
        Error::Invalid(mut broken) => {
            broken
                .iter_mut()
                .filter(|fault| fault.pointer == "/parent_id")
                .for_each(|fault| fault.pointer = "/parent_code".into());
            Error::Invalid(broken)
        }
        other => other,
    }
}
