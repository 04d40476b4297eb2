//! What is asked of a merge, what is kept of it, and how it is shown.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Id, Instant, Reference, Result,
    json::Json,
    schema::{customers, merge_members, merges},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{plan::FieldChoice, rows};
use crate::{CustomerId, profile, scope};

/// Identifier of a merge.
pub type MergeId = Id<Merge>;

text_enum! {
    /// Where a merge stands.
    pub enum MergeState {
        /// It was only tried out; nothing was changed.
        Planned = "planned",
        /// The records are one.
        Executed = "executed",
        /// It was taken back.
        Reverted = "reverted",
    }
}

text_enum! {
    /// Why something is not as it was before a merge that was taken back.
    pub enum KeptKind {
        /// A field of the survivor that was changed after the merge; it stays with the survivor.
        FieldChanged = "field_changed",
        /// A row that came to the survivor after the merge; it stays there.
        RowAdded = "row_added",
        /// A row that was changed after the merge; it went back with its changes.
        RowChanged = "row_changed",
        /// A row that has gone to another customer, or is gone; it was left alone.
        RowGone = "row_gone",
        /// A value that the merge had changed so that rows fit together, and that was changed again; it stays.
        ValueChanged = "value_changed",
    }
}

/// A record that is to become part of another.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AbsorbedRecord {
    /// The customer.
    pub customer_id: CustomerId,
    /// The version that the caller saw.
    #[schema(minimum = 1, example = 3)]
    #[validate(range(min = 1))]
    pub version: i64,
}

/// Records to be merged into one customer.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MergeRequest {
    /// The records that become part of the customer; each once, of the customer's kind.
    #[schema(min_items = 1, max_items = 10)]
    #[validate(length(min = 1, max = 10), nested)]
    pub absorbed: Vec<AbsorbedRecord>,
    /// For fields by their names: the record whose value is to win, whatever the rules say. The record must have one.
    #[serde(default)]
    #[schema(nullable = false, inline, value_type = kehu_kernel::limits::RecordsByName, example = json!({ "tier": "01890a5d-ac96-774b-bcce-b302099a8057" }))]
    #[validate(length(max = 64))]
    pub choices: BTreeMap<String, CustomerId>,
    /// Why they are one; kept with the merge.
    #[schema(example = "same resident identity card shown at the counter", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
    /// Only try it out: the answer is that of the merge, and nothing is changed. No unless given.
    #[serde(default)]
    #[schema(nullable = false)]
    pub dry_run: bool,
}

/// How a merge is taken back.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MergeRevert {
    /// Why; kept with the merge.
    #[schema(example = "father and son of the same name", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// A merge: which records became one, which values won, which rows moved.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Merge {
    /// Identifier of the merge; null of one that was only tried out.
    pub id: Option<MergeId>,
    /// Where it stands.
    pub state: MergeState,
    /// The customer that goes on.
    pub survivor: Reference,
    /// The records that became part of it.
    #[schema(max_items = 10)]
    pub absorbed: Vec<Reference>,
    /// Why they are one.
    #[schema(max_length = 500)]
    pub reason: String,
    /// Each field about which the records do not agree, with the value that won and why.
    #[schema(max_items = 100)]
    pub plan: Vec<FieldChoice>,
    /// What became of the rows of the absorbed, table by table; tables without any are left out.
    #[schema(max_items = 100)]
    pub moved: Vec<MovedRows>,
    /// Who did it.
    #[schema(max_length = 128)]
    pub executed_by: String,
    /// When.
    pub executed_at: Instant,
    /// Until when it may be taken back.
    pub reversible_until: Instant,
    /// When it was taken back.
    pub reverted_at: Option<Instant>,
    /// Who took it back.
    #[schema(max_length = 128)]
    pub reverted_by: Option<String>,
    /// Why it was taken back.
    #[schema(max_length = 500)]
    pub revert_reason: Option<String>,
    /// What is not as it was before the merge, after it was taken back: at most 50 of each kind and table.
    #[schema(max_items = 10_000)]
    pub kept_changes: Vec<KeptChange>,
    /// Version of the merge; also its `ETag`.
    pub version: i64,
}

/// What becomes of the rows of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedRows {
    /// The table.
    #[schema(example = "contact_points", max_length = 64)]
    pub table: String,
    /// The column that names the customer.
    #[schema(example = "customer_id", max_length = 64)]
    pub column: String,
    /// How many rows go to the survivor.
    #[schema(minimum = 0)]
    pub moved: i64,
    /// How many rows stay with the absorbed record because the survivor has their like.
    #[schema(minimum = 0)]
    pub held_back: i64,
    /// How many rows of the survivor go to the absorbed record because the absorbed's like is worth more.
    #[schema(minimum = 0)]
    pub yielded: i64,
    /// How many values change so that the rows fit together.
    #[schema(minimum = 0)]
    pub adapted: i64,
    /// The first rows that move, in the order of their ids; the counts tell of all.
    #[schema(max_items = 50)]
    pub rows: Vec<MovedRow>,
    /// The first rows that are held back.
    #[schema(max_items = 50)]
    pub held_back_rows: Vec<MovedRow>,
}

