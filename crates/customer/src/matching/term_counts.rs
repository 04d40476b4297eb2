//! How many records have a value, and what that says of how many customers have it.

use std::collections::{HashMap, HashSet};

use super::{
    Model, Record,
    estimate::count,
    parameters::{MAX_TERMS, MIN_TERM_COUNT, Terms, terms},
    record::Value,
};

/// For one field, how many records have each value.
pub(super) struct TermCounts {
    counts: HashMap<u64, u32>,
}

/// Pairs that are one among those with the same value, by how frequent the value is.
pub(super) struct Same(Vec<f64>);

/// Classes of frequency: rare values, then each twice as frequent as the one before.
const CLASSES: usize = 33;

fn class(records: u32) -> usize {
    if records < MIN_TERM_COUNT { 0 } else { usize::try_from(records.ilog2()).unwrap_or(0) }
}

impl TermCounts {
    /// Of every field.
    pub(super) fn of(model: &Model, records: &[Record]) -> Vec<Self> {
        let mut counts: Vec<Self> = model.fields().iter().map(|_| Self { counts: HashMap::new() }).collect();
        let mut seen = HashSet::new();
        for record in records {
            for ((of, values), field) in model.fields().iter().zip(record.fields()).zip(&mut counts) {
                seen.clear();
                seen.extend(values.flat_map(|value| terms(of.kind.has_many_terms(), value)));
                seen.iter().for_each(|term| *field.counts.entry(*term).or_default() += 1);
            }
        }
        counts
    }

    pub(super) fn clone_shape(&self) -> Same {
        Same(vec![0.0; CLASSES])
    }

    /// The frequent values with the probability that another customer has them, and the one for rare values.
    pub(super) fn terms(&self, same: &Same, records: usize) -> Terms {
        let mut pairs = vec![0.0; CLASSES];
        for records in self.counts.values() {
            if let Some(sum) = pairs.get_mut(class(*records)) {
                *sum += pairs_of(*records);
            }
        }
        let others: Vec<f64> =
            pairs.iter().zip(&same.0).map(|(all, same)| if *all > 0.0 { (1.0 - same / all).max(0.0) } else { 1.0 }).collect();
        let others = |records: u32| others.get(class(records)).copied().unwrap_or(1.0);
        let all = count(records);
        let mut frequent: Vec<(u64, u32)> =
            self.counts.iter().filter(|(_, records)| class(**records) > 0).map(|(term, records)| (*term, *records)).collect();
        frequent.sort_unstable_by_key(|(term, records)| (std::cmp::Reverse(*records), *term));
        // Values that are not remembered count among the rare ones, however often each occurs.
        let forgotten = frequent.get(MAX_TERMS..).unwrap_or_default().iter().map(|(_, records)| *records);
        let (mut rare_records, mut rare_pairs) = (0.0, 0.0);
        for records in forgotten.chain(self.counts.values().copied().filter(|records| class(*records) == 0)) {
            rare_records += f64::from(records);
            rare_pairs += pairs_of(records) * others(records);
        }
        let rare = (2.0 * rare_pairs + 1.0) / ((rare_records + 1.0) * all);
        frequent.truncate(MAX_TERMS);
        let probability = |records: u32| (((f64::from(records) - 1.0) * others(records) + 0.1) / all).clamp(rare.min(1.0), 1.0);
        Terms {
            frequent: frequent.into_iter().map(|(term, records)| (term, single(probability(records)))).collect(),
            rare: single(rare.min(1.0)),
        }
    }
}

/// Pairs among so many records.
fn pairs_of(records: u32) -> f64 {
    f64::from(records) * (f64::from(records) - 1.0) / 2.0
}

impl Same {
    pub(super) fn add(&mut self, counts: &TermCounts, many: bool, value: Value<'_>, part: f64) {
        for term in terms(many, value) {
            let records = counts.counts.get(&term).copied().unwrap_or(0);
            if let Some(sum) = self.0.get_mut(class(records)) {
                *sum += part;
            }
        }
    }
}

/// In single precision, which is more than an estimate deserves.
fn single(probability: f64) -> f32 {
    format!("{probability:e}").parse().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that is not remembered is not thought rarer than it is.
    #[test]
    fn forgotten_values_keep_their_frequency() {
        let (values, each) = (u32::try_from(MAX_TERMS).unwrap_or_default() * 3, 10);
        let counts = TermCounts { counts: (0..u64::from(values)).map(|term| (term, each)).collect() };
        let terms = counts.terms(&counts.clone_shape(), usize::try_from(values * each).unwrap_or_default());
        let expected = f64::from(each - 1) / f64::from(values * each);
        assert!((f64::from(terms.rare) / expected - 1.0).abs() < 0.01, "{} is not {expected}", terms.rare);
        assert_eq!(terms.frequent.len(), MAX_TERMS);
    }
}
