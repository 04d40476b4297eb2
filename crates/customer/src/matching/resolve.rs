//! From records to groups in one go, learning on the way.

use super::{Batch, Index, Model, Pair, Parameters, Record, Salt, batch, closure, components, estimate};

/// Pairs at least this probable are taken for one.
pub const THRESHOLD: f64 = 0.5;
/// Pairs at least this probable may speak for groups.
const WEAK: f64 = 0.2;

/// What was found.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// What was learned.
    pub parameters: Parameters,
    /// All pairs within groups, in order.
    pub pairs: Vec<Pair>,
    /// Records that are one, two or more a group.
    pub groups: Vec<Vec<u32>>,
    /// How many pairs shared a key.
    pub candidates: usize,
}

/// Learns from records and finds those that are one. With `files`, only records of different files can be one. The
/// same records and seed give the same result.
#[must_use]
pub fn resolve(model: &Model, records: &[Record], files: Option<&[u8]>, seed: u64) -> Resolution {
    let index = Index::build(model, records, &Salt::new([0; 16]));
    let parameters = estimate(model, records, &index, seed);
    let Batch { mut pairs, candidates } = batch(model, &parameters, records, &index, WEAK);
    drop(index);
    let file = |record: u32| files.and_then(|files| files.get(super::index::large(record)));
    let across = |pair: &Pair| files.is_none() || file(pair.left) != file(pair.right);
    pairs.retain(across);
    let groups = components(model, &parameters, records, &pairs, THRESHOLD);
    let mut pairs = closure(model, &parameters, records, &groups);
    pairs.retain(across);
    Resolution { parameters, pairs, groups, candidates }
}
