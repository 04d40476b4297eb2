//! What merges hold of a record that is erased: the plan names its values, also where it was taken back and the survivor
//! lives on.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Instant, Result, Tx,
    json::Json,
    schema::{attribute_history, merge_members, merges},
};

use serde_json::Value;

use super::record::{MergeId, Plan};
use crate::CustomerId;

/// Takes out of all merges that have absorbed a record what they hold of people, and out of the survivors' histories what
/// was believed because of it; how many merges.
///
/// # Errors
/// The database's.
pub(crate) fn forget(tx: &mut Tx<'_>, record: CustomerId) -> Result<u64> {
    let rows: Vec<(MergeId, CustomerId, Json<Value>, Instant)> = merges::table
        .inner_join(merge_members::table.on(merge_members::merge_id.eq(merges::id)))
        .filter(merge_members::customer_id.eq(record))
        .order(merges::id)
        .select((merges::id, merges::survivor_id, merges::plan, merges::executed_at))
        .load(&mut tx.db)?;
    let mut count = 0;
    for (id, survivor, plan, executed_at) in rows {
        // One that an erasure has emptied already names nothing.
        let plan: Plan = serde_json::from_value(plan.0).unwrap_or_default();
        let fields: Vec<String> =
            plan.fields.iter().filter(|choice| choice.from == record).map(|choice| choice.field.clone()).collect();
        // What is still believed is the survivor's own by now.
        diesel::delete(
            attribute_history::table
                .filter(attribute_history::customer_id.eq(survivor))
                .filter(attribute_history::valid_from.eq(executed_at))
                .filter(attribute_history::valid_to.is_not_null())
                .filter(attribute_history::field.eq_any(fields)),
        )
        .execute(&mut tx.db)?;
        diesel::update(merges::table.find(id))
            .set((
                merges::plan.eq(Json(Plan::default())),
                merges::reason.eq("Erased."),
                merges::revert_reason.eq(None::<String>),
                merges::kept_changes.eq(None::<Json<Vec<super::KeptChange>>>),
                merges::version.eq(merges::version + 1),
            ))
            .execute(&mut tx.db)?;
        count += 1;
    }
    Ok(count)
}
