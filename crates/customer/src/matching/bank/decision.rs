//! Deciding about a pair: two customers, or not now.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Actor, Date, Error, Result, Tx, event::NewEvent, schema::match_candidates, text_enum};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    candidate::{self, MatchCandidate, MatchCandidateId, MatchState, Pair},
    facts, queue,
};
use crate::scope;

text_enum! {
    /// What is decided about a pair.
    pub enum MatchDecisionKind {
        /// They are two customers.
        Reject = "reject",
        /// Nothing yet: hide the pair until a day.
        Later = "later",
    }
}

/// A decision about a pair.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchDecision {
    /// What is decided.
    pub decision: MatchDecisionKind,
    /// Why; kept with the pair.
    #[schema(example = "father and son with the same name", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
    /// The day on which the pair comes back, for `later` only; after today.
    pub until: Option<Date>,
}

/// Decides about an open pair of which both customers lie within reach.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`; [`Error::NotFound`];
/// [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_decided`; [`Error::Invalid`].
pub fn decide(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: MatchCandidateId,
    version: i64,
    decision: &MatchDecision,
) -> Result<MatchCandidate> {
    let pair = candidate::find(tx, actor, id)?;
    check(decision, tx.now.date())?;
    // Both stay as they are until the decision is written; in the order of their ids, so that nobody waits in a circle.
    scope::hold(tx, pair.left_id)?;
    scope::hold(tx, pair.right_id)?;
    let pair = candidate::find(tx, actor, id)?;
    if pair.version != version {
        return Err(Error::PreconditionFailed { current: pair.version });
    }
    if pair.state != MatchState::Open || !queue::both_live(tx, &pair)? {
        return Err(Error::conflict("already_decided", format!("The pair is {} already.", pair.state)));
    }
    let state = match decision.decision {
        MatchDecisionKind::Reject => MatchState::Rejected,
        MatchDecisionKind::Later => MatchState::Open,
    };
    write(tx, actor, &pair, decision, state)?;
    let decided = candidate::find(tx, actor, id)?;
    candidate::one(tx, decided)
}

fn check(decision: &MatchDecision, today: Date) -> Result<()> {
    let refuse = |code, message: &str| Err(Error::invalid("/until", code, message));
    match (decision.decision, decision.until) {
        (MatchDecisionKind::Later, None) => refuse("required", "Say until when."),
        (MatchDecisionKind::Later, Some(until)) if until <= today => refuse("in_past", "The day lies after today."),
        (MatchDecisionKind::Reject, Some(_)) => refuse("not_later", "Only a decision that is put off has a day."),
        _ => Ok(()),
    }
}

/// Writes a decision down, with the facts on which it rests: another proposal of the same facts changes nothing.
fn write(tx: &mut Tx<'_>, actor: &Actor, pair: &Pair, decision: &MatchDecision, state: MatchState) -> Result<()> {
    let facts = facts::load(tx, &[pair.left_id, pair.right_id])?;
    let hash = match (facts.get(&pair.left_id), facts.get(&pair.right_id)) {
        (Some(left), Some(right)) => facts::pair_hash(&facts::digest(tx, left)?, &facts::digest(tx, right)?),
        _ => pair.facts_hash.clone(),
    };
    diesel::update(match_candidates::table.find(pair.id))
        .set((
            match_candidates::state.eq(state),
            match_candidates::facts_hash.eq(hash),
            match_candidates::postponed_until.eq(decision.until),
            match_candidates::decided_by.eq(&actor.subject),
            match_candidates::decided_at.eq(tx.now),
            match_candidates::decision_reason.eq(&decision.reason),
            match_candidates::updated_at.eq(tx.now),
            match_candidates::version.eq(match_candidates::version + 1),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "left_id": pair.left_id, "right_id": pair.right_id, "decision": decision.decision,
        "until": decision.until });
    tx.emit(actor, NewEvent::new("match_candidate.decided", pair.id, data));
    Ok(())
}
