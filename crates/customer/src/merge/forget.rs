//! What merges hold of a record that is erased: the plan names its values, also where it was taken back and the survivor
//! lives on.

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Result, Tx,
    json::Json,
    schema::{attribute_history, merge_members, merges},
};

use super::record::{MergeRow, Plan};
use crate::CustomerId;

/// Takes out of all merges that have absorbed a record what they hold of people, and out of the survivors' histories what
/// was believed because of it; how many merges.
///
/// # Errors
/// The database's.
pub(crate) fn forget(tx: &mut Tx<'_>, record: CustomerId) -> Result<u64> {
    let rows: Vec<MergeRow> = merges::table
        .inner_join(merge_members::table.on(merge_members::merge_id.eq(merges::id)))
        .filter(merge_members::customer_id.eq(record))
        .order(merges::id)
        .select(MergeRow::as_select())
        .load(&mut tx.db)?;
    let mut count = 0;
    for row in rows {
        let fields: Vec<String> =
            row.plan.0.fields.iter().filter(|choice| choice.from == record).map(|choice| choice.field.clone()).collect();
        // What is still believed is the survivor's own by now.
        diesel::delete(
            attribute_history::table
                .filter(attribute_history::customer_id.eq(row.survivor_id))
                .filter(attribute_history::valid_from.eq(row.executed_at))
                .filter(attribute_history::valid_to.is_not_null())
                .filter(attribute_history::field.eq_any(fields)),
        )
        .execute(&mut tx.db)?;
        diesel::update(merges::table.find(row.id))
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
