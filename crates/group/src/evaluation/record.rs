//! Making, keeping and reading evaluations.

use std::collections::{BTreeSet, HashMap};

use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    dsl::sql,
    sql_types::{Bool, Text},
};
use kehu_customer::scope;
use kehu_kernel::{
    Action, Actor, Conn, Currency, Error, FieldError, Instant, Page, PageParams, Result, Tx, event::NewEvent, json::Json,
    schema::segmentation_evaluations, store::MultiBackend,
};
use serde_json::json;

use super::{
    Decimal, EvaluatedGroup, EvaluationDecision, EvaluationFilter, EvaluationId, EvaluationItem, EvaluationKind, EvaluationPhase,
    EvaluationResult, EvaluationSide, EvaluationTarget, NewSegmentationEvaluation, SegmentationEvaluation,
    calculate::{Amounts, evaluate, is_turnover},
    compare,
    decimal::ONE,
    line::{EvaluationCategory, is_known, is_measured},
};
use crate::{
    access,
    group::{self, GroupId},
};

/// No line is worth more than this many minor units, so that sums of all lines stay exact.
const MOST: i64 = 1_000_000_000_000_000;

/// An evaluation as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = segmentation_evaluations, treat_none_as_default_value = false)]
pub(crate) struct EvaluationRow {
    pub id: EvaluationId,
    pub kind: EvaluationKind,
    pub phase: EvaluationPhase,
    pub forecast_id: Option<EvaluationId>,
    pub purpose: String,
    pub currency: Currency,
    pub horizon_months: i32,
    pub source_groups: Json<Vec<EvaluatedGroup>>,
    pub target_groups: Json<Vec<EvaluatedGroup>>,
    pub items: Json<Vec<EvaluationItem>>,
    pub limiting_factors: Json<Vec<String>>,
    pub decision: EvaluationDecision,
    pub result: Json<EvaluationResult>,
    pub created_by: String,
    pub created_at: Instant,
    pub version: i64,
}

impl From<EvaluationRow> for SegmentationEvaluation {
    fn from(row: EvaluationRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            phase: row.phase,
            forecast_id: row.forecast_id,
            purpose: row.purpose,
            source_groups: row.source_groups.0,
            target_groups: row.target_groups.0,
            currency: row.currency,
            horizon_months: row.horizon_months,
            items: row.items.0,
            limiting_factors: row.limiting_factors.0,
            decision: row.decision,
            result: row.result.0,
            created_by: row.created_by,
            created_at: row.created_at,
            version: row.version,
        }
    }
}

/// Evaluations, the newest first.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    filter: &EvaluationFilter,
    params: &PageParams,
) -> Result<Page<SegmentationEvaluation>> {
    access::read(actor)?;
    let window = params.window::<EvaluationId>(&conn.keys, &format!("segmentation-evaluations?{filter:?}"))?;
    let total = if window.include_total { Some(matching(filter).count().get_result(&mut conn.db)?) } else { None };
    let newest = segmentation_evaluations::id.desc();
    let mut query = matching(filter).order(newest).limit(window.fetch()).select(EvaluationRow::as_select());
    if let Some(before) = window.after {
        query = query.filter(segmentation_evaluations::id.lt(before));
    }
    let rows: Vec<EvaluationRow> = query.load(&mut conn.db)?;
    Ok(window.page(&conn.keys, rows, total, |row| row.id)?.map(SegmentationEvaluation::from))
}

fn matching(filter: &EvaluationFilter) -> segmentation_evaluations::BoxedQuery<'static, MultiBackend> {
    let mut query = segmentation_evaluations::table.into_boxed();
    if let Some(kind) = filter.kind {
        query = query.filter(segmentation_evaluations::kind.eq(kind));
    }
    if let Some(phase) = filter.phase {
        query = query.filter(segmentation_evaluations::phase.eq(phase));
    }
    if let Some(decision) = filter.decision {
        query = query.filter(segmentation_evaluations::decision.eq(decision));
    }
    if let Some(forecast) = filter.forecast_id {
        query = query.filter(segmentation_evaluations::forecast_id.eq(forecast));
    }
    if let Some(group) = filter.source_group_id {
        // An id stands in the document as itself; names of groups come after it and cannot be one of its keys.
        let named = sql::<Bool>("CAST(source_groups AS text) LIKE ").bind::<Text, _>(format!("%\"{group}\"%"));
        query = query.filter(named);
    }
    query
}

/// One evaluation.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: EvaluationId) -> Result<SegmentationEvaluation> {
    access::read(actor)?;
    Ok(row(conn, id)?.ok_or(Error::NotFound)?.into())
}

