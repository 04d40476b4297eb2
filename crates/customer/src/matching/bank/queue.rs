//! Putting pairs into the work queue, so that nobody is asked twice about the same facts, and taking them out.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, BasisPoints, Result, Tx, each,
    event::NewEvent,
    json::Json,
    schema::{customers, match_candidates},
};
use serde::Serialize;
use serde_json::json;

use super::{
    band::{MatchBand, MatchReason},
    candidate::{MatchCandidateId, MatchSource, MatchState, Pair},
};
use crate::{CustomerId, scope};

/// A pair that was found.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    pub one: CustomerId,
    pub other: CustomerId,
    pub score: BasisPoints,
    pub reasons: Vec<MatchReason>,
    pub facts_hash: Vec<u8>,
    pub parameters_version: i64,
}

/// What became of proposals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Proposed {
    /// Pairs that are new in the queue.
    pub created: i64,
    /// Open pairs with a new score or new reasons.
    pub updated: i64,
    /// Decided pairs of which something has changed since.
    pub reopened: i64,
    /// Pairs that stay as they are, decided ones among them.
    pub unchanged: i64,
}

impl std::ops::AddAssign for Proposed {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.reopened += other.reopened;
        self.unchanged += other.unchanged;
    }
}

/// Puts pairs into the queue. A pair that was decided stays so, until what was compared of it has changed; a pair of which
/// one customer is gone by now is left out. The events name no customer: a pair belongs to both, and who reaches only one
/// of them learns nothing of it.
pub(crate) fn propose(tx: &mut Tx<'_>, actor: &Actor, source: MatchSource, proposals: Vec<Proposal>) -> Result<Proposed> {
    let mut done = Proposed::default();
    let mut proposals: Vec<Proposal> = proposals.into_iter().map(Proposal::in_order).collect();
    proposals.sort_unstable_by_key(|proposal| (proposal.one, proposal.other));
    proposals.dedup_by_key(|proposal| (proposal.one, proposal.other));
    // Merges and decisions wait: what is read of a pair stays true until it is written.
    let living = scope::share_living(tx, proposals.iter().flat_map(|proposal| [proposal.one, proposal.other]).collect())?;
    proposals.retain(|proposal| living.contains(&proposal.one) && living.contains(&proposal.other));
    for some in proposals.chunks(1_000) {
        let known = known(tx, some)?;
        for proposal in some {
            match known.get(&(proposal.one, proposal.other)) {
                None => insert(tx, actor, source, proposal, &mut done)?,
                Some(pair) => renew(tx, actor, pair, proposal, &mut done)?,
            }
        }
    }
    Ok(done)
}

impl Proposal {
    /// Ids are made in the order of time, so the smaller one is the older record.
    fn in_order(self) -> Self {
        if self.one <= self.other { self } else { Self { one: self.other, other: self.one, ..self } }
    }
}

fn known(tx: &mut Tx<'_>, proposals: &[Proposal]) -> Result<HashMap<(CustomerId, CustomerId), Pair>> {
    let mut left: Vec<CustomerId> = proposals.iter().map(|proposal| proposal.one).collect();
    left.dedup();
    let rows: Vec<Pair> =
        match_candidates::table.filter(match_candidates::left_id.eq_any(left)).select(Pair::as_select()).load(&mut tx.db)?;
    Ok(rows.into_iter().map(|pair| ((pair.left_id, pair.right_id), pair)).collect())
}

fn insert(tx: &mut Tx<'_>, actor: &Actor, source: MatchSource, found: &Proposal, done: &mut Proposed) -> Result<()> {
    let pair = Pair {
        id: MatchCandidateId::new(),
        left_id: found.one,
        right_id: found.other,
        score_bp: found.score,
        band: MatchBand::of(found.score),
        reasons: Json(found.reasons.clone()),
        facts_hash: found.facts_hash.clone(),
        parameters_version: found.parameters_version,
        source,
        state: MatchState::Open,
        postponed_until: None,
        decided_by: None,
        decided_at: None,
        decision_reason: None,
        merge_id: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    // Another writer may have found the same pair meanwhile.
    let insert = diesel::insert_into(match_candidates::table).values(&pair).on_conflict_do_nothing();
    if each!(&mut tx.db, c => insert.execute(c))? == 0 {
        done.unchanged += 1;
        return Ok(());
    }
    done.created += 1;
    let data = json!({ "left_id": pair.left_id, "right_id": pair.right_id, "score_bp": pair.score_bp, "band": pair.band,
        "source": source });
    tx.emit(actor, NewEvent::new("match_candidate.created", pair.id, data));
    Ok(())
}

fn renew(tx: &mut Tx<'_>, actor: &Actor, pair: &Pair, found: &Proposal, done: &mut Proposed) -> Result<()> {
    let same_facts = pair.facts_hash == found.facts_hash;
    let open = pair.state == MatchState::Open;
    let same_score = pair.score_bp == found.score && pair.parameters_version == found.parameters_version;
    let stays = match pair.state {
        MatchState::Open => same_facts && same_score && pair.reasons.0 == found.reasons,
        MatchState::Merged | MatchState::Rejected => same_facts,
        MatchState::Closed => false,
    };
    if stays {
        done.unchanged += 1;
        return Ok(());
    }
    // Only as it was read: nobody's decision is written over.
    let as_read = match_candidates::table.find(pair.id).filter(match_candidates::version.eq(pair.version));
    let written = diesel::update(as_read)
        .set((
            match_candidates::score_bp.eq(found.score),
            match_candidates::band.eq(MatchBand::of(found.score)),
            match_candidates::reasons.eq(Json(found.reasons.clone())),
            match_candidates::facts_hash.eq(&found.facts_hash),
            match_candidates::parameters_version.eq(found.parameters_version),
            match_candidates::state.eq(MatchState::Open),
            match_candidates::updated_at.eq(tx.now),
            match_candidates::version.eq(match_candidates::version + 1),
        ))
        .execute(&mut tx.db)?;
    if written == 0 {
        done.unchanged += 1;
        return Ok(());
    }
    if open {
        done.updated += 1;
        return Ok(());
    }
    done.reopened += 1;
    let data = json!({ "left_id": pair.left_id, "right_id": pair.right_id, "score_bp": found.score,
        "band": MatchBand::of(found.score), "was": pair.state });
    tx.emit(actor, NewEvent::new("match_candidate.reopened", pair.id, data));
    Ok(())
}

/// Whether both customers of a pair are still there.
pub(super) fn both_live(tx: &mut Tx<'_>, pair: &Pair) -> Result<bool> {
    let living: i64 = customers::table
        .filter(customers::id.eq_any([pair.left_id, pair.right_id]))
        .filter(customers::merged_into.is_null())
        .filter(customers::erased_at.is_null())
        .count()
        .get_result(&mut tx.db)?;
    Ok(living == 2)
}
