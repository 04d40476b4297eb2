//! The customers that some records may tell of: one look at the keys, one at the facts, then comparisons.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{BasisPoints, Conn, Result, schema::identities};

use super::{
    band::{MatchBand, MatchReason},
    engine::{self, MOST_IN_BLOCK, Scale},
    facts::{self, Facts, MatchSubject},
    keys,
    queue::Proposal,
};
use crate::{
    CustomerId,
    identity::{IdentityType, NUMBER, VerificationState},
};

/// A record whose customer is sought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought<'a> {
    /// Its own id, if it is in the database: nobody is a duplicate of itself.
    pub id: Option<CustomerId>,
    pub facts: &'a Facts,
}

/// A customer that a record may tell of.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub customer: CustomerId,
    pub score: BasisPoints,
    pub reasons: Vec<MatchReason>,
    /// Digest of its facts.
    pub digest: Vec<u8>,
}

/// What was found for each record, in their order, best first, with the version of the parameters.
#[derive(Debug)]
pub(crate) struct Answers {
    pub found: Vec<Vec<Found>>,
    pub parameters_version: i64,
}

/// Finds the customers that records of one subject may tell of, of bands that are worth a look, however far
/// the caller reaches: what may be shown is the caller's question.
///
/// # Errors
/// The database's.
pub(crate) fn candidates(conn: &mut Conn, subject: MatchSubject, sought: &[Sought<'_>]) -> Result<Answers> {
    let scale = Scale::in_use(conn, subject)?;
    let salt = engine::salt(&conn.keys);
    let records: Vec<_> = sought.iter().map(|one| engine::prepare(one.facts)).collect();
    let keys: Vec<Vec<i64>> = sought.iter().zip(&records).map(|(one, record)| engine::keys(one.facts, record, &salt)).collect();
    let wanted: Vec<i64> = keys.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let members = keys::members(conn, &wanted, MOST_IN_BLOCK)?;
    let holders = holders(conn, sought)?;
    let mut near: Vec<Vec<CustomerId>> = Vec::with_capacity(sought.len());
    for (one, keys) in sought.iter().zip(&keys) {
        // A record that is not there yet would be one more in each block.
        let most = if one.id.is_some() { MOST_IN_BLOCK } else { MOST_IN_BLOCK - 1 };
        let blocks = keys.iter().filter_map(|key| members.get(key)).filter(|block| block.len() <= most);
        let mut ids: Vec<CustomerId> = blocks.flatten().copied().collect();
        for (kind, number) in one.facts.verified() {
            ids.extend(holders.get(&(kind, conn.keys.blind_index(NUMBER, number))).into_iter().flatten());
        }
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| Some(*id) != one.id);
        near.push(ids);
    }
    let all: Vec<CustomerId> = near.iter().flatten().copied().collect::<HashSet<_>>().into_iter().collect();
    let facts = facts::load(conn, &all)?;
    let prepared: HashMap<CustomerId, _> =
        facts.iter().filter(|(_, facts)| facts.subject == subject).map(|(id, facts)| (*id, engine::prepare(facts))).collect();
    let scorer = scale.scorer();
    let mut found = Vec::with_capacity(sought.len());
    for ((one, record), ids) in sought.iter().zip(&records).zip(near) {
        let mut hits = Vec::new();
        for id in ids {
            let (Some(other), Some(theirs)) = (prepared.get(&id), facts.get(&id)) else { continue };
            // A record that is not there yet is the newer one.
            let (older, newer) = if one.id.is_some_and(|own| own < id) { (record, other) } else { (other, record) };
            let judged = engine::judge(&scorer, older, newer, one.facts.shares_document(theirs));
            if MatchBand::of(judged.score).is_queued() {
                let digest = facts::digest(conn, theirs)?;
                hits.push(Found { customer: id, score: judged.score, reasons: judged.reasons, digest });
            }
        }
        hits.sort_unstable_by_key(|hit| (std::cmp::Reverse(hit.score), hit.customer));
        found.push(hits);
    }
    Ok(Answers { found, parameters_version: scale.version })
}

/// What is proposed to the queue for a customer that is there.
pub(crate) fn proposals(
    conn: &Conn,
    customer: CustomerId,
    facts: &Facts,
    found: &[Found],
    parameters_version: i64,
) -> Result<Vec<Proposal>> {
    let own = facts::digest(conn, facts)?;
    let proposal = |hit: &Found| {
        let older_first = if customer < hit.customer { (&own, &hit.digest) } else { (&hit.digest, &own) };
        Proposal {
            one: customer,
            other: hit.customer,
            score: hit.score,
            reasons: hit.reasons.clone(),
            facts_hash: facts::pair_hash(older_first.0, older_first.1),
            parameters_version,
        }
    };
    Ok(found.iter().map(proposal).collect())
}

type Holders = HashMap<(IdentityType, Vec<u8>), Vec<CustomerId>>;

/// Who holds the verified documents of the records, verified too; absorbed and erased customers among them.
fn holders(conn: &mut Conn, sought: &[Sought<'_>]) -> Result<Holders> {
    let numbers: HashSet<Vec<u8>> =
        sought.iter().flat_map(|one| one.facts.verified()).map(|(_, number)| conn.keys.blind_index(NUMBER, number)).collect();
    let mut holders = Holders::new();
    if numbers.is_empty() {
        return Ok(holders);
    }
    let rows: Vec<(IdentityType, Vec<u8>, CustomerId)> = identities::table
        .filter(identities::number_index.eq_any(numbers))
        .filter(identities::verification.eq(VerificationState::Verified))
        .filter(identities::ended_at.is_null())
        .select((identities::identity_type, identities::number_index, identities::customer_id))
        .load(&mut conn.db)?;
    for (kind, index, customer) in rows {
        holders.entry((kind, index)).or_default().push(customer);
    }
    // As with keys: what so many share tells nothing.
    holders.retain(|_, held| held.len() <= MOST_IN_BLOCK);
    Ok(holders)
}