/// The stored evaluation.
pub(crate) fn row(conn: &mut Conn, id: EvaluationId) -> Result<Option<EvaluationRow>> {
    let of = segmentation_evaluations::table.find(id).select(EvaluationRow::as_select());
    Ok(of.first(&mut conn.db).optional()?)
}

/// Evaluates a step and keeps what came out; an actual one is compared with its forecast.
///
/// # Errors
/// [`Error::Forbidden`] without `group.manage`; [`Error::Invalid`] for lines that are not in the scheme, stand twice or lack
/// their value, for groups that do not exist, and where an actual evaluation differs from its forecast.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewSegmentationEvaluation) -> Result<SegmentationEvaluation> {
    scope::allow_inside(actor, Action::GroupManage)?;
    let mut broken = Vec::new();
    let lines = amounts(new.currency, &new.items, &mut broken);
    let (sources, targets) = groups(tx, &new, &mut broken)?;
    let forecast = forecast(tx, &new, &mut broken)?;
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    let outcome = evaluate(new.kind, &lines);
    let mut result = EvaluationResult::new(new.kind, new.currency, &lines, &outcome);
    if let Some(forecast) = forecast {
        let expected = amounts(forecast.currency, &forecast.items.0, &mut Vec::new());
        result.variance = compare::variance(new.currency, &expected, &lines);
        result.follow_up = compare::follow_up(new.kind, &outcome, &result.variance);
    }
    let row = EvaluationRow {
        id: EvaluationId::new(),
        kind: new.kind,
        phase: new.phase,
        forecast_id: new.forecast_id,
        purpose: new.purpose,
        currency: new.currency,
        horizon_months: new.horizon_months,
        source_groups: Json(sources),
        target_groups: Json(targets),
        items: Json(new.items),
        limiting_factors: Json(new.limiting_factors),
        decision: outcome.decision,
        result: Json(result),
        created_by: actor.subject.clone(),
        created_at: tx.now,
        version: 1,
    };
    diesel::insert_into(segmentation_evaluations::table).values(&row).execute(&mut tx.db)?;
    let data = json!({ "kind": row.kind, "phase": row.phase, "decision": row.decision, "forecast_id": row.forecast_id });
    tx.emit(actor, NewEvent::new("segmentation_evaluation.created", row.id, data));
    Ok(row.into())
}

/// The lines in minor units, and what is wrong with them.
fn amounts(currency: Currency, items: &[EvaluationItem], broken: &mut Vec<FieldError>) -> Vec<Amounts> {
    let mut seen = BTreeSet::new();
    let mut lines = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = (item.side, item.category, item.line);
        let mut fault = |field: &str, code: &str, message: &str| {
            broken.push(FieldError::new(format!("/items/{index}/{field}"), code, message));
        };
        if !is_known(place) {
            fault("line", "unknown_line", "There is no such line in this category on this side.");
            continue;
        }
        if !seen.insert(place) {
            fault("line", "duplicate", "This line stands here twice.");
        }
        if is_measured(item.line) && item.money_per_unit.is_none() {
            fault("money_per_unit", "required", "This line is a measure: say what one unit of it is worth.");
            continue;
        }
        let worth = |quantity: Decimal| {
            let one = Decimal::from_ten_thousandths(ONE)?;
            let worth = quantity.worth(item.money_per_unit.unwrap_or(one), currency.digits())?;
            (worth.unsigned_abs() <= MOST.unsigned_abs()).then_some(worth)
        };
        match (worth(item.before), worth(item.after)) {
            (Some(before), Some(after)) => {
                lines.push(Amounts { place, before, after, counts: !is_turnover(place) || item.money_per_unit.is_some() });
            }
            (None, _) => fault("before", "out_of_range", "The amount is too large."),
            (_, None) => fault("after", "out_of_range", "The amount is too large."),
        }
    }
    if broken.is_empty() {
        broken.extend(lacking(&lines));
    }
    lines
}

/// What has to be there besides: something that every rule can compare, and income counted once.
fn lacking(lines: &[Amounts]) -> Option<FieldError> {
    let income = || {
        lines
            .iter()
            .filter(|line| line.counts && line.place.0 == EvaluationSide::Benefit && line.place.1 == EvaluationCategory::Sales)
    };
    let (code, message) = if income().next().is_none() {
        ("income_missing", "Net income is needed, or turnover with what one unit of it brings.")
    } else if income().count() > 1 {
        ("counted_twice", "Net income and a valued turnover are the same money: give turnover without its value.")
    } else if !lines.iter().any(|line| line.place.0 == EvaluationSide::Cost) {
        ("cost_missing", "At least one cost is needed.")
    } else {
        return None;
    };
    Some(FieldError::new("/items", code, message))
}

