//! Pairs of the work queue of matching: those that are now one are closed, those with others go along.
//!
//! A pair keeps its decision on its way, and a decision that two are different customers wins over an open pair with the
//! same third one. Every pair that a merge touches gets a new version once, so that nobody decides about another pair than
//! the one that was read.

use std::collections::{HashMap, HashSet};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, QueryableByName, RunQueryDsl, SelectableHelper,
    sql_types::Text,
};
use kehu_kernel::{
    Actor, AnyId, Date, Instant, Result, Tx, bulk_insert,
    event::NewEvent,
    json::Json,
    schema::{match_candidates, merge_rows},
    store::sql,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{record::MergeId, rows::Way};
use crate::{
    CustomerId,
    belonging::Statement,
    matching::bank::{
        candidate::{MatchCandidateId, MatchState, Pair},
        facts,
    },
};

const TABLE: &str = "match_candidates";
/// Notes of pairs that went along: their sides are given back.
const SIDES: &str = "left_id";
/// Notes of pairs that were closed: their state is given back.
const STATE: &str = "state";
/// Notes of pairs that took over a decision, or whose decision rests on the facts of the survivor now.
const DECISION: &str = "facts_hash";

/// A pair as it was before a merge.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Before {
    left_id: CustomerId,
    right_id: CustomerId,
    state: MatchState,
    /// With notes of decisions only.
    #[serde(default)]
    decision: Option<Decision>,
}

/// What was decided about a pair, and on which facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Decision {
    facts_hash: Vec<u8>,
    postponed_until: Option<Date>,
    decided_by: Option<String>,
    decided_at: Option<Instant>,
    decision_reason: Option<String>,
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

impl Note {
    fn of(way: Way, column_name: &'static str, pair: &Pair) -> Self {
        let decision = (column_name == DECISION).then(|| decision_of(pair));
        Self {
            merge_id: way.merge,
            table_name: TABLE,
            column_name,
            row_id: pair.id.cast(),
            customer_id: way.absorbed,
            row_version: Some(pair.version),
            before: Some(Json(Before { left_id: pair.left_id, right_id: pair.right_id, state: pair.state, decision })),
        }
    }
}

fn decision_of(pair: &Pair) -> Decision {
    Decision {
        facts_hash: pair.facts_hash.clone(),
        postponed_until: pair.postponed_until,
        decided_by: pair.decided_by.clone(),
        decided_at: pair.decided_at,
        decision_reason: pair.decision_reason.clone(),
    }
}

/// The pairs of the records of one merge, on their way.
pub(super) struct Pairs {
    /// Rejected pairs whose facts are those on which the decision rests.
    resting: HashSet<MatchCandidateId>,
}

