//! Carrying a merge out, or trying it out: both do the same, but the trial is taken back.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Error, FieldError, Result, Tx,
    access::{ActorKind, Reach},
    bulk_insert,
    event::NewEvent,
    json::Json,
    schema::{assignments, customers, merge_members, merges},
};
use serde_json::json;

use super::{
    fields,
    pairs::Pairs,
    plan::{self, Candidate},
    record::{AbsorbedRecord, Member, Merge, MergeId, MergeRequest, MergeRow, MergeState, Plan, show},
    rows::{self, Way},
    stage,
};
use crate::{CustomerId, CustomerRow, belonging::Registry, index, scope};

/// Merges records into one customer that still has the version the caller saw. The rows of all records are
/// locked in the order of their ids, so merges of overlapping sets queue up behind each other.
///
/// # Errors
/// [`Error::NotFound`] when the survivor is out of reach; [`Error::Invalid`] for records that are unknown, named twice or
/// the survivor itself, for choices that cannot be, and for values that together break a rule;
/// [`Error::PreconditionFailed`]; [`Error::Conflict`] `customer_merged`, `customer_erased`, `customer_changed`,
/// `kinds_differ`, `database_distributed`.
pub fn merge(
    tx: &mut Tx<'_>,
    actor: &Actor,
    registry: Registry,
    survivor: CustomerId,
    version: i64,
    request: &MergeRequest,
    reversible_days: u32,
) -> Result<Merge> {
    let reach = actor.allow(Action::CustomerMerge)?;
    if actor.kind == ActorKind::Customer {
        return Err(Error::Forbidden("This is the bank's own record of its customers.".into()));
    }
    super::possible(tx)?;
    check_list(survivor, &request.absorbed)?;
    let mut ids: Vec<CustomerId> = request.absorbed.iter().map(|record| record.customer_id).chain([survivor]).collect();
    ids.sort_unstable();
    for id in ids {
        scope::hold(tx, id)?;
    }
    let row = scope::within(tx, &reach, survivor)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let absorbed = admit(tx, actor, &reach, &row, &request.absorbed)?;
    if !request.dry_run {
        return carry_out(tx, actor, registry, &row, &absorbed, request, reversible_days);
    }
    let mut tried = None;
    let undone: Result<()> = tx.savepoint(|tx| {
        tried = Some(carry_out(tx, actor, registry, &row, &absorbed, request, reversible_days)?);
        Err(Error::Busy)
    });
    match (tried, undone) {
        (Some(merge), _) => Ok(Merge { id: None, state: MergeState::Planned, ..merge }),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => Err(Error::internal_display("a trial of a merge without an outcome")),
    }
}

