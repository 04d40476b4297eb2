//! Splitting a group.

use std::collections::{BTreeSet, HashMap};

use kehu_customer::CustomerId;
use kehu_kernel::{Actor, Error, FieldError, Result, Tx, event::NewEvent};
use serde_json::json;

use super::{
    GroupLineageEntry, GroupSplit, LineageOperation, LineageSide, SplitTarget,
    justify::justified,
    lineage::{self, Step},
    relocate::{Journey, relocate},
};
use crate::{
    access, by_rule,
    evaluation::EvaluationKind,
    group::{self, GroupId, GroupRow, NewGroup},
    member::{self, MemberRow, MembershipSource},
};

/// Splits a group that still has the version the caller saw: those who are named go to other groups today.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::PreconditionFailed`]; [`Error::Invalid`] for an evaluation that is not of this
/// step, and for customers who are out of sight, named twice or no members; [`Error::Conflict`] `group_closed`,
/// `group_has_members` or `group_has_children` when the group is to be closed.
pub fn split(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, version: i64, how: GroupSplit) -> Result<GroupLineageEntry> {
    // Always in one order, so that nobody waits in a circle.
    let there: BTreeSet<GroupId> = how.targets.iter().filter_map(|target| target.group_id).chain([id]).collect();
    there.into_iter().try_for_each(|id| access::hold(tx, id))?;
    let source = access::manage_version(tx, actor, id, version)?;
    by_rule::refuse(&source)?;
    let decision = justified(tx, how.evaluation_id, EvaluationKind::Split, &[id], None)?;
    let day = tx.now.date();
    refuse_twice(&how.targets)?;
    let mut rows = members(tx, actor, id, &how.targets)?;
    let mut step = Step::new(tx, actor, LineageOperation::Split, how.evaluation_id, decision, &how.purpose);
    let mut ended = 0;
    for (index, target) in how.targets.into_iter().enumerate() {
        let to = destination(tx, actor, &source, target.group_id, target.new_group)
            .map_err(|error| error.within(&format!("/targets/{index}")))?;
        let going: Vec<MemberRow> = target.customer_ids.iter().flat_map(|id| rows.remove(id).unwrap_or_default()).collect();
        let journey = Journey { target: to, source: MembershipSource::Split, purpose: &how.purpose, day };
        let (left, came) = relocate(tx, actor, going, &journey)?;
        ended += left;
        step.add(to, LineageSide::Target, came);
    }
    step.add(id, LineageSide::Source, ended);
    if how.close_source {
        member::refuse_members(tx, id)?;
        group::close_empty(tx, actor, &source, &how.purpose)?;
    } else {
        group::touch(tx, id)?;
    }
    let data = json!({ "lineage_id": step.id, "evaluation_id": how.evaluation_id, "targets": step.groups(LineageSide::Target) });
    tx.emit(actor, NewEvent::new("group.split", id, data));
    lineage::record(tx, step)
}

fn refuse_twice(targets: &[SplitTarget]) -> Result<()> {
    let (mut customers, mut groups) = (BTreeSet::new(), BTreeSet::new());
    let mut broken = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        if target.group_id.is_some_and(|id| !groups.insert(id)) {
            let pointer = format!("/targets/{index}/group_id");
            broken.push(FieldError::new(pointer, "duplicate", "This group stands here twice."));
        }
        for (place, customer) in target.customer_ids.iter().enumerate() {
            if !customers.insert(*customer) {
                let pointer = format!("/targets/{index}/customer_ids/{place}");
                broken.push(FieldError::new(pointer, "duplicate", "This customer stands here twice."));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// The memberships of all who go, by customer; the customers are locked.
fn members(
    tx: &mut Tx<'_>,
    actor: &Actor,
    group: GroupId,
    targets: &[SplitTarget],
) -> Result<HashMap<CustomerId, Vec<MemberRow>>> {
    let places: Vec<(usize, usize)> = targets
        .iter()
        .enumerate()
        .flat_map(|(index, target)| (0..target.customer_ids.len()).map(move |place| (index, place)))
        .collect();
    let pointer = |at: usize| {
        let (index, place) = places.get(at).copied().unwrap_or_default();
        format!("/targets/{index}/customer_ids/{place}")
    };
    let ids: Vec<CustomerId> = targets.iter().flat_map(|target| target.customer_ids.iter().copied()).collect();
    member::hold_customers(tx, actor, &ids, pointer)?;
    let day = tx.now.date();
    member::open_rows(tx, group, &ids, day, pointer)
}

/// The group to which members go: one that is there, or a new one of the same kind.
fn destination(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &GroupRow,
    there: Option<GroupId>,
    new: Option<NewGroup>,
) -> Result<GroupId> {
    let another_kind = "Members go to groups of the same kind.";
    match (there, new) {
        (Some(_), Some(_)) | (None, None) => {
            let message = "Either a group that exists, or one to be made.";
            Err(Error::invalid("", "contradiction", message))
        }
        (Some(id), None) if id == source.id => {
            Err(Error::invalid("/group_id", "same_group", "This is the group that is split: who stays is named nowhere."))
        }
        (Some(id), None) => match access::manage(tx, actor, id) {
            Err(Error::NotFound) => Err(Error::invalid("/group_id", "unknown_group", "There is no group with this id.")),
            Err(other) => Err(other),
            Ok(row) if row.kind != source.kind => Err(Error::invalid("/group_id", "another_kind", another_kind)),
            Ok(row) => access::open(row).map(|row| row.id),
        },
        (None, Some(new)) if new.kind != source.kind => Err(Error::invalid("/new_group/kind", "another_kind", another_kind)),
        (None, Some(new)) => group::insert(tx, actor, new).map_err(|error| error.within("/new_group")),
    }
}
