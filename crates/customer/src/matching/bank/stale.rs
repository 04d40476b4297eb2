//! Open pairs that a run has not found: are they still plausible?

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Actor, Conn, Instant, Result, Tx, event::NewEvent, schema::match_candidates};
use serde_json::json;

use super::{
    band::MatchBand,
    candidate::{MatchCandidateId, MatchSource, MatchState},
    engine::{self, Scale},
    facts,
    queue::{self, Proposal},
};
use crate::{CustomerId, scope};

/// A pair in short.
pub(super) type Open = (MatchCandidateId, CustomerId, CustomerId);

/// How many pairs are looked at together.
const PAGE: i64 = 500;

/// Open pairs behind one that were last touched before an instant.
///
/// # Errors
/// The database's.
pub(super) fn page(conn: &mut Conn, after: Option<MatchCandidateId>, before: Instant) -> Result<Vec<Open>> {
    let mut query = match_candidates::table
        .filter(match_candidates::state.eq(MatchState::Open))
        .filter(match_candidates::updated_at.lt(before))
        .order(match_candidates::id)
        .limit(PAGE)
        .select((match_candidates::id, match_candidates::left_id, match_candidates::right_id))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(match_candidates::id.gt(after));
    }
    Ok(query.load(&mut conn.db)?)
}

/// Compares pairs of one subject again: those that are no longer plausible are closed, as are those of which a customer is
/// gone; the others get their new score. A key that has become too common alone closes none. Returns how many were closed.
///
/// # Errors
/// The database's.
pub(super) fn close(tx: &mut Tx<'_>, actor: &Actor, scale: &Scale, pairs: &[Open]) -> Result<i64> {
    let ids: Vec<CustomerId> = pairs.iter().flat_map(|(_, left, right)| [*left, *right]).collect();
    // Nobody is to be merged between the look and the word.
    let living = scope::share_living(tx, ids.clone())?;
    let known = facts::load(tx, &ids)?;
    let scorer = scale.scorer();
    let (mut closed, mut kept) = (0, Vec::new());
    for pair @ (_, left, right) in pairs {
        if !living.contains(left) || !living.contains(right) {
            closed += end(tx, actor, pair, "one of the two is no longer a customer of its own")?;
            continue;
        }
        let (Some(one), Some(other)) = (known.get(left), known.get(right)) else { continue };
        if one.subject != scale.subject || other.subject != scale.subject {
            continue;
        }
        let judged = engine::judge(&scorer, &engine::prepare(one), &engine::prepare(other), one.shares_document(other));
        if !MatchBand::of(judged.score).is_queued() {
            closed += end(tx, actor, pair, "no longer plausible")?;
            continue;
        }
        let facts_hash = facts::pair_hash(&facts::digest(tx, one)?, &facts::digest(tx, other)?);
        kept.push(Proposal {
            one: *left,
            other: *right,
            score: judged.score,
            reasons: judged.reasons,
            facts_hash,
            parameters_version: scale.version,
        });
    }
    queue::propose(tx, actor, MatchSource::Run, kept)?;
    Ok(closed)
}

/// Closes a pair that is still open; whether it was.
fn end(tx: &mut Tx<'_>, actor: &Actor, (id, left, right): &Open, why: &str) -> Result<i64> {
    let open = match_candidates::table
        .find(id)
        .filter(match_candidates::state.eq(MatchState::Open))
        .filter(match_candidates::left_id.eq(left))
        .filter(match_candidates::right_id.eq(right));
    let closed = diesel::update(open)
        .set((
            match_candidates::state.eq(MatchState::Closed),
            match_candidates::decided_by.eq(&actor.subject),
            match_candidates::decided_at.eq(tx.now),
            match_candidates::decision_reason.eq(why),
            match_candidates::updated_at.eq(tx.now),
            match_candidates::version.eq(match_candidates::version + 1),
        ))
        .execute(&mut tx.db)?;
    if closed == 0 {
        return Ok(0);
    }
    let data = json!({ "left_id": left, "right_id": right, "state": MatchState::Closed });
    tx.emit(actor, NewEvent::new("match_candidate.closed", *id, data));
    Ok(1)
}