impl Pairs {
    /// Before any row has moved: which rejections still rest on the facts of their customers.
    pub fn of(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<Self> {
        let rejected = rejected(tx, ids)?;
        let known = facts_of(tx, &rejected)?;
        let rests = |pair: &&Pair| hash(&known, pair).is_some_and(|hash| hash == pair.facts_hash);
        Ok(Self { resting: rejected.iter().filter(rests).map(|pair| pair.id).collect() })
    }

    /// Closes or carries over the pairs of one absorbed record.
    pub fn carry(&mut self, tx: &mut Tx<'_>, way: Way) -> Result<()> {
        let absorbed = with(tx, way.absorbed)?;
        let twins: HashMap<CustomerId, Pair> =
            with(tx, way.survivor)?.into_iter().map(|pair| (other(&pair, way.survivor), pair)).collect();
        let (mut one, mut closed, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for pair in absorbed {
            let third = other(&pair, way.absorbed);
            if third == way.survivor {
                notes.push(Note::of(way, STATE, &pair));
                one.push(pair.id);
            } else if let Some(twin) = twins.get(&third) {
                if weight(pair.state) == 0 {
                    continue;
                }
                notes.push(Note::of(way, STATE, &pair));
                closed.push(pair.id);
                if weight(pair.state) > weight(twin.state) {
                    notes.push(Note::of(way, DECISION, twin));
                    self.take_over(tx, &pair, twin)?;
                }
            } else {
                notes.push(Note::of(way, SIDES, &pair));
            }
        }
        // What was noted first is what was before the merge: a pair of two absorbed records goes along with the first and
        // is closed with the second.
        let known: HashSet<(String, AnyId)> = merge_rows::table
            .filter(merge_rows::merge_id.eq(way.merge))
            .filter(merge_rows::table_name.eq(TABLE))
            .select((merge_rows::column_name, merge_rows::row_id))
            .load(&mut tx.db)?
            .into_iter()
            .collect();
        notes.retain(|note| !known.contains(&(note.column_name.to_owned(), note.row_id)));
        bulk_insert!(tx, merge_rows::table, notes)?;
        end(tx, way.merge, MatchState::Merged, &one)?;
        end(tx, way.merge, MatchState::Closed, &closed)?;
        hand_over(tx, way)
    }

    /// The pair of the survivor takes what was decided about the absorbed record and the same third one.
    fn take_over(&mut self, tx: &mut Tx<'_>, pair: &Pair, twin: &Pair) -> Result<()> {
        set(tx, twin.id, pair.state, &decision_of(pair))?;
        if self.resting.contains(&pair.id) {
            self.resting.insert(twin.id);
        }
        Ok(())
    }

    /// After all rows have moved: rejections of the survivor rest on its facts as they are now, for a merge tells nothing new
    /// about them; and every pair that was touched counts a version.
    pub fn settle(self, tx: &mut Tx<'_>, merge: MergeId, survivor: CustomerId) -> Result<()> {
        let rejected = rejected(tx, &[survivor])?;
        let resting: Vec<Pair> = rejected.into_iter().filter(|pair| self.resting.contains(&pair.id)).collect();
        let known = facts_of(tx, &resting)?;
        let noted: Vec<AnyId> = merge_rows::table
            .filter(merge_rows::merge_id.eq(merge))
            .filter(merge_rows::table_name.eq(TABLE))
            .filter(merge_rows::column_name.eq(DECISION))
            .select(merge_rows::row_id)
            .load(&mut tx.db)?;
        let way = Way { merge, survivor, absorbed: survivor, today: tx.now.date() };
        let mut notes = Vec::new();
        for pair in &resting {
            let Some(hash) = hash(&known, pair).filter(|hash| *hash != pair.facts_hash) else { continue };
            if !noted.contains(&pair.id.cast()) {
                notes.push(Note::of(way, DECISION, pair));
            }
            diesel::update(match_candidates::table.find(pair.id))
                .set(match_candidates::facts_hash.eq(hash))
                .execute(&mut tx.db)?;
        }
        bulk_insert!(tx, merge_rows::table, notes)?;
        touch(tx, merge)
    }
}

/// How much a state counts against that of a pair with the same third customer; what has ended does not.
fn weight(state: MatchState) -> u8 {
    match state {
        MatchState::Rejected => 2,
        MatchState::Open => 1,
        MatchState::Merged | MatchState::Closed => 0,
    }
}

/// Ends pairs; the merge says why.
fn end(tx: &mut Tx<'_>, merge: MergeId, state: MatchState, ids: &[MatchCandidateId]) -> Result<()> {
    diesel::update(match_candidates::table.filter(match_candidates::id.eq_any(ids)))
        .set((match_candidates::state.eq(state), match_candidates::merge_id.eq(Some(merge.cast::<()>()))))
        .execute(&mut tx.db)?;
    Ok(())
}

fn set(tx: &mut Tx<'_>, id: MatchCandidateId, state: MatchState, decision: &Decision) -> Result<()> {
    diesel::update(match_candidates::table.find(id))
        .set((
            match_candidates::state.eq(state),
            match_candidates::facts_hash.eq(&decision.facts_hash),
            match_candidates::postponed_until.eq(decision.postponed_until),
            match_candidates::decided_by.eq(&decision.decided_by),
            match_candidates::decided_at.eq(decision.decided_at),
            match_candidates::decision_reason.eq(&decision.decision_reason),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}

/// The statement by which pairs change one side, `{from}`, for another, `{to}`; the smaller id stands left.
fn exchange(from: &str, to: &str, pairs: &str) -> String {
    let third = format!("CASE WHEN left_id = {from} THEN right_id ELSE left_id END");
    format!(
        "UPDATE {TABLE} SET left_id = CASE WHEN {third} < {to} THEN {third} ELSE {to} END,
         right_id = CASE WHEN {third} < {to} THEN {to} ELSE {third} END {pairs}"
    )
}

/// Gives the pairs that were noted to the survivor.
fn hand_over(tx: &mut Tx<'_>, way: Way) -> Result<()> {
    let noted = "WHERE id IN (SELECT m.row_id FROM merge_rows m WHERE m.merge_id = {merge} AND m.table_name = {table}
         AND m.column_name = {column} AND m.customer_id = {absorbed})";
    way.statement(exchange("{absorbed}", "{survivor}", noted)).text("table", TABLE).text("column", SIDES).execute(tx)?;
    Ok(())
}

/// Counts a version of every pair that the merge has noted.
fn touch(tx: &mut Tx<'_>, merge: MergeId) -> Result<()> {
    let noted = merge_rows::table
        .filter(merge_rows::merge_id.eq(merge))
        .filter(merge_rows::table_name.eq(TABLE))
        .select(merge_rows::row_id);
    diesel::update(match_candidates::table.filter(match_candidates::id.eq_any(noted)))
        .set((match_candidates::updated_at.eq(tx.now), match_candidates::version.eq(match_candidates::version + 1)))
        .execute(&mut tx.db)?;
    Ok(())
}

/// A note as it is read: its column, the pair, the version that it had, and the pair as it was.
type Noted = (String, MatchCandidateId, Option<i64>, Option<Json<Before>>);

/// Gives the pairs their sides and their state back; what was decided since stays decided.
pub(super) fn restore(tx: &mut Tx<'_>, actor: &Actor, merge: MergeId, survivor: CustomerId) -> Result<()> {
    let notes: Vec<Noted> = merge_rows::table
        .filter(merge_rows::merge_id.eq(merge))
        .filter(merge_rows::table_name.eq(TABLE))
        .order(merge_rows::row_id)
        .select((merge_rows::column_name, merge_rows::row_id, merge_rows::row_version, merge_rows::before))
        .load(&mut tx.db)?;
    let mut states: HashMap<MatchState, Vec<MatchCandidateId>> = HashMap::new();
    for (column, id, version, before) in notes {
        let Some(Json(before)) = before else { continue };
        match (column.as_str(), before.decision, version) {
            (STATE, _, _) => states.entry(before.state).or_default().push(id),
            (DECISION, Some(decision), Some(version)) => give_back(tx, id, version, before.state, &decision)?,
            _ => {}
        }
    }
    for (state, ids) in states {
        let ended = match_candidates::table
            .filter(match_candidates::id.eq_any(ids))
            .filter(match_candidates::merge_id.eq(Some(merge.cast::<()>())));
        diesel::update(ended)
            .set((match_candidates::state.eq(state), match_candidates::merge_id.eq(None::<AnyId>)))
            .execute(&mut tx.db)?;
    }
    make_room(tx, actor, merge, survivor)?;
    let carried = format!("FROM merge_rows m WHERE m.row_id = {TABLE}.id AND {NOTED} AND {{survivor}} IN (left_id, right_id)");
    statement(exchange("{survivor}", "m.customer_id", &carried), merge, survivor).execute(tx)?;
    touch(tx, merge)
}

/// Condition on the notes of pairs that went along.
const NOTED: &str = "m.merge_id = {merge} AND m.table_name = {table} AND m.column_name = {column}";

fn statement(text: String, merge: MergeId, survivor: CustomerId) -> Statement {
    Statement::new(text).id("merge", merge).id("survivor", survivor).text("table", TABLE).text("column", SIDES)
}

/// Gives back what was decided about a pair, unless something was decided or found since: the merge counted one version.
fn give_back(tx: &mut Tx<'_>, id: MatchCandidateId, version: i64, state: MatchState, decision: &Decision) -> Result<()> {
    let since: i64 = match_candidates::table
        .filter(match_candidates::id.eq(id))
        .filter(match_candidates::version.ne(version + 1))
        .count()
        .get_result(&mut tx.db)?;
    if since == 0 { set(tx, id, state, decision) } else { Ok(()) }
}

#[derive(QueryableByName)]
struct InTheWay {
    #[diesel(sql_type = sql::Uuid)]
    carried: MatchCandidateId,
    #[diesel(sql_type = sql::Uuid)]
    there: MatchCandidateId,
    #[diesel(sql_type = Text)]
    state: String,
}

/// Pairs that went along come back to places that may be taken meanwhile: of two of the same customers, a decided one stays.
fn make_room(tx: &mut Tx<'_>, actor: &Actor, merge: MergeId, survivor: CustomerId) -> Result<()> {
    let third = "CASE WHEN p.left_id = {survivor} THEN p.right_id ELSE p.left_id END";
    let text = format!(
        "SELECT p.id AS carried, c.id AS there, c.state FROM merge_rows m JOIN {TABLE} p ON p.id = m.row_id
         JOIN {TABLE} c ON c.left_id = CASE WHEN {third} < m.customer_id THEN {third} ELSE m.customer_id END
         AND c.right_id = CASE WHEN {third} < m.customer_id THEN m.customer_id ELSE {third} END
         WHERE {NOTED} AND {{survivor}} IN (p.left_id, p.right_id) AND c.id <> p.id"
    );
    let taken: Vec<InTheWay> = statement(text, merge, survivor).query()?.load(&mut tx.db)?;
    for pair in taken {
        let gone = if pair.state == MatchState::Open.as_str() { pair.there } else { pair.carried };
        diesel::delete(match_candidates::table.find(gone)).execute(&mut tx.db)?;
        let data = json!({ "merge_id": merge, "state": MatchState::Closed });
        tx.emit(actor, NewEvent::new("match_candidate.closed", gone, data));
    }
    Ok(())
}

/// All pairs of a record.
fn with(tx: &mut Tx<'_>, id: CustomerId) -> Result<Vec<Pair>> {
    Ok(match_candidates::table
        .filter(match_candidates::left_id.eq(id).or(match_candidates::right_id.eq(id)))
        .order(match_candidates::id)
        .select(Pair::as_select())
        .load(&mut tx.db)?)
}

/// The rejected pairs of some records.
fn rejected(tx: &mut Tx<'_>, ids: &[CustomerId]) -> Result<Vec<Pair>> {
    Ok(match_candidates::table
        .filter(match_candidates::state.eq(MatchState::Rejected))
        .filter(match_candidates::left_id.eq_any(ids).or(match_candidates::right_id.eq_any(ids)))
        .order(match_candidates::id)
        .select(Pair::as_select())
        .load(&mut tx.db)?)
}

/// Digests of what is compared of the customers of some pairs.
fn facts_of(tx: &mut Tx<'_>, pairs: &[Pair]) -> Result<HashMap<CustomerId, Vec<u8>>> {
    let ids: HashSet<CustomerId> = pairs.iter().flat_map(|pair| [pair.left_id, pair.right_id]).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<CustomerId> = ids.into_iter().collect();
    let known = facts::load(tx, &ids)?;
    known.iter().map(|(id, facts)| Ok((*id, facts::digest(tx, facts)?))).collect()
}

/// What the facts of a pair are now; nothing when one of the two is gone.
fn hash(known: &HashMap<CustomerId, Vec<u8>>, pair: &Pair) -> Option<Vec<u8>> {
    Some(facts::pair_hash(known.get(&pair.left_id)?, known.get(&pair.right_id)?))
}

fn other(pair: &Pair, one: CustomerId) -> CustomerId {
    if pair.left_id == one { pair.right_id } else { pair.left_id }
}