/// The groups of an evaluation with their names.
fn groups(
    conn: &mut Conn,
    new: &NewSegmentationEvaluation,
    broken: &mut Vec<FieldError>,
) -> Result<(Vec<EvaluatedGroup>, Vec<EvaluatedGroup>)> {
    let ids = new.source_groups.iter().copied().chain(new.target_groups.iter().filter_map(|target| target.group_id));
    let names = group::names(conn, ids)?;
    let mut seen = BTreeSet::new();
    let mut sources = Vec::new();
    for (index, id) in new.source_groups.iter().enumerate() {
        let pointer = format!("/source_groups/{index}");
        match names.get(id) {
            _ if !seen.insert(*id) => broken.push(FieldError::new(pointer, "duplicate", "This group stands here twice.")),
            None => broken.push(FieldError::new(pointer, "unknown_group", "There is no group with this id.")),
            Some(name) => sources.push(EvaluatedGroup { group_id: Some(*id), name: name.clone() }),
        }
    }
    let mut targets = Vec::new();
    for (index, target) in new.target_groups.iter().enumerate() {
        match named(target, &names) {
            Ok(group) => targets.push(group),
            Err((code, message)) => broken.push(FieldError::new(format!("/target_groups/{index}"), code, message)),
        }
    }
    let existing: BTreeSet<GroupId> =
        new.source_groups.iter().copied().chain(targets.iter().filter_map(|target| target.group_id)).collect();
    let (one, several) = (new.source_groups.len() == 1, existing.len() > 1);
    match new.kind {
        EvaluationKind::Split if !one => {
            broken.push(FieldError::new("/source_groups", "one_source", "A split has one source."));
        }
        EvaluationKind::Merge if broken.is_empty() && !several => {
            let message = "A merge has at least two groups, sources and targets together.";
            broken.push(FieldError::new("/source_groups", "two_groups", message));
        }
        EvaluationKind::Merge if new.target_groups.len() > 1 => {
            broken.push(FieldError::new("/target_groups", "one_target", "A merge has one target."));
        }
        _ => {}
    }
    Ok((sources, targets))
}

fn named(target: &EvaluationTarget, names: &HashMap<GroupId, String>) -> Result<EvaluatedGroup, (&'static str, &'static str)> {
    match (target.group_id, &target.name) {
        (Some(_), Some(_)) => Err(("contradiction", "Either a group that exists, or the name of a new one.")),
        (None, None) => Err(("required", "A group that exists, or the name of a new one.")),
        (None, Some(name)) => Ok(EvaluatedGroup { group_id: None, name: name.clone() }),
        (Some(id), None) => match names.get(&id) {
            Some(name) => Ok(EvaluatedGroup { group_id: Some(id), name: name.clone() }),
            None => Err(("unknown_group", "There is no group with this id.")),
        },
    }
}

/// The forecast of an actual evaluation, which is about the same.
fn forecast(conn: &mut Conn, new: &NewSegmentationEvaluation, broken: &mut Vec<FieldError>) -> Result<Option<EvaluationRow>> {
    let mut fault = |pointer: &str, code: &str, message: &str| broken.push(FieldError::new(pointer, code, message));
    let id = match (new.phase, new.forecast_id) {
        (EvaluationPhase::Forecast, None) => return Ok(None),
        (EvaluationPhase::Forecast, Some(_)) => {
            fault("/forecast_id", "contradiction", "A forecast is compared with nothing.");
            return Ok(None);
        }
        (EvaluationPhase::Actual, None) => {
            fault("/forecast_id", "required", "An actual evaluation is compared with its forecast.");
            return Ok(None);
        }
        (EvaluationPhase::Actual, Some(id)) => id,
    };
    let Some(forecast) = row(conn, id)?.filter(|row| row.phase == EvaluationPhase::Forecast) else {
        fault("/forecast_id", "unknown_forecast", "There is no forecast with this id.");
        return Ok(None);
    };
    let sources = |groups: &[EvaluatedGroup]| groups.iter().filter_map(|group| group.group_id).collect::<BTreeSet<GroupId>>();
    let same_sources = sources(&forecast.source_groups.0) == new.source_groups.iter().copied().collect();
    for (same, pointer) in [
        (forecast.kind == new.kind, "/kind"),
        (same_sources, "/source_groups"),
        (forecast.currency == new.currency, "/currency"),
        (forecast.horizon_months == new.horizon_months, "/horizon_months"),
    ] {
        if !same {
            fault(pointer, "differs_from_forecast", "This is not as in the forecast, so the two cannot be compared.");
        }
    }
    Ok(Some(forecast))
}
