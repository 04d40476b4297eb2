//! The survivor's fields: what a merge sets, and what a revert sets back.

use std::collections::BTreeSet;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Actor, BasisPoints, Instant, Result, Tx, schema::attribute_history};
use serde_json::{Value, json};

use super::{
    plan::FieldChoice,
    record::{KeptChange, KeptKind, MergeRow},
    stage,
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

/// Sets back what the merge set and nobody has changed since; the rest stays and is listed, with what else has changed.
/// What was believed while the records were one stays in the history; what was believed before is believed again.
pub(super) fn restore(
    tx: &mut Tx<'_>,
    actor: &Actor,
    survivor: &CustomerRow,
    merge: &MergeRow,
    kept: &mut Vec<KeptChange>,
) -> Result<()> {
    let present = present(tx, survivor)?;
    let mut changed = changed_since(tx, merge)?;
    let mut back: Vec<(Change, &FieldChoice)> = Vec::new();
    for choice in merge.plan.0.fields.iter().filter(|choice| choice.changes()) {
        let value = present.get(&choice.field).cloned().unwrap_or(Value::Null);
        if value == choice.value && !changed.contains(&choice.field) {
            back.push((Change { field: choice.field.clone(), before: value, after: choice.before.clone() }, choice));
        } else {
            changed.insert(choice.field.clone());
        }
    }
    kept.extend(changed.into_iter().map(|field| KeptChange {
        kind: KeptKind::FieldChanged,
        table: "customers".into(),
        row_id: survivor.id.cast(),
        field: Some(field),
    }));
    if back.is_empty() {
        return Ok(());
    }
    set(tx, survivor, back.iter().map(|(change, _)| change.clone()).collect())?;
    for (change, choice) in back.iter().filter(|(change, _)| !UNKEPT.contains(&change.field.as_str())) {
        let own = choice.alternatives.iter().find(|alternative| alternative.customer_id == survivor.id);
        let testimony = Testimony {
            source: own.and_then(|own| own.source_system.as_deref()),
            observed_at: own.map_or(tx.now, |own| own.observed_at),
            confidence: own.map_or(BasisPoints::WHOLE, |own| own.confidence_bp),
            recorded_by: &actor.subject,
        };
        history::keep(tx, survivor, std::slice::from_ref(change), &testimony)?;
    }
    Ok(())
}

/// The fields of the survivor about which something else was believed after the merge, but for what later merges made
/// it believe that were taken back.
fn changed_since(tx: &mut Tx<'_>, merge: &MergeRow) -> Result<BTreeSet<String>> {
    let undone = stage::undone_since(tx, merge)?;
    let beliefs: Vec<(String, Instant, Option<Instant>)> = attribute_history::table
        .filter(attribute_history::customer_id.eq(merge.survivor_id))
        .filter(attribute_history::valid_from.gt(merge.executed_at))
        .select((attribute_history::field, attribute_history::valid_from, attribute_history::valid_to))
        .load(&mut tx.db)?;
    // What a source said without being believed begins and ends at once.
    let believed = beliefs.into_iter().filter(|(_, from, to)| *to != Some(*from) && !undone.contains(from));
    Ok(believed.map(|(field, ..)| field).collect())
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
