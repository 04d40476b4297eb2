//! Rejected rows, corrected or as they are, taken in again.

use std::{collections::HashMap, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Error, FieldError, Result, Tx, event::NewEvent, schema::import_rows};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    Import, ImportId, ImportRowId, ImportState,
    batch::count,
    entity,
    mask::unmasked,
    parked::{Again, try_again},
    plan::Plan,
    rows::{self, ImportRow, RowState},
};

/// How many rows one call replays.
const MOST: usize = 1_000;

/// Which rejected rows to take in again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// The rows; the first 1,000 rejected ones, as they are, when absent.
    #[schema(max_items = 1000)]
    #[validate(length(max = 1000))]
    pub rows: Option<Vec<Correction>>,
}

/// A row to be taken in again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Identifier of the row, from `list_import_errors`.
    pub id: ImportRowId,
    /// The whole row by column, corrected; as it was kept when absent. Values that were shown masked may stay so.
    #[schema(value_type = Option<Object>)]
    pub record: Option<Map<String, Value>>,
}

/// Takes rejected rows in again. A row that still breaks a rule stays in the list with its new errors.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] for rows that are not rejected ones of this import;
/// [`Error::Conflict`] `import_state` while the import is running or after it was reverted.
pub fn replay(tx: &mut Tx<'_>, actor: &Actor, id: ImportId, version: i64, request: &ReplayRequest) -> Result<Import> {
    actor.allow_everywhere(Action::ImportManage)?;
    let record = entity::check_version(tx, id, version)?;
    if !matches!(record.state, ImportState::Done | ImportState::Failed) {
        return Err(Error::conflict("import_state", format!("The import is {}; wait for its end.", record.state)));
    }
    let plan = Plan::read(tx, id)?;
    let rows = wanted(tx, id, request)?;
    let fates = try_again(tx, actor, &plan, &rows)?;
    let counts = count(0, &fates);
    let data = json!({ "rows": rows.len(), "created": counts.created, "updated": counts.updated,
        "unchanged": counts.unchanged, "rejected": counts.rejected, "parked": counts.parked });
    tx.emit(actor, NewEvent::new("import.replayed", id, data));
    // What came in may be what parked rows were waiting for.
    while retry_once(tx, actor, &plan)? > 0 {}
    entity::get(tx, actor, id)
}

fn wanted(tx: &mut Tx<'_>, id: ImportId, request: &ReplayRequest) -> Result<Vec<Again>> {
    let keys = Arc::clone(&tx.keys);
    let again = |row: ImportRow, corrected: Option<Map<String, Value>>| {
        let is_corrected = corrected.is_some();
        let kept = row.raw(&keys)?;
        let raw = corrected.map_or_else(|| kept.clone(), |corrected| unmasked(corrected, &kept));
        Ok(Again { row, raw: Arc::new(raw), corrected: is_corrected })
    };
    let Some(corrections) = &request.rows else {
        let rows = rows::rejected(tx, id, None, i64::try_from(MOST).map_err(Error::internal)?)?;
        return rows.into_iter().map(|row| again(row, None)).collect();
    };
    let mut found = by_id(tx, id, corrections)?;
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for (n, correction) in corrections.iter().enumerate() {
        match found.remove(&correction.id) {
            Some(row) => rows.push(again(row, correction.record.clone())?),
            None => errors.push(FieldError::new(
                format!("/rows/{n}/id"),
                "unknown_row",
                "This import has no rejected row with this id (or it is named twice).",
            )),
        }
    }
    if errors.is_empty() { Ok(rows) } else { Err(Error::Invalid(errors)) }
}

fn by_id(conn: &mut Conn, id: ImportId, corrections: &[Correction]) -> Result<HashMap<ImportRowId, ImportRow>> {
    let ids: Vec<ImportRowId> = corrections.iter().map(|correction| correction.id).collect();
    let rows: Vec<ImportRow> = import_rows::table
        .filter(import_rows::id.eq_any(ids))
        .filter(import_rows::import_id.eq(id))
        .filter(import_rows::state.eq(RowState::Rejected))
        .select(ImportRow::as_select())
        .load(&mut conn.db)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Tries the first parked rows of this import; how many of them found what they waited for.
fn retry_once(tx: &mut Tx<'_>, actor: &Actor, plan: &Plan) -> Result<usize> {
    let rows: Vec<ImportRow> = import_rows::table
        .filter(import_rows::import_id.eq(plan.import_id))
        .filter(import_rows::state.eq(RowState::Parked))
        .order(import_rows::id)
        .limit(i64::try_from(MOST).map_err(Error::internal)?)
        .select(ImportRow::as_select())
        .load(&mut tx.db)?;
    let keys = Arc::clone(&tx.keys);
    let rows = rows
        .into_iter()
        .map(|row| Ok(Again { raw: Arc::new(row.raw(&keys)?), row, corrected: false }))
        .collect::<Result<Vec<_>>>()?;
    let fates = try_again(tx, actor, plan, &rows)?;
    Ok(fates.iter().filter(|fate| !matches!(fate, super::batch::Fate::Parked(_))).count())
}
