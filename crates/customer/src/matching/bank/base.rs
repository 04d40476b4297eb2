//! All customers of a subject in memory, ready to be compared.

use std::collections::{BTreeMap, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Conn, Result, schema::customers};

use super::{
    band::MatchBand,
    engine::{self, MOST_IN_BLOCK},
    facts::{self, Facts, MatchSubject},
    queue::Proposal,
};
use crate::{
    CustomerId,
    identity::NUMBER,
    matching::{Pair, Record, Scorer},
};

/// How many customers are read at once.
pub(super) const CHUNK: usize = 2_000;

/// All customers of a subject that are there and not absorbed, the oldest first.
///
/// # Errors
/// The database's.
pub(super) fn ids(conn: &mut Conn, subject: MatchSubject) -> Result<Vec<CustomerId>> {
    Ok(customers::table
        .filter(customers::kind.eq_any(subject.kinds()))
        .filter(customers::merged_into.is_null())
        .filter(customers::erased_at.is_null())
        .order(customers::id)
        .select(customers::id)
        .load(&mut conn.db)?)
}

/// Customers by their positions.
pub(super) struct Base {
    subject: MatchSubject,
    pub ids: Vec<CustomerId>,
    pub records: Vec<Record>,
    digests: Vec<[u8; 16]>,
    /// Hash of each verified document with the position of its holder.
    documents: Vec<([u8; 16], u32)>,
}

impl Base {
    pub fn with_capacity(subject: MatchSubject, customers: usize) -> Self {
        Self {
            subject,
            ids: Vec::with_capacity(customers),
            records: Vec::with_capacity(customers),
            digests: Vec::with_capacity(customers),
            documents: Vec::new(),
        }
    }

    /// Adds customers in the order of their ids.
    pub fn take(&mut self, conn: &Conn, ids: &[CustomerId], known: &HashMap<CustomerId, Facts>) -> Result<()> {
        for id in ids {
            let Some(facts) = known.get(id).filter(|facts| facts.subject == self.subject) else { continue };
            let position = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
            for (kind, number) in facts.verified() {
                let hash = conn.keys.blind_index(NUMBER, &format!("{kind} {number}"));
                self.documents.push((short(&hash), position));
            }
            self.ids.push(*id);
            // One that tells nobody apart stays without a key, as in the table of keys.
            self.records.push(if facts.tells_who() { engine::prepare(facts) } else { Record::default() });
            self.digests.push(short(&facts::digest(conn, facts)?));
        }
        Ok(())
    }

    /// The pairs of a batch, and those with the same verified document, in order.
    pub fn with_documents(&self, pairs: &[Pair]) -> Vec<Pair> {
        let mut all: BTreeMap<(u32, u32), Pair> = pairs.iter().map(|pair| ((pair.left, pair.right), *pair)).collect();
        for (left, right) in self.same_documents() {
            all.insert((left, right), Pair { left, right, probability: 1.0 });
        }
        all.into_values().collect()
    }

    fn same_documents(&self) -> Vec<(u32, u32)> {
        let mut sorted = self.documents.clone();
        sorted.sort_unstable();
        let held = sorted.chunk_by(|one, other| one.0 == other.0).filter(|block| (2..=MOST_IN_BLOCK).contains(&block.len()));
        let pairs = |block: &[([u8; 16], u32)]| {
            let of: Vec<u32> = block.iter().map(|(_, position)| *position).collect();
            of.iter().enumerate().flat_map(|(at, left)| of.iter().skip(at + 1).map(|right| (*left, *right))).collect::<Vec<_>>()
        };
        held.flat_map(pairs).filter(|(left, right)| left < right).collect()
    }

    /// What is proposed for a pair.
    pub fn proposal(&self, scorer: &Scorer<'_>, parameters_version: i64, pair: &Pair) -> Option<Proposal> {
        let (left, right) = (usize::try_from(pair.left).ok()?, usize::try_from(pair.right).ok()?);
        let same_document = pair.probability >= 1.0 && self.same_document(pair);
        let judged = engine::judge(scorer, self.records.get(left)?, self.records.get(right)?, same_document);
        let hash = facts::pair_hash(self.digests.get(left)?, self.digests.get(right)?);
        let (one, other) = self.ids_of(pair)?;
        let found = Proposal { one, other, score: judged.score, reasons: judged.reasons, facts_hash: hash, parameters_version };
        MatchBand::of(found.score).is_queued().then_some(found)
    }

    fn same_document(&self, pair: &Pair) -> bool {
        let of = |position: u32| self.documents.iter().filter(move |(_, holder)| *holder == position).map(|(hash, _)| hash);
        of(pair.left).any(|mine| of(pair.right).any(|theirs| mine == theirs))
    }

    /// The customers of a pair, the older one first.
    pub fn ids_of(&self, pair: &Pair) -> Option<(CustomerId, CustomerId)> {
        let at = |position: u32| self.ids.get(usize::try_from(position).ok()?).copied();
        at(pair.left).zip(at(pair.right))
    }
}

fn short(hash: &[u8]) -> [u8; 16] {
    *hash.first_chunk().unwrap_or(&[0; 16])
}
