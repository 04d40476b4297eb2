//! Reading the history of a customer: values of fields, and moves of status and stage, newest first.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Error, Instant, Page, PageParams, Result, Tx,
    audit::{self, Access},
    json::Json,
    schema::{attribute_history, customer_transitions},
    store::MultiBackend,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{CustomerId, attribute::custom, history::Belief, present, profile, scope, transition::Axis, transition::Passage};

/// One value that a field had.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerHistoryEntry {
    /// Identifier of the entry.
    pub id: AnyId,
    /// The record that it belongs to: this one, or one that was merged into it.
    pub customer_id: CustomerId,
    /// Name of the field, as in the profile or in the customer.
    #[schema(example = "employer", max_length = 64)]
    pub field: String,
    /// The value; null when there was none, and for sensitive fields that the caller may not see.
    #[schema(value_type = Option<Value>)]
    pub value: Value,
    /// Code of the source system that said so; null when a person did.
    #[schema(max_length = 32)]
    pub source_system: Option<String>,
    /// When the source observed it.
    pub observed_at: Instant,
    /// Since when it was believed.
    pub valid_from: Instant,
    /// Until when it was believed; null while it is. Equal to `valid_from` for what a source said
    /// without being believed, because a better one knows otherwise.
    pub valid_to: Option<Instant>,
    /// How long it was believed; null while it is.
    #[schema(minimum = 0)]
    pub duration_seconds: Option<i64>,
    /// How sure the source was.
    pub confidence_bp: BasisPoints,
    /// Why status or stage changed; null for other fields.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Who recorded it.
    #[schema(max_length = 128)]
    pub recorded_by: String,
}

/// Filters of the history.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CustomerHistoryFilter {
    /// Only this field: a field of the profile or of the customer, `status` and `life_cycle_stage` included.
    #[param(max_length = 64, example = "employer")]
    pub field: Option<String>,
    /// Only what was believed at this instant.
    pub at: Option<Instant>,
    /// Only what came to be believed at this instant and later.
    #[param(example = "2026-01-01T00:00:00Z")]
    pub from: Option<Instant>,
    /// Only what came to be believed before this instant.
    #[param(example = "2026-02-01T00:00:00Z")]
    pub to: Option<Instant>,
}

/// The history of a customer and of the records that were merged into it, newest first, without values of sensitive fields.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for an unknown field or a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerHistoryFilter,
    params: &PageParams,
) -> Result<Page<CustomerHistoryEntry>> {
    let page = read(conn, actor, customer, filter, params)?;
    let hidden = custom::hidden(conn, actor, page.items.iter().map(|entry| entry.field.as_str()), false)?;
    Ok(page.map(|entry| hide(entry, |field| profile::is_sensitive(field) || hidden.contains(field))))
}

/// As [`list`], with values of sensitive fields when the actor may see them; that is recorded.
///
/// # Errors
/// As [`list`].
pub fn disclose(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerHistoryFilter,
    params: &PageParams,
) -> Result<Page<CustomerHistoryEntry>> {
    if !present::shows_sensitive(actor) {
        return list(tx, actor, customer, filter, params);
    }
    let page = read(tx, actor, customer, filter, params)?;
    let hidden = custom::hidden(tx, actor, page.items.iter().map(|entry| entry.field.as_str()), true)?;
    let page = page.map(|entry| hide(entry, |field| hidden.contains(field)));
    let sensitive = custom::sensitive(tx, page.items.iter().map(|entry| entry.field.as_str()))?;
    let is_sensitive = |field: &&str| profile::is_sensitive(field) || sensitive.contains(*field);
    let mut fields: Vec<&str> = page.items.iter().map(|entry| entry.field.as_str()).filter(is_sensitive).collect();
    fields.sort_unstable();
    fields.dedup();
    if !fields.is_empty() {
        let access = Access {
            customer_id: Some(customer.cast()),
            resource: "customer_history",
            resource_id: customer.cast(),
            action: Action::CustomerRead.as_str(),
            fields: &fields,
        };
        audit::record(tx, actor, access)?;
    }
    Ok(page)
}

/// The entry without its value, if its field is one that is not shown.
fn hide(entry: CustomerHistoryEntry, hidden: impl Fn(&str) -> bool) -> CustomerHistoryEntry {
    if hidden(&entry.field) { CustomerHistoryEntry { value: Value::Null, ..entry } } else { entry }
}

