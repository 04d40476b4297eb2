//! Taking a merge back: every record lives again, with its own rows; what was done after the merge stays
//! where it was done and is listed.

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Error, Result, Tx,
    event::NewEvent,
    json::Json,
    schema::{customers, merge_members, merges},
};
use serde_json::json;

use super::{
    execute::{present, settle},
    fields, pairs,
    record::{Merge, MergeId, MergeRevert, MergeRow, find, show},
    restore, stage,
};
use crate::{CustomerId, belonging::Registry, scope};

/// Takes a merge back that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `merge_reverted`, `revert_window_over`, or
/// `merge_not_last` when the survivor took part in a later merge, which has to be taken back before;
/// `database_distributed`.
pub fn revert(tx: &mut Tx<'_>, actor: &Actor, registry: Registry, id: MergeId, version: i64, how: &MergeRevert) -> Result<Merge> {
    actor.allow(Action::CustomerMerge)?;
    super::possible(tx)?;
    let (row, members) = find(tx, actor, id)?;
    let mut ids = members.clone();
    ids.push(row.survivor_id);
    ids.sort_unstable();
    for id in &ids {
        scope::hold(tx, *id)?;
    }
    // Read again: the locks may have waited for somebody who took it back.
    let row: MergeRow = merges::table.find(id).select(MergeRow::as_select()).first(&mut tx.db)?;
    check(tx, &row, version)?;
    let mut kept = Vec::new();
    diesel::update(customers::table.filter(customers::id.eq_any(&members)))
        .set(customers::merged_into.eq(None::<CustomerId>))
        .execute(&mut tx.db)?;
    restore::restore(tx, registry, &row, &mut kept)?;
    restore::forget_what_was_said(tx, &row)?;
    restore::keep_holding(tx, actor, &row, &members)?;
    pairs::restore(tx, actor, id, row.survivor_id)?;
    let survivor = present(tx, row.survivor_id)?;
    stage::restore(tx, actor, &survivor, &row, &how.reason, &mut kept)?;
    let survivor = present(tx, row.survivor_id)?;
    fields::restore(tx, actor, &survivor, &row, &mut kept)?;
    settle(tx, actor, &ids, row.survivor_id)?;
    diesel::update(merges::table.find(id))
        .set((
            merges::reverted_at.eq(Some(tx.now)),
            merges::reverted_by.eq(Some(&actor.subject)),
            merges::revert_reason.eq(Some(&how.reason)),
            merges::kept_changes.eq(Some(Json(kept.clone()))),
            merges::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "merge_id": id, "survivor_id": row.survivor_id, "absorbed_ids": members });
    for customer in ids {
        tx.emit(actor, NewEvent::new("customer.merge_reverted", customer, data.clone()).of_customer(customer));
    }
    let row: MergeRow = merges::table.find(id).select(MergeRow::as_select()).first(&mut tx.db)?;
    show(tx, row, &members)
}

fn check(tx: &mut Tx<'_>, row: &MergeRow, version: i64) -> Result<()> {
    if row.reverted_at.is_some() {
        return Err(Error::conflict("merge_reverted", "The merge was taken back already."));
    }
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    if tx.now > row.reversible_until {
        return Err(Error::conflict("revert_window_over", format!("It could be taken back until {}.", row.reversible_until)));
    }
    let standing = merges::reverted_at.is_null().and(merges::id.gt(row.id));
    let as_survivor: Option<MergeId> = merges::table
        .filter(merges::survivor_id.eq(row.survivor_id))
        .filter(standing)
        .order(merges::id.desc())
        .select(merges::id)
        .first(&mut tx.db)
        .optional()?;
    let as_absorbed: Option<MergeId> = merges::table
        .inner_join(merge_members::table.on(merge_members::merge_id.eq(merges::id)))
        .filter(merge_members::customer_id.eq(row.survivor_id))
        .filter(standing)
        .select(merges::id)
        .first(&mut tx.db)
        .optional()?;
    match as_absorbed.or(as_survivor) {
        Some(later) => Err(Error::conflict("merge_not_last", format!("Take back the later merge {later} first."))),
        None => Ok(()),
    }
}
