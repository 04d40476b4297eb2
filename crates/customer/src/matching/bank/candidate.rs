//! Pairs of customers that may be one and the same: the work queue of matching.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Date, Error, Id, Instant, Page, PageParams, Result,
    access::Reach,
    json::Json,
    schema::{branches, customers, match_candidates},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::band::{MatchBand, MatchReason};
use crate::{CustomerId, CustomerKind, CustomerStatus, list, scope};

/// Identifier of a pair in the work queue.
pub type MatchCandidateId = Id<MatchCandidate>;

text_enum! {
    /// What has become of a pair.
    pub enum MatchState {
        /// Waits for a decision.
        Open = "open",
        /// The two were merged.
        Merged = "merged",
        /// The two are different customers; not proposed again unless what was compared changes.
        Rejected = "rejected",
        /// One of the two was merged into a third one, or erased; or the two are no longer alike.
        Closed = "closed",
    }
}

text_enum! {
    /// What found a pair.
    pub enum MatchSource {
        /// Somebody created the second customer although it looked like the first.
        Create = "create",
        /// A feed brought the second customer.
        Import = "import",
        /// A run over the whole base.
        Run = "run",
        /// Somebody asked for the matches of one customer.
        Request = "request",
        /// Something that is compared of one of the two has changed.
        Change = "change",
    }
}

/// A pair as kept.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = match_candidates, treat_none_as_default_value = false)]
pub(crate) struct Pair {
    pub id: MatchCandidateId,
    pub left_id: CustomerId,
    pub right_id: CustomerId,
    pub score_bp: BasisPoints,
    pub band: MatchBand,
    pub reasons: Json<Vec<MatchReason>>,
    pub facts_hash: Vec<u8>,
    pub parameters_version: i64,
    pub source: MatchSource,
    pub state: MatchState,
    pub postponed_until: Option<Date>,
    pub decided_by: Option<String>,
    pub decided_at: Option<Instant>,
    pub decision_reason: Option<String>,
    pub merge_id: Option<AnyId>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

/// A customer as a match shows it.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = customers)]
pub struct MatchedCustomer {
    /// Identifier of the customer.
    pub id: CustomerId,
    /// Number for people.
    #[schema(example = "C36N4S-7F20H8-0QKXW3", max_length = 32)]
    pub number: String,
    /// What kind of customer it is.
    pub kind: CustomerKind,
    /// Name under which it is shown.
    #[schema(example = "李娜", max_length = 200)]
    pub display_name: String,
    /// Where the relationship stands.
    pub status: CustomerStatus,
    /// When the record was made.
    pub created_at: Instant,
    /// Version of the customer: a merge asks for it.
    #[schema(example = 3, minimum = 1)]
    pub version: i64,
}

/// Two customers that may be one and the same, and what was decided about them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchCandidate {
    /// Identifier of the pair.
    pub id: MatchCandidateId,
    /// The older record of both.
    pub left: MatchedCustomer,
    /// The newer record of both.
    pub right: MatchedCustomer,
    /// How probable it is that both are one and the same.
    pub score_bp: BasisPoints,
    /// How sure that is.
    pub band: MatchBand,
    /// What was compared, the strongest evidence first.
    #[schema(max_items = 50)]
    pub reasons: Vec<MatchReason>,
    /// Version of the parameters with which it was computed; 0 are those that Kehu brings along.
    #[schema(example = 1, minimum = 0)]
    pub parameters_version: i64,
    /// What found the pair.
    pub source: MatchSource,
    /// What has become of it.
    pub state: MatchState,
    /// Until when the decision was put off; hidden before, unless asked for.
    pub postponed_until: Option<Date>,
    /// Who decided, or put the decision off.
    #[schema(max_length = 128)]
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Instant>,
    /// Why.
    #[schema(max_length = 500)]
    pub decision_reason: Option<String>,
    /// The merge that ended it.
    pub merge_id: Option<AnyId>,
    /// When the pair was found.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// Version of the pair; also its `ETag`.
    pub version: i64,
}

/// Filters of the work queue.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MatchCandidateFilter {
    /// Only pairs in this state; open ones unless given.
    #[param(inline, example = "open")]
    pub state: Option<MatchState>,
    /// Only pairs of this band.
    #[param(inline, example = "likely")]
    pub band: Option<MatchBand>,
    /// Only pairs with at least this score in basis points.
    #[param(minimum = 0, maximum = 10000, example = 8000)]
    pub min_score_bp: Option<i32>,
    /// Only pairs of this customer.
    pub customer_id: Option<CustomerId>,
    /// Only pairs of which the branch with this code, or one below it, keeps at least one customer.
    #[param(max_length = 32, example = "SH")]
    pub branch: Option<String>,
    /// Whether open pairs whose decision was put off are listed too.
    #[param(example = false)]
    pub include_postponed: Option<bool>,
}

type Query<'a> = match_candidates::BoxedQuery<'a, MultiBackend>;