/// A row that moves, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedRow {
    /// The row.
    pub id: AnyId,
    /// The customer that had it before the merge.
    pub customer_id: CustomerId,
}

/// Something that is not as it was before a merge that was taken back.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptChange {
    /// Why.
    pub kind: KeptKind,
    /// The table.
    #[schema(example = "contact_points", max_length = 64)]
    pub table: String,
    /// The row; of a field of the customer, the customer.
    pub row_id: AnyId,
    /// The field or column, if it is about one.
    #[schema(max_length = 64)]
    pub field: Option<String>,
}

/// What is kept of a plan. Values of sensitive fields are in here, so it is never shown as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Plan {
    #[serde(default)]
    pub fields: Vec<FieldChoice>,
    #[serde(default)]
    pub status: Option<super::stage::StageChange>,
}

/// A merge as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = merges, treat_none_as_default_value = false)]
pub(super) struct MergeRow {
    pub id: MergeId,
    pub survivor_id: CustomerId,
    pub reason: String,
    pub plan: Json<Plan>,
    pub moved: Json<Vec<MovedRows>>,
    pub executed_by: String,
    pub executed_at: Instant,
    pub reversible_until: Instant,
    pub reverted_at: Option<Instant>,
    pub reverted_by: Option<String>,
    pub revert_reason: Option<String>,
    pub kept_changes: Option<Json<Vec<KeptChange>>>,
    pub version: i64,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = merge_members)]
pub(super) struct Member {
    pub merge_id: MergeId,
    pub customer_id: CustomerId,
}

/// A merge.
///
/// # Errors
/// [`Error::NotFound`] when it is absent, or one of its records is out of reach; [`Error::Forbidden`].
pub fn get(conn: &mut Conn, actor: &Actor, id: MergeId) -> Result<Merge> {
    let (row, members) = find(conn, actor, id)?;
    show(conn, row, &members)
}

/// The row of a merge all of whose records the actor reaches, and the absorbed ones.
pub(super) fn find(conn: &mut Conn, actor: &Actor, id: MergeId) -> Result<(MergeRow, Vec<CustomerId>)> {
    let reach = actor.allow(Action::CustomerMerge)?;
    if actor.kind == kehu_kernel::access::ActorKind::Customer {
        return Err(Error::Forbidden("This is the bank's own record of its customers.".into()));
    }
    let row: MergeRow = merges::table.find(id).select(MergeRow::as_select()).first(&mut conn.db)?;
    let members: Vec<CustomerId> = merge_members::table
        .filter(merge_members::merge_id.eq(id))
        .order(merge_members::customer_id)
        .select(merge_members::customer_id)
        .load(&mut conn.db)?;
    let all: Vec<CustomerId> = members.iter().copied().chain([row.survivor_id]).collect();
    // Records that live apart again are shown to nobody who does not reach each of them.
    let reached =
        if row.reverted_at.is_some() { scope::each_reached(conn, &reach, &all)? } else { scope::reached(conn, &reach, &all)? };
    if reached { Ok((row, members)) } else { Err(Error::NotFound) }
}

/// A merge as it is shown: values of sensitive fields are left out.
pub(super) fn show(conn: &mut Conn, row: MergeRow, members: &[CustomerId]) -> Result<Merge> {
    let ids: Vec<CustomerId> = members.iter().copied().chain([row.survivor_id]).collect();
    let names: BTreeMap<CustomerId, String> = customers::table
        .filter(customers::id.eq_any(ids))
        .select((customers::id, customers::display_name))
        .load::<(CustomerId, String)>(&mut conn.db)?
        .into_iter()
        .collect();
    let named = |id: CustomerId| Reference::new(id, names.get(&id).cloned().unwrap_or_default());
    let hide = |choice: FieldChoice| if profile::is_sensitive(&choice.field) { choice.hidden() } else { choice };
    let mut moved = row.moved.0;
    for table in &mut moved {
        table.rows = rows::named(conn, row.id, &table.table, &table.column)?;
    }
    Ok(Merge {
        id: Some(row.id),
        state: if row.reverted_at.is_some() { MergeState::Reverted } else { MergeState::Executed },
        survivor: named(row.survivor_id),
        absorbed: members.iter().map(|id| named(*id)).collect(),
        reason: row.reason,
        plan: row.plan.0.fields.into_iter().map(hide).collect(),
        moved,
        executed_by: row.executed_by,
        executed_at: row.executed_at,
        reversible_until: row.reversible_until,
        reverted_at: row.reverted_at,
        reverted_by: row.reverted_by,
        revert_reason: row.revert_reason,
        kept_changes: row.kept_changes.map(|kept| kept.0).unwrap_or_default(),
        version: row.version,
    })
}
