//! Pairs of the work queue of matching: those that are now one are closed, those with others go along.

use std::collections::HashMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    AnyId, Result, Tx, bulk_insert,
    json::Json,
    schema::{match_candidates, merge_rows},
};
use serde::{Deserialize, Serialize};

use super::{record::MergeId, rows::Way};
use crate::CustomerId;

/// The state of a pair whose records are one.
const MERGED: &str = "merged";
const TABLE: &str = "match_candidates";

/// A pair as it was before a merge.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Before {
    left_id: CustomerId,
    right_id: CustomerId,
    state: String,
}

#[derive(Insertable)]
#[diesel(table_name = merge_rows, treat_none_as_default_value = false)]
struct Note {
    merge_id: MergeId,
    table_name: &'static str,
    column_name: &'static str,
    row_id: AnyId,
    customer_id: CustomerId,
    row_version: Option<i64>,
    before: Option<Json<Before>>,
}

type Pair = (AnyId, CustomerId, CustomerId, String, i64);

/// Closes or carries over the pairs of one absorbed record.
pub(super) fn carry(tx: &mut Tx<'_>, way: Way) -> Result<()> {
    let absorbed = of(tx, way.absorbed)?;
    let others: HashMap<CustomerId, AnyId> =
        of(tx, way.survivor)?.into_iter().map(|pair| (other(&pair, way.survivor), pair.0)).collect();
    let mut notes = Vec::new();
    for pair in absorbed {
        let third = other(&pair, way.absorbed);
        let (id, left_id, right_id, state, version) = pair;
        let closes = third == way.survivor || others.contains_key(&third);
        if closes {
            diesel::update(match_candidates::table.find(id))
                .set((match_candidates::state.eq(MERGED), match_candidates::merge_id.eq(Some(way.merge.cast::<()>()))))
                .execute(&mut tx.db)?;
        } else {
            let (left, right) = (way.survivor.min(third), way.survivor.max(third));
            diesel::update(match_candidates::table.find(id))
                .set((match_candidates::left_id.eq(left), match_candidates::right_id.eq(right)))
                .execute(&mut tx.db)?;
        }
        notes.push(Note {
            merge_id: way.merge,
            table_name: TABLE,
            column_name: if closes { "state" } else { "left_id" },
            row_id: id,
            customer_id: way.absorbed,
            row_version: Some(version),
            before: Some(Json(Before { left_id, right_id, state })),
        });
    }
    // A pair of two absorbed records went along with the first and is closed with the second.
    let known: Vec<AnyId> = merge_rows::table
        .filter(merge_rows::merge_id.eq(way.merge))
        .filter(merge_rows::table_name.eq(TABLE))
        .filter(merge_rows::column_name.eq("state"))
        .select(merge_rows::row_id)
        .load(&mut tx.db)?;
    notes.retain(|note| note.column_name != "state" || !known.contains(&note.row_id));
    bulk_insert!(tx, merge_rows::table, notes)?;
    Ok(())
}

/// Gives the pairs their sides and their state back; what was decided since stays decided.
pub(super) fn restore(tx: &mut Tx<'_>, merge: MergeId) -> Result<()> {
    let notes: Vec<(String, AnyId, Option<Json<Before>>)> = merge_rows::table
        .filter(merge_rows::merge_id.eq(merge))
        .filter(merge_rows::table_name.eq(TABLE))
        .order(merge_rows::customer_id.desc())
        .select((merge_rows::column_name, merge_rows::row_id, merge_rows::before))
        .load(&mut tx.db)?;
    for (column, id, before) in notes {
        let Some(Json(before)) = before else { continue };
        if column == "state" {
            diesel::update(match_candidates::table.find(id).filter(match_candidates::merge_id.eq(Some(merge.cast::<()>()))))
                .set((match_candidates::state.eq(before.state), match_candidates::merge_id.eq(None::<AnyId>)))
                .execute(&mut tx.db)?;
        } else {
            diesel::update(match_candidates::table.find(id))
                .set((match_candidates::left_id.eq(before.left_id), match_candidates::right_id.eq(before.right_id)))
                .execute(&mut tx.db)?;
        }
    }
    Ok(())
}

fn of(tx: &mut Tx<'_>, id: CustomerId) -> Result<Vec<Pair>> {
    Ok(match_candidates::table
        .filter(match_candidates::left_id.eq(id).or(match_candidates::right_id.eq(id)))
        .order(match_candidates::id)
        .select((
            match_candidates::id,
            match_candidates::left_id,
            match_candidates::right_id,
            match_candidates::state,
            match_candidates::version,
        ))
        .load(&mut tx.db)?)
}

fn other(pair: &Pair, one: CustomerId) -> CustomerId {
    if pair.1 == one { pair.2 } else { pair.1 }
}