/// The pairs of which both customers lie within reach, the best score first.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`; [`Error::Invalid`] for an unknown branch or a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &MatchCandidateFilter, params: &PageParams) -> Result<Page<MatchCandidate>> {
    let reach = actor.allow(Action::CustomerMatch)?;
    let window = params.window::<(i32, MatchCandidateId)>(&conn.keys, &format!("match-candidates?{filter:?}"))?;
    let subtree = filter.branch.as_deref().map(|code| list::subtree(conn, code)).transpose()?;
    let queue = |conn: &Conn| wanted(conn, filter, &reach, subtree.as_deref());
    let total = if window.include_total { Some(queue(conn).count().get_result(&mut conn.db)?) } else { None };
    let order = (match_candidates::score_bp.desc(), match_candidates::id.desc());
    let mut query = queue(conn).order(order).limit(window.fetch()).select(Pair::as_select());
    if let Some((score, id)) = window.after {
        let behind = match_candidates::score_bp.lt(BasisPoints(score)).or(match_candidates::id.lt(id));
        query = query.filter(match_candidates::score_bp.le(BasisPoints(score))).filter(behind);
    }
    let rows: Vec<Pair> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |pair| (pair.score_bp.0, pair.id))?;
    let items = shown(conn, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// One pair of which both customers lie within reach.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: MatchCandidateId) -> Result<MatchCandidate> {
    let pair = find(conn, actor, id)?;
    one(conn, pair)
}

/// The row of a pair of which both customers lie within reach.
pub(super) fn find(conn: &mut Conn, actor: &Actor, id: MatchCandidateId) -> Result<Pair> {
    let reach = actor.allow(Action::CustomerMatch)?;
    let query = reachable(conn, &reach).filter(match_candidates::id.eq(id));
    Ok(query.select(Pair::as_select()).first(&mut conn.db)?)
}

/// A pair with its customers.
pub(super) fn one(conn: &mut Conn, pair: Pair) -> Result<MatchCandidate> {
    shown(conn, vec![pair])?.pop().ok_or(Error::NotFound)
}

/// Pairs of which both customers are kept within the reach, the absorbed ones included: a decision stays to be seen.
pub(super) fn reachable<'a>(conn: &Conn, reach: &Reach) -> Query<'a> {
    if *reach == Reach::All {
        return match_candidates::table.into_boxed();
    }
    let left = scope::of_kept_beyond(conn, match_candidates::left_id, reach, || {
        Box::new(customers::id.eq_any(match_candidates::table.select(match_candidates::left_id)))
    });
    let right = scope::of_kept_beyond(conn, match_candidates::right_id, reach, || {
        Box::new(customers::id.eq_any(match_candidates::table.select(match_candidates::right_id)))
    });
    match_candidates::table.filter(left).filter(right).into_boxed()
}

fn wanted<'a>(conn: &Conn, filter: &MatchCandidateFilter, reach: &Reach, subtree: Option<&str>) -> Query<'a> {
    let today = conn.now.date();
    let state = filter.state.unwrap_or(MatchState::Open);
    let mut query = reachable(conn, reach).filter(match_candidates::state.eq(state));
    if state == MatchState::Open && !filter.include_postponed.unwrap_or(false) {
        let due = match_candidates::postponed_until.assume_not_null().le(today);
        query = query.filter(match_candidates::postponed_until.is_null().or(due));
    }
    if let Some(band) = filter.band {
        query = query.filter(match_candidates::band.eq(band));
    }
    if let Some(least) = filter.min_score_bp {
        query = query.filter(match_candidates::score_bp.ge(BasisPoints(least)));
    }
    if let Some(customer) = filter.customer_id {
        query = query.filter(match_candidates::left_id.eq(customer).or(match_candidates::right_id.eq(customer)));
    }
    if let Some(path) = subtree {
        let below = || {
            let (from, to) = Reach::path_range(path);
            let branches = branches::table.filter(branches::path.ge(from).and(branches::path.lt(to))).select(branches::id);
            customers::table.filter(customers::home_branch_id.assume_not_null().eq_any(branches)).select(customers::id)
        };
        query = query.filter(match_candidates::left_id.eq_any(below()).or(match_candidates::right_id.eq_any(below())));
    }
    query
}

/// Pairs with their customers, in the same order.
pub(super) fn shown(conn: &mut Conn, pairs: Vec<Pair>) -> Result<Vec<MatchCandidate>> {
    let ids = pairs.iter().flat_map(|pair| [pair.left_id, pair.right_id]);
    let known = customers_of(conn, ids.collect())?;
    let show = |pair: Pair| {
        Some(MatchCandidate {
            id: pair.id,
            left: known.get(&pair.left_id)?.clone(),
            right: known.get(&pair.right_id)?.clone(),
            score_bp: pair.score_bp,
            band: pair.band,
            reasons: pair.reasons.0,
            parameters_version: pair.parameters_version,
            source: pair.source,
            state: pair.state,
            postponed_until: pair.postponed_until,
            decided_by: pair.decided_by,
            decided_at: pair.decided_at,
            decision_reason: pair.decision_reason,
            merge_id: pair.merge_id,
            created_at: pair.created_at,
            updated_at: pair.updated_at,
            version: pair.version,
        })
    };
    Ok(pairs.into_iter().filter_map(show).collect())
}

/// What matches show of customers; the caller has checked that they may be shown.
pub(super) fn customers_of(conn: &mut Conn, ids: Vec<CustomerId>) -> Result<HashMap<CustomerId, MatchedCustomer>> {
    let rows: Vec<MatchedCustomer> =
        customers::table.filter(customers::id.eq_any(ids)).select(MatchedCustomer::as_select()).load(&mut conn.db)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}
