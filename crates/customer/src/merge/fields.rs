//! The survivor's fields: what a merge sets, and what a revert sets back.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Actor, Result, Tx, schema::attribute_history};
use serde_json::{Value, json};

use super::{
    plan::FieldChoice,
    record::{KeptChange, KeptKind, MergeRow},
};
use crate::{
    CustomerRow,
    history::{self, Change, Testimony},
    update::{self, Whole},
};

/// Days that go with other fields and have no history of their own.
const UNKEPT: [&str; 2] = ["rated_on", "review_due_on"];

/// Takes the values that won into the survivor's own profile, each with the source from which it is known.
pub(super) fn take(tx: &mut Tx<'_>, actor: &Actor, survivor: &CustomerRow, plan: &[FieldChoice]) -> Result<()> {
    let changing: Vec<&FieldChoice> = plan.iter().filter(|choice| choice.changes()).collect();
    if changing.is_empty() {
        return Ok(());
    }
    let changes = changing.iter().map(|choice| Change {
        field: choice.field.clone(),
        before: choice.before.clone(),
        after: choice.value.clone(),
    });
    set(tx, survivor, changes.collect())?;
    for choice in changing {
        let Some(winner) = choice.winner().filter(|_| !UNKEPT.contains(&choice.field.as_str())) else { continue };
        let testimony = Testimony {
            source: winner.source_system.as_deref(),
            observed_at: winner.observed_at,
            confidence: winner.confidence_bp,
            recorded_by: &actor.subject,
        };
        let change = Change { field: choice.field.clone(), before: choice.before.clone(), after: choice.value.clone() };
        history::keep(tx, survivor, &[change], &testimony)?;
    }
    Ok(())
}

/// Sets back what the merge set and nobody has changed since; the rest stays and is listed. Beliefs that the
/// merge ended are believed again.
pub(super) fn restore(tx: &mut Tx<'_>, survivor: &CustomerRow, merge: &MergeRow, kept: &mut Vec<KeptChange>) -> Result<()> {
    let present = present(tx, survivor)?;
    let mut changes = Vec::new();
    for choice in merge.plan.0.fields.iter().filter(|choice| choice.changes()) {
        let value = present.get(&choice.field).cloned().unwrap_or(Value::Null);
        if value == choice.value {
            changes.push(Change { field: choice.field.clone(), before: value, after: choice.before.clone() });
        } else {
            kept.push(KeptChange {
                kind: KeptKind::FieldChanged,
                table: "customers".into(),
                row_id: survivor.id.cast(),
                field: Some(choice.field.clone()),
            });
        }
    }
    let fields: Vec<String> = changes.iter().map(|change| change.field.clone()).collect();
    if fields.is_empty() {
        return Ok(());
    }
    set(tx, survivor, changes)?;
    // Ids grow with time: what is greater than the merge's came with it, what is smaller was there before.
    let of = attribute_history::table
        .filter(attribute_history::customer_id.eq(survivor.id))
        .filter(attribute_history::field.eq_any(fields.clone()));
    diesel::delete(
        attribute_history::table
            .filter(attribute_history::customer_id.eq(survivor.id))
            .filter(attribute_history::field.eq_any(fields))
            .filter(attribute_history::id.gt(merge.id.cast::<()>()))
            .filter(diesel::BoolExpressionMethods::or(
                attribute_history::valid_from.eq(merge.executed_at),
                diesel::NullableExpressionMethods::assume_not_null(attribute_history::valid_to).eq(merge.executed_at),
            )),
    )
    .execute(&mut tx.db)?;
    let ended: Vec<kehu_kernel::AnyId> = of
        .filter(attribute_history::id.lt(merge.id.cast::<()>()))
        .filter(attribute_history::valid_to.eq(merge.executed_at))
        // What a source said without being believed begins and ends at once.
        .filter(attribute_history::valid_from.ne(merge.executed_at))
        .select(attribute_history::id)
        .load(&mut tx.db)?;
    diesel::update(attribute_history::table.filter(attribute_history::id.eq_any(ended)))
        .set(attribute_history::valid_to.eq(None::<kehu_kernel::Instant>))
        .execute(&mut tx.db)?;
    Ok(())
}

fn present(tx: &mut Tx<'_>, survivor: &CustomerRow) -> Result<serde_json::Map<String, Value>> {
    let mut values = Whole::load(tx, survivor.clone())?.values()?;
    values.insert("rated_on".into(), json!(survivor.rated_on));
    values.insert("review_due_on".into(), json!(survivor.review_due_on));
    Ok(values)
}

fn set(tx: &mut Tx<'_>, survivor: &CustomerRow, mut changes: Vec<Change>) -> Result<()> {
    // A display name otherwise follows the name of the profile.
    if !changes.iter().any(|change| change.field == "display_name") {
        let name = Value::from(survivor.display_name.as_str());
        changes.push(Change { field: "display_name".into(), before: name.clone(), after: name });
    }
    let patch = update::patch_of(survivor.kind, changes)?;
    Whole::load(tx, survivor.clone())?.rewrite(tx, patch)
}
