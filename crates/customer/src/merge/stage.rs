//! Status and stage: the survivor stands where the most advanced of the records stood.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Instant, Result, Tx,
    event::NewEvent,
    schema::{customer_transitions, customers, merges},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    execute::present,
    record::{KeptChange, KeptKind, MergeRow},
};
use crate::{
    CustomerId, CustomerRow, CustomerStatus, LifeCycleStage,
    transition::{self, Axis},
};

/// What a merge changed about status and stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StageChange {
    pub status: Option<(CustomerStatus, CustomerStatus)>,
    pub status_reason: Option<String>,
    pub status_derived: bool,
    pub stage: Option<(LifeCycleStage, LifeCycleStage)>,
}

/// The order in which one status stands above another: who uses the bank is its customer on every record.
const fn standing(status: CustomerStatus) -> u8 {
    match status {
        CustomerStatus::Potential => 0,
        CustomerStatus::Lost => 1,
        CustomerStatus::Dormant => 2,
        CustomerStatus::Active => 3,
    }
}

const fn closeness(stage: LifeCycleStage) -> u8 {
    match stage {
        LifeCycleStage::Prospect => 0,
        LifeCycleStage::Customer => 1,
        LifeCycleStage::Transacting => 2,
        LifeCycleStage::Member => 3,
    }
}

/// Moves the survivor to where the most advanced of the records stands.
pub(super) fn take(
    tx: &mut Tx<'_>,
    actor: &Actor,
    survivor: &CustomerRow,
    absorbed: &[CustomerRow],
    reason: &str,
) -> Result<Option<StageChange>> {
    let status = absorbed
        .iter()
        .map(|row| row.status)
        .fold(survivor.status, |best, next| if standing(next) > standing(best) { next } else { best });
    let stage = absorbed
        .iter()
        .map(|row| row.life_cycle_stage)
        .fold(survivor.life_cycle_stage, |best, next| if closeness(next) > closeness(best) { next } else { best });
    let change = StageChange {
        status: (status != survivor.status).then_some((survivor.status, status)),
        status_reason: survivor.status_reason.clone(),
        status_derived: survivor.status_derived,
        stage: (stage != survivor.life_cycle_stage).then_some((survivor.life_cycle_stage, stage)),
    };
    if let Some((from, to)) = change.status {
        transition::pass(tx, actor, survivor, Axis::Status, from.as_str(), to.as_str(), reason)?;
        diesel::update(customers::table.find(survivor.id))
            .set((customers::status.eq(to), customers::status_reason.eq(Some(reason)), customers::status_derived.eq(false)))
            .execute(&mut tx.db)?;
    }
    if let Some((from, to)) = change.stage {
        transition::pass(tx, actor, survivor, Axis::LifeCycleStage, from.as_str(), to.as_str(), reason)?;
        diesel::update(customers::table.find(survivor.id)).set(customers::life_cycle_stage.eq(to)).execute(&mut tx.db)?;
    }
    if change.status.is_none() && change.stage.is_none() {
        return Ok(None);
    }
    announce(tx, actor, survivor.id, (status, stage));
    Ok(Some(change))
}

/// Moves the survivor back, unless it has moved on since.
pub(super) fn restore(
    tx: &mut Tx<'_>,
    actor: &Actor,
    survivor: &CustomerRow,
    merge: &MergeRow,
    reason: &str,
    kept: &mut Vec<KeptChange>,
) -> Result<()> {
    let Some(change) = &merge.plan.0.status else { return Ok(()) };
    let moved = moved_since(tx, merge)?;
    let mut stays = |field: &str| {
        let (table, row_id) = ("customers".into(), survivor.id.cast());
        kept.push(KeptChange { kind: KeptKind::FieldChanged, table, row_id, field: Some(field.into()) });
    };
    if let Some((before, after)) = change.status {
        if survivor.status == after && !moved.contains(&Axis::Status) {
            transition::pass(tx, actor, survivor, Axis::Status, after.as_str(), before.as_str(), reason)?;
            diesel::update(customers::table.find(survivor.id))
                .set((
                    customers::status.eq(before),
                    customers::status_reason.eq(&change.status_reason),
                    customers::status_derived.eq(change.status_derived),
                ))
                .execute(&mut tx.db)?;
        } else {
            stays("status");
        }
    }
    if let Some((before, after)) = change.stage {
        if survivor.life_cycle_stage == after && !moved.contains(&Axis::LifeCycleStage) {
            transition::pass(tx, actor, survivor, Axis::LifeCycleStage, after.as_str(), before.as_str(), reason)?;
            diesel::update(customers::table.find(survivor.id)).set(customers::life_cycle_stage.eq(before)).execute(&mut tx.db)?;
        } else {
            stays("life_cycle_stage");
        }
    }
    let now = present(tx, survivor.id)?;
    if (now.status, now.life_cycle_stage) != (survivor.status, survivor.life_cycle_stage) {
        announce(tx, actor, survivor.id, (now.status, now.life_cycle_stage));
    }
    Ok(())
}

fn announce(tx: &mut Tx<'_>, actor: &Actor, survivor: CustomerId, (status, stage): (CustomerStatus, LifeCycleStage)) {
    let data = json!({ "status": status, "life_cycle_stage": stage });
    tx.emit(actor, NewEvent::new("customer.transitioned", survivor, data).of_customer(survivor));
}

/// The axes on which the survivor was moved after a merge, but for what later merges did that were taken back.
fn moved_since(tx: &mut Tx<'_>, merge: &MergeRow) -> Result<Vec<Axis>> {
    let undone = undone_since(tx, merge)?;
    let moves: Vec<(Axis, Instant)> = customer_transitions::table
        .filter(customer_transitions::customer_id.eq(merge.survivor_id))
        .filter(customer_transitions::entered_at.gt(merge.executed_at))
        .select((customer_transitions::axis, customer_transitions::entered_at))
        .load(&mut tx.db)?;
    Ok(moves.into_iter().filter(|(_, at)| !undone.contains(at)).map(|(axis, _)| axis).collect())
}

/// The moments of later merges of the same survivor that were taken back, and of their ends.
pub(super) fn undone_since(tx: &mut Tx<'_>, merge: &MergeRow) -> Result<BTreeSet<Instant>> {
    let later: Vec<(Instant, Option<Instant>)> = merges::table
        .filter(merges::survivor_id.eq(merge.survivor_id))
        .filter(merges::id.gt(merge.id))
        .filter(merges::reverted_at.is_not_null())
        .select((merges::executed_at, merges::reverted_at))
        .load(&mut tx.db)?;
    Ok(later.into_iter().flat_map(|(from, to)| [Some(from), to]).flatten().collect())
}
