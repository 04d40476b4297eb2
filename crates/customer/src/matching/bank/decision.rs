//! Deciding about a pair: the same customer, two customers, or not now.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, AnyId, Date, Error, Id, Result, Tx,
    event::NewEvent,
    schema::{customers, match_candidates},
    text_enum,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    candidate::{self, MatchCandidate, MatchCandidateId, MatchState, Pair},
    facts, queue,
};
use crate::{
    CustomerId,
    belonging::Registry,
    merge::{self, AbsorbedRecord, MergeRequest},
    scope,
};

text_enum! {
    /// What is decided about a pair.
    pub enum MatchDecisionKind {
        /// They are one customer: merge them.
        Merge = "merge",
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
    /// Which of the two stays, for `merge` only; the older record unless given.
    pub survivor_id: Option<CustomerId>,
    /// The day on which the pair comes back, for `later` only; after today.
    pub until: Option<Date>,
    /// For `merge` only: for fields by their names, the record whose value is to win, as in `merge_customers`, whose
    /// `dry_run` shows the fields and their alternatives.
    #[serde(default)]
    #[schema(nullable = false, inline, value_type = kehu_kernel::limits::RecordsByName, example = json!({ "tier": "01890a5d-ac96-774b-bcce-b302099a8057" }))]
    #[validate(length(max = 64))]
    pub choices: BTreeMap<String, CustomerId>,
    /// For `merge` only: the version of `left` that the decision rests on. Without it, the two are merged as they are.
    #[schema(example = 3, minimum = 1)]
    #[validate(range(min = 1))]
    pub left_version: Option<i64>,
    /// For `merge` only: the version of `right` that the decision rests on.
    #[schema(example = 1, minimum = 1)]
    #[validate(range(min = 1))]
    pub right_version: Option<i64>,
}

/// What a decision to merge needs besides.
#[derive(Clone, Copy, Debug)]
pub struct Merging {
    /// Every table with rows of customers.
    pub registry: Registry,
    /// How many days the merge may be taken back.
    pub reversible_days: u32,
}

impl Merging {
    /// Makes one customer of the two and names the merge. The caller holds both.
    fn merge(self, tx: &mut Tx<'_>, actor: &Actor, pair: &Pair, decision: &MatchDecision) -> Result<AnyId> {
        let survivor = decision.survivor_id.unwrap_or(pair.left_id);
        let absorbed = if survivor == pair.left_id { pair.right_id } else { pair.left_id };
        let versions: Vec<(CustomerId, i64)> = customers::table
            .filter(customers::id.eq_any([survivor, absorbed]))
            .select((customers::id, customers::version))
            .load(&mut tx.db)?;
        let version = |id| versions.iter().find(|(known, _)| *known == id).map(|(_, version)| *version).ok_or(Error::NotFound);
        for (id, seen) in [(pair.left_id, decision.left_version), (pair.right_id, decision.right_version)] {
            let present = version(id)?;
            if seen.is_some_and(|seen| seen != present) {
                let detail = format!("The customer {id} was changed; its present version is {present}.");
                return Err(Error::conflict("customer_changed", detail));
            }
        }
        let request = MergeRequest {
            absorbed: vec![AbsorbedRecord { customer_id: absorbed, version: version(absorbed)? }],
            choices: decision.choices.clone(),
            reason: decision.reason.clone(),
            dry_run: false,
        };
        let made = merge::merge(tx, actor, self.registry, survivor, version(survivor)?, &request, self.reversible_days)?;
        made.id.map(Id::cast).ok_or_else(|| Error::internal("a merge without an id"))
    }
}

/// Decides about an open pair of which both customers lie within reach.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`, and for a merge without `customer.merge`; [`Error::NotFound`];
/// [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_decided`, and `customer_changed` for a merge of customers that
/// are not as they were seen; [`Error::Invalid`].
pub fn decide(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: MatchCandidateId,
    version: i64,
    decision: &MatchDecision,
    merging: Merging,
) -> Result<MatchCandidate> {
    let pair = candidate::find(tx, actor, id)?;
    check(decision, &pair, tx.now.date())?;
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
    let (state, merged) = match decision.decision {
        MatchDecisionKind::Merge => (MatchState::Merged, Some(merging.merge(tx, actor, &pair, decision)?)),
        MatchDecisionKind::Reject => (MatchState::Rejected, None),
        MatchDecisionKind::Later => (MatchState::Open, None),
    };
    write(tx, actor, &pair, decision, state, merged)?;
    let decided = candidate::find(tx, actor, id)?;
    candidate::one(tx, decided)
}

fn check(decision: &MatchDecision, pair: &Pair, today: Date) -> Result<()> {
    let refuse = |pointer, code, message: &str| Err(Error::invalid(pointer, code, message));
    let of_pair = |id: CustomerId| id == pair.left_id || id == pair.right_id;
    let of_merge = [
        ("/choices", !decision.choices.is_empty()),
        ("/left_version", decision.left_version.is_some()),
        ("/right_version", decision.right_version.is_some()),
    ];
    if let Some((pointer, _)) = of_merge.into_iter().find(|(_, said)| *said && decision.decision != MatchDecisionKind::Merge) {
        return refuse(pointer, "not_a_merge", "This is said about a merge only.");
    }
    match (decision.decision, decision.survivor_id, decision.until) {
        (MatchDecisionKind::Merge, Some(id), _) if !of_pair(id) => {
            refuse("/survivor_id", "other_customer", "The survivor is one of the two customers of the pair.")
        }
        (MatchDecisionKind::Reject | MatchDecisionKind::Later, Some(_), _) => {
            refuse("/survivor_id", "not_a_merge", "Only a merge has a survivor.")
        }
        (MatchDecisionKind::Later, None, None) => refuse("/until", "required", "Say until when."),
        (MatchDecisionKind::Later, None, Some(until)) if until <= today => {
            refuse("/until", "in_past", "The day lies after today.")
        }
        (MatchDecisionKind::Merge | MatchDecisionKind::Reject, _, Some(_)) => {
            refuse("/until", "not_later", "Only a decision that is put off has a day.")
        }
        _ => Ok(()),
    }
}

/// Writes a decision down, with the facts on which it rests: another proposal of the same facts changes nothing.
fn write(
    tx: &mut Tx<'_>,
    actor: &Actor,
    pair: &Pair,
    decision: &MatchDecision,
    state: MatchState,
    merge: Option<AnyId>,
) -> Result<()> {
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
            match_candidates::merge_id.eq(merge),
            match_candidates::updated_at.eq(tx.now),
            match_candidates::version.eq(match_candidates::version + 1),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "left_id": pair.left_id, "right_id": pair.right_id, "decision": decision.decision,
        "until": decision.until, "merge_id": merge });
    tx.emit(actor, NewEvent::new("match_candidate.decided", pair.id, data));
    Ok(())
}
