//! All pairs of many records.

use rayon::prelude::*;

use super::{
    Index, Model, Parameters, Record,
    index::{large, small},
    score::{Scorer, probability, weight_of},
};

/// Two records that are probably one customer, by their positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The one that comes first.
    pub left: u32,
    /// The other.
    pub right: u32,
    /// How probable it is that they are one.
    pub probability: f64,
}

/// The result of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Pairs, in order.
    pub pairs: Vec<Pair>,
    /// How many pairs shared a key and were compared.
    pub candidates: usize,
}

/// All pairs that share a key and whose probability is at least `least`. The same records and parameters give the same
/// pairs, whatever the number of processors.
#[must_use]
pub fn batch(model: &Model, parameters: &Parameters, records: &[Record], index: &Index, least: f64) -> Batch {
    let scorer = Scorer::new(model, parameters);
    let floor = weight_of(least);
    let chunks: Vec<Batch> = (0..small(records.len()).div_ceil(CHUNK))
        .into_par_iter()
        .map(|chunk| one(&scorer, records, index, floor, chunk))
        .collect();
    let mut all = Batch::default();
    for mut chunk in chunks {
        all.candidates += chunk.candidates;
        all.pairs.append(&mut chunk.pairs);
    }
    all
}

/// Records of one piece of work.
const CHUNK: u32 = 512;

fn one(scorer: &Scorer<'_>, records: &[Record], index: &Index, floor: f64, chunk: u32) -> Batch {
    let mut batch = Batch::default();
    let mut candidates = Vec::new();
    for left in chunk * CHUNK..(chunk + 1) * CHUNK {
        let Some(record) = records.get(large(left)) else { break };
        index.candidates(left, &mut candidates);
        let probe = scorer.probe(record);
        for right in candidates.iter().copied().filter(|right| *right > left) {
            batch.candidates += 1;
            let weight = records.get(large(right)).and_then(|other| probe.weight(other, floor));
            if let Some(weight) = weight {
                batch.pairs.push(Pair { left, right, probability: probability(weight) });
            }
        }
    }
    batch
}
