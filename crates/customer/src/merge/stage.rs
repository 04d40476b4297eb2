//! Status and stage: the survivor stands where the most advanced of the records stood.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, AnyId, Instant, Result, Tx,
    schema::{customer_transitions, customers},
};
use serde::{Deserialize, Serialize};

use super::record::{KeptChange, KeptKind, MergeRow};
use crate::{
    CustomerRow, CustomerStatus, LifeCycleStage,
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
    Ok((change.status.is_some() || change.stage.is_some()).then_some(change))
}

/// Moves the survivor back, unless it has moved on since.
pub(super) fn restore(tx: &mut Tx<'_>, survivor: &CustomerRow, merge: &MergeRow, kept: &mut Vec<KeptChange>) -> Result<()> {
    let Some(change) = &merge.plan.0.status else { return Ok(()) };
    let mut stays = |field: &str| {
        let (table, row_id) = ("customers".into(), survivor.id.cast());
        kept.push(KeptChange { kind: KeptKind::FieldChanged, table, row_id, field: Some(field.into()) });
    };
    if let Some((before, after)) = change.status {
        if survivor.status == after && unpass(tx, survivor, merge, Axis::Status)? {
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
        if survivor.life_cycle_stage == after && unpass(tx, survivor, merge, Axis::LifeCycleStage)? {
            diesel::update(customers::table.find(survivor.id)).set(customers::life_cycle_stage.eq(before)).execute(&mut tx.db)?;
        } else {
            stays("life_cycle_stage");
        }
    }
    Ok(())
}

/// Takes the move of a merge out of the history, if it is the last one; whether it was.
fn unpass(tx: &mut Tx<'_>, survivor: &CustomerRow, merge: &MergeRow, axis: Axis) -> Result<bool> {
    let moves = || {
        customer_transitions::table
            .filter(customer_transitions::customer_id.eq(survivor.id))
            .filter(customer_transitions::axis.eq(axis))
            .order(customer_transitions::id.desc())
    };
    let last: Option<Instant> = moves().select(customer_transitions::entered_at).first(&mut tx.db).optional()?;
    if last != Some(merge.executed_at) {
        return Ok(false);
    }
    diesel::delete(
        customer_transitions::table
            .filter(customer_transitions::customer_id.eq(survivor.id))
            .filter(customer_transitions::axis.eq(axis))
            .filter(customer_transitions::id.gt(merge.id.cast::<()>())),
    )
    .execute(&mut tx.db)?;
    let before: Option<AnyId> = moves().select(customer_transitions::id).first(&mut tx.db).optional()?;
    if let Some(before) = before {
        diesel::update(customer_transitions::table.find(before))
            .set(customer_transitions::left_seconds.eq(None::<i64>))
            .execute(&mut tx.db)?;
    }
    Ok(true)
}