/// Each record is named once, and is not the survivor.
fn check_list(survivor: CustomerId, records: &[AbsorbedRecord]) -> Result<()> {
    let mut faults = Vec::new();
    for (place, record) in records.iter().enumerate() {
        let pointer = format!("/absorbed/{place}/customer_id");
        if record.customer_id == survivor {
            faults.push(FieldError::new(pointer, "itself", "A customer cannot become part of itself."));
        } else if records.iter().take(place).any(|other| other.customer_id == record.customer_id) {
            faults.push(FieldError::new(pointer, "duplicate", "Each record may stand here once."));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// The absorbed records, all of them in reach, alive, unchanged since the caller saw them and of the same kind.
fn admit(
    tx: &mut Tx<'_>,
    actor: &Actor,
    reach: &Reach,
    survivor: &CustomerRow,
    records: &[AbsorbedRecord],
) -> Result<Vec<CustomerRow>> {
    let mut rows = Vec::with_capacity(records.len());
    let mut unknown = Vec::new();
    for (place, record) in records.iter().enumerate() {
        match scope::within(tx, reach, record.customer_id) {
            Ok(row) => rows.push(row),
            Err(Error::NotFound) => {
                if let Some(into) = scope::merged_into(tx, actor, record.customer_id)? {
                    let detail = format!("The record {} was merged into the customer {into}.", record.customer_id);
                    return Err(Error::conflict("customer_merged", detail));
                }
                let erased: i64 = customers::table
                    .filter(customers::id.eq(record.customer_id))
                    .filter(customers::erased_at.is_not_null())
                    .filter(scope::kept_within(reach))
                    .count()
                    .get_result(&mut tx.db)?;
                if erased > 0 {
                    let detail = format!("The data of the customer {} were erased.", record.customer_id);
                    return Err(Error::conflict("customer_erased", detail));
                }
                let pointer = format!("/absorbed/{place}/customer_id");
                unknown.push(FieldError::new(pointer, "unknown_customer", "There is no such customer within your reach."));
            }
            Err(other) => return Err(other),
        }
    }
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    for (row, record) in rows.iter().zip(records) {
        if row.version != record.version {
            let detail = format!("The record {} was changed; its present version is {}.", row.id, row.version);
            return Err(Error::conflict("customer_changed", detail));
        }
        if row.kind != survivor.kind {
            let detail = format!("The survivor is {}, the record {} is {}.", survivor.kind, row.id, row.kind);
            return Err(Error::conflict("kinds_differ", detail));
        }
    }
    Ok(rows)
}

fn carry_out(
    tx: &mut Tx<'_>,
    actor: &Actor,
    registry: Registry,
    survivor: &CustomerRow,
    absorbed: &[CustomerRow],
    request: &MergeRequest,
    reversible_days: u32,
) -> Result<Merge> {
    let id = MergeId::new();
    let mut records = Vec::with_capacity(absorbed.len() + 1);
    for row in std::iter::once(survivor).chain(absorbed) {
        records.push(Candidate::load(tx, row)?);
    }
    let fields = plan::plan(tx, &records, &request.choices)?;
    let mut row = MergeRow {
        id,
        survivor_id: survivor.id,
        reason: request.reason.clone(),
        plan: Json(Plan { fields, status: None }),
        moved: Json(Vec::new()),
        executed_by: actor.subject.clone(),
        executed_at: tx.now,
        reversible_until: tx.now.plus(std::time::Duration::from_secs(u64::from(reversible_days) * 86_400)),
        reverted_at: None,
        reverted_by: None,
        revert_reason: None,
        kept_changes: None,
        version: 1,
    };
    diesel::insert_into(merges::table).values(&row).execute(&mut tx.db)?;
    let members: Vec<Member> = absorbed.iter().map(|member| Member { merge_id: id, customer_id: member.id }).collect();
    bulk_insert!(tx, merge_members::table, members)?;
    let mut all: Vec<CustomerId> = absorbed.iter().map(|member| member.id).collect();
    all.push(survivor.id);
    let mut pairs = Pairs::of(tx, &all)?;
    for member in absorbed {
        let way = Way { merge: id, survivor: survivor.id, absorbed: member.id, today: tx.now.date() };
        rows::carry(tx, registry, way)?;
        pairs.carry(tx, way)?;
        retire(tx, way)?;
    }
    row.plan.0.status = stage::take(tx, actor, survivor, absorbed, &request.reason)?;
    let standing = scope::within(tx, &Reach::All, survivor.id)?;
    fields::take(tx, actor, &standing, &row.plan.0.fields)?;
    let owner_changed = settle(tx, actor, &all, survivor.id)?;
    pairs.settle(tx, id, survivor.id)?;
    row.moved = Json(rows::report(tx, registry, id, survivor.id)?);
    diesel::update(merges::table.find(id)).set((merges::plan.eq(&row.plan), merges::moved.eq(&row.moved))).execute(&mut tx.db)?;
    let absorbed_ids: Vec<CustomerId> = absorbed.iter().map(|member| member.id).collect();
    let changed = changed(&row.plan.0, owner_changed);
    let data = json!({ "merge_id": id, "survivor_id": survivor.id, "absorbed_ids": absorbed_ids, "fields": changed });
    for customer in all {
        tx.emit(actor, NewEvent::new("customer.merged", customer, data.clone()).of_customer(customer));
    }
    let members: Vec<CustomerId> = absorbed.iter().map(|member| member.id).collect();
    show(tx, row, &members)
}

/// The fields of the survivor that a merge changes.
fn changed(plan: &Plan, owner: bool) -> Vec<&str> {
    let mut changed: Vec<&str> =
        plan.fields.iter().filter(|choice| choice.changes()).map(|choice| choice.field.as_str()).collect();
    let moves = plan.status.as_ref();
    let others = [
        ("status", moves.is_some_and(|moves| moves.status.is_some())),
        ("life_cycle_stage", moves.is_some_and(|moves| moves.stage.is_some())),
        ("owner_id", owner),
    ];
    changed.extend(others.iter().filter(|(_, changes)| *changes).map(|(field, _)| *field));
    changed
}

/// Makes an absorbed record lead to the survivor.
fn retire(tx: &mut Tx<'_>, way: Way) -> Result<()> {
    diesel::update(customers::table.find(way.absorbed)).set(customers::merged_into.eq(Some(way.survivor))).execute(&mut tx.db)?;
    Ok(())
}

/// After rows have moved: owners follow the primary assignments, what is derived is computed anew, versions go up. Whether
/// somebody else looks after the survivor now.
pub(super) fn settle(tx: &mut Tx<'_>, actor: &Actor, ids: &[CustomerId], survivor: CustomerId) -> Result<bool> {
    let mut owner_changed = false;
    for id in ids {
        let before: Option<AnyId> = customers::table.find(id).select(customers::owner_id).first(&mut tx.db)?;
        let owner: Vec<AnyId> = assignments::table
            .filter(assignments::customer_id.eq(id))
            .filter(assignments::role.eq("primary"))
            .filter(assignments::valid_to.is_null())
            .select(assignments::staff_id)
            .load(&mut tx.db)?;
        diesel::update(customers::table.find(id))
            .set((
                customers::owner_id.eq(owner.first().copied()),
                customers::updated_at.eq(tx.now),
                customers::version.eq(customers::version + 1),
            ))
            .execute(&mut tx.db)?;
        let owner = owner.first().copied();
        if *id == survivor && owner != before {
            owner_changed = true;
            tx.emit(actor, NewEvent::new("customer.owner_changed", *id, json!({ "owner_id": owner })).of_customer(*id));
        }
    }
    index::refresh(tx, ids)?;
    Ok(owner_changed)
}

/// The present row of a customer, living or absorbed.
pub(super) fn present(tx: &mut Tx<'_>, id: CustomerId) -> Result<CustomerRow> {
    Ok(customers::table.find(id).select(CustomerRow::as_select()).first(&mut tx.db)?)
}