fn read(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerHistoryFilter,
    params: &PageParams,
) -> Result<Page<CustomerHistoryEntry>> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<AnyId>(&conn.keys, &format!("history/{customer}?{filter:?}"))?;
    let lineage = scope::lineage(conn, customer)?;
    let axis = filter.field.as_deref().map(str::parse::<Axis>);
    // Ids sort by the time of recording, in both tables: the page is the head of the two merged.
    let mut entries: Vec<CustomerHistoryEntry> = Vec::new();
    if !matches!(axis, Some(Err(()))) {
        entries = moves(conn, &lineage, axis.and_then(Result::ok), filter)?;
    }
    let mut total = i64::try_from(entries.len()).map_err(Error::internal)?;
    entries.retain(|entry| window.after.is_none_or(|before| entry.id < before));
    if !matches!(axis, Some(Ok(_))) {
        if window.include_total {
            total += values(&lineage, filter).count().get_result::<i64>(&mut conn.db)?;
        }
        let mut query =
            values(&lineage, filter).order(attribute_history::id.desc()).limit(window.fetch()).select(Belief::as_select());
        if let Some(before) = window.after {
            query = query.filter(attribute_history::id.lt(before));
        }
        let rows: Vec<Belief> = query.load(&mut conn.db)?;
        entries.extend(rows.into_iter().map(Into::into));
    }
    entries.sort_by_key(|entry: &CustomerHistoryEntry| std::cmp::Reverse(entry.id));
    window.page(&conn.keys, entries, window.include_total.then_some(total), |entry| entry.id)
}

/// The moves of a customer that held at an instant; they are few.
fn moves(
    conn: &mut Conn,
    lineage: &[CustomerId],
    axis: Option<Axis>,
    filter: &CustomerHistoryFilter,
) -> Result<Vec<CustomerHistoryEntry>> {
    let mut query = customer_transitions::table.filter(customer_transitions::customer_id.eq_any(lineage.to_vec())).into_boxed();
    if let Some(axis) = axis {
        query = query.filter(customer_transitions::axis.eq(axis));
    }
    let rows: Vec<Passage> = query.select(Passage::as_select()).load(&mut conn.db)?;
    let held = |entry: &CustomerHistoryEntry| {
        let at = filter.at.is_none_or(|at| entry.valid_from <= at && entry.valid_to.is_none_or(|to| at < to));
        let began = filter.from.is_none_or(|from| entry.valid_from >= from);
        at && began && filter.to.is_none_or(|to| entry.valid_from < to)
    };
    Ok(rows.into_iter().map(Into::into).filter(held).collect())
}

fn values<'a>(lineage: &[CustomerId], filter: &CustomerHistoryFilter) -> attribute_history::BoxedQuery<'a, MultiBackend> {
    let mut query = attribute_history::table.filter(attribute_history::customer_id.eq_any(lineage.to_vec())).into_boxed();
    if let Some(field) = &filter.field {
        query = query.filter(attribute_history::field.eq(field.clone()));
    }
    if let Some(at) = filter.at {
        let lasts = attribute_history::valid_to.is_null().or(attribute_history::valid_to.assume_not_null().gt(at));
        query = query.filter(attribute_history::valid_from.le(at).and(lasts));
    }
    if let Some(from) = filter.from {
        query = query.filter(attribute_history::valid_from.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(attribute_history::valid_from.lt(to));
    }
    query
}

impl From<Belief> for CustomerHistoryEntry {
    fn from(belief: Belief) -> Self {
        let Json(value) = belief.value;
        Self {
            id: belief.id,
            customer_id: belief.customer_id,
            field: belief.field,
            value,
            source_system: belief.source_system,
            observed_at: belief.observed_at,
            valid_from: belief.valid_from,
            valid_to: belief.valid_to,
            duration_seconds: belief.valid_to.map(|to| to.seconds() - belief.valid_from.seconds()),
            confidence_bp: belief.confidence_bp,
            reason: None,
            recorded_by: belief.recorded_by,
        }
    }
}

impl From<Passage> for CustomerHistoryEntry {
    fn from(passage: Passage) -> Self {
        let lasted = |seconds: i64| std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        Self {
            id: passage.id,
            customer_id: passage.customer_id,
            field: passage.axis.as_str().to_owned(),
            value: Value::String(passage.to_value),
            source_system: None,
            observed_at: passage.entered_at,
            valid_from: passage.entered_at,
            valid_to: passage.left_seconds.map(|seconds| passage.entered_at.plus(lasted(seconds))),
            duration_seconds: passage.left_seconds,
            confidence_bp: BasisPoints::WHOLE,
            reason: Some(passage.reason),
            recorded_by: passage.changed_by,
        }
    }
}
