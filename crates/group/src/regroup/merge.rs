//! Merging groups.

use std::collections::BTreeSet;

use kehu_kernel::{Actor, Error, FieldError, Result, Tx, event::NewEvent};
use serde_json::json;

use super::{
    GroupLineageEntry, GroupMerge, LineageOperation, LineageSide, MergeSource,
    justify::justified,
    lineage::{self, Step},
    relocate::{Journey, relocate},
};
use crate::{
    access, by_rule,
    evaluation::EvaluationKind,
    group::{self, GroupId, GroupRow},
    member::{self, MembershipSource},
};

/// Merges groups into one that still has the version the caller saw: all their members go over today.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`], also when a group has members beyond the caller's reach;
/// [`Error::PreconditionFailed`], of any of the groups; [`Error::Invalid`] for an evaluation that is not of this step and for sources
/// that are unknown, named twice or of another kind; [`Error::Conflict`] `group_closed` or `group_has_children`.
pub fn merge(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, version: i64, how: &GroupMerge) -> Result<GroupLineageEntry> {
    // Always in one order, so that nobody waits in a circle.
    let all: BTreeSet<GroupId> = how.sources.iter().map(|source| source.group_id).chain([id]).collect();
    all.into_iter().try_for_each(|id| access::hold(tx, id))?;
    let target = access::manage_version(tx, actor, id, version)?;
    by_rule::refuse(&target)?;
    let sources = sources(tx, actor, &target, &how.sources)?;
    let ids: Vec<GroupId> = sources.iter().map(|source| source.id).collect();
    let decision = justified(tx, how.evaluation_id, EvaluationKind::Merge, &ids, Some(id))?;
    let day = tx.now.date();
    let mut step = Step::new(tx, actor, LineageOperation::Merge, how.evaluation_id, decision, &how.purpose);
    let mut began = 0;
    for source in &sources {
        let rows = member::all_open_rows(tx, actor, source.id, day)?;
        let journey = Journey { target: id, source: MembershipSource::Merge, purpose: &how.purpose, day };
        let (left, came) = relocate(tx, actor, rows, &journey)?;
        began += came;
        step.add(source.id, LineageSide::Source, left);
        if how.keep_sources {
            group::touch(tx, source.id)?;
        } else {
            group::close_empty(tx, actor, source, &how.purpose)?;
        }
    }
    group::touch(tx, id)?;
    step.add(id, LineageSide::Target, began);
    let data = json!({ "lineage_id": step.id, "evaluation_id": how.evaluation_id, "sources": step.groups(LineageSide::Source) });
    tx.emit(actor, NewEvent::new("group.merged", id, data));
    lineage::record(tx, step)
}

/// The groups that are merged, each as the caller saw it.
fn sources(tx: &mut Tx<'_>, actor: &Actor, target: &GroupRow, wanted: &[MergeSource]) -> Result<Vec<GroupRow>> {
    let mut seen = BTreeSet::new();
    let mut broken = Vec::new();
    let mut found = Vec::new();
    for (index, source) in wanted.iter().enumerate() {
        let mut fault = |code: &str, message: &str| {
            broken.push(FieldError::new(format!("/sources/{index}/group_id"), code, message));
        };
        if source.group_id == target.id {
            fault("same_group", "A group is not merged into itself.");
        } else if !seen.insert(source.group_id) {
            fault("duplicate", "This group stands here twice.");
        } else {
            match access::manage_version(tx, actor, source.group_id, source.version) {
                Err(Error::NotFound) => fault("unknown_group", "There is no group with this id."),
                Err(other) => return Err(other),
                Ok(row) if row.kind != target.kind => fault("another_kind", "Members go to groups of the same kind."),
                Ok(row) => found.push(row),
            }
        }
    }
    if broken.is_empty() { Ok(found) } else { Err(Error::Invalid(broken)) }
}
