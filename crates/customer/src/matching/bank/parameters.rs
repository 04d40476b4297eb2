//! What comparisons weigh, in versions: each is kept, one of each subject is in use.

use std::sync::{Arc, Mutex};

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx, event::NewEvent, json::Json, schema::match_parameters,
    store::MultiBackend,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::facts::MatchSubject;
use crate::matching::Parameters;

/// Identifier of a version of parameters.
pub type MatchParametersId = Id<MatchParameters>;

/// A version of what comparisons weigh.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = match_parameters)]
pub struct MatchParameters {
    /// Identifier of the version.
    pub id: MatchParametersId,
    /// What is compared with them.
    pub subject: MatchSubject,
    /// Number of the version, from 1.
    #[schema(example = 1, minimum = 1)]
    pub version: i64,
    /// The weights, and how often values occur.
    #[serde(skip)]
    pub content: Json<Value>,
    /// How many records they were estimated from.
    #[schema(minimum = 0)]
    pub records: i64,
    /// Whether comparisons use them now.
    pub in_use: bool,
    /// Who had them estimated.
    #[schema(max_length = 128)]
    pub estimated_by: String,
    /// When.
    pub created_at: Instant,
}

/// Filters of the list of parameters.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MatchParametersFilter {
    /// Only those of this subject.
    #[param(inline, example = "person")]
    pub subject: Option<MatchSubject>,
    /// Only those in use, or only the others.
    #[param(example = true)]
    pub in_use: Option<bool>,
}

/// Versions, the newest first.
///
/// # Errors
/// [`Error::Forbidden`] without `match.manage` everywhere; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    filter: &MatchParametersFilter,
    params: &PageParams,
) -> Result<Page<MatchParameters>> {
    actor.allow_everywhere(Action::MatchManage)?;
    let window = params.window::<MatchParametersId>(&conn.keys, &format!("match-parameters?{filter:?}"))?;
    let total = if window.include_total { Some(wanted(filter).count().get_result(&mut conn.db)?) } else { None };
    let order = match_parameters::id.desc();
    let mut query = wanted(filter).order(order).limit(window.fetch()).select(MatchParameters::as_select());
    if let Some(after) = window.after {
        query = query.filter(match_parameters::id.lt(after));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &MatchParameters| row.id)
}

fn wanted<'a>(filter: &MatchParametersFilter) -> match_parameters::BoxedQuery<'a, MultiBackend> {
    let mut query = match_parameters::table.into_boxed();
    if let Some(subject) = filter.subject {
        query = query.filter(match_parameters::subject.eq(subject));
    }
    if let Some(in_use) = filter.in_use {
        query = query.filter(match_parameters::in_use.eq(in_use));
    }
    query
}

/// Versions that were read lately. They never change, so what was read once stays right.
type Read = Vec<(MatchParametersId, i64, Arc<Parameters>)>;

static READ: Mutex<Read> = Mutex::new(Vec::new());
/// So many versions are kept at hand: those in use of both subjects, and the ones before while they are replaced.
const AT_HAND: usize = 4;

/// The parameters in use with their version; 0 where none were estimated yet.
pub(super) fn in_use(conn: &mut Conn, subject: MatchSubject) -> Result<(i64, Arc<Parameters>)> {
    let current: Option<MatchParametersId> = match_parameters::table
        .filter(match_parameters::subject.eq(subject))
        .filter(match_parameters::in_use.eq(true))
        .select(match_parameters::id)
        .first(&mut conn.db)
        .optional()?;
    let Some(id) = current else { return Ok((0, super::engine::default_for(subject))) };
    let poisoned = |_| Error::internal("the list of parameters is poisoned");
    if let Some((_, version, parameters)) = READ.lock().map_err(poisoned)?.iter().find(|(known, ..)| *known == id) {
        return Ok((*version, Arc::clone(parameters)));
    }
    let row: MatchParameters = match_parameters::table.find(id).select(MatchParameters::as_select()).first(&mut conn.db)?;
    let parameters: Parameters = serde_json::from_value(row.content.0).map_err(Error::internal)?;
    let parameters = Arc::new(parameters);
    let mut read = READ.lock().map_err(poisoned)?;
    if read.len() >= AT_HAND {
        read.remove(0);
    }
    read.push((id, row.version, Arc::clone(&parameters)));
    Ok((row.version, parameters))
}

/// The version that a run has brought into use already, if it was begun before and interrupted.
pub(super) fn made_since(conn: &mut Conn, subject: MatchSubject, by: &str, since: Instant) -> Result<bool> {
    let made = match_parameters::table
        .filter(match_parameters::subject.eq(subject))
        .filter(match_parameters::estimated_by.eq(by))
        .filter(match_parameters::created_at.ge(since));
    Ok(made.count().get_result::<i64>(&mut conn.db)? > 0)
}

/// Keeps new parameters and brings them into use, in one step.
pub(super) fn bring_in(
    tx: &mut Tx<'_>,
    actor: &Actor,
    subject: MatchSubject,
    parameters: &Parameters,
    records: i64,
) -> Result<i64> {
    let of_subject = match_parameters::table.filter(match_parameters::subject.eq(subject));
    let newest: Option<i64> = of_subject.select(diesel::dsl::max(match_parameters::version)).first(&mut tx.db)?;
    diesel::update(of_subject).set(match_parameters::in_use.eq(false)).execute(&mut tx.db)?;
    let row = MatchParameters {
        id: MatchParametersId::new(),
        subject,
        version: newest.unwrap_or(0) + 1,
        content: Json(serde_json::to_value(parameters).map_err(Error::internal)?),
        records,
        in_use: true,
        estimated_by: actor.subject.clone(),
        created_at: tx.now,
    };
    diesel::insert_into(match_parameters::table).values(&row).execute(&mut tx.db)?;
    let data = json!({ "subject": subject, "version": row.version, "records": records });
    tx.emit(actor, NewEvent::new("match_parameters.estimated", row.id, data));
    Ok(row.version)
}
