//! Which records are one customer, given which pairs probably are.
//!
//! Pairs are joined from the most probable one down, and two groups become one only if all of their members
//! together speak for it: the mean weight over all pairs between them, and enough of the pairs. So one weak pair never
//! ties two firm groups together, and a record that agrees with most of a group belongs to it though one member has a typing error.

use std::collections::HashMap;

use super::{
    Model, Parameters, Record,
    batch::Pair,
    index::large,
    score::{Scorer, probability, weight_of},
};

/// Groups of two or more records, each in order, ordered by their first member.
///
/// `pairs` are those of the batch, from a probability on that may be below `least`: two groups may be joined by
/// pairs that alone would not do.
#[must_use]
pub fn components(model: &Model, parameters: &Parameters, records: &[Record], pairs: &[Pair], least: f64) -> Vec<Vec<u32>> {
    let mut groups = Groups { scorer: Scorer::new(model, parameters), records, of: HashMap::new(), members: HashMap::new() };
    let mut ordered: Vec<&Pair> = pairs.iter().collect();
    ordered.sort_by(|one, other| {
        other.probability.total_cmp(&one.probability).then((one.left, one.right).cmp(&(other.left, other.right)))
    });
    for pair in ordered {
        groups.join(pair, least, weight_of(least));
    }
    let mut found: Vec<Vec<u32>> = groups.members.into_values().filter(|members| members.len() > 1).collect();
    found.iter_mut().for_each(|members| members.sort_unstable());
    found.sort_unstable();
    found
}

/// All pairs within groups, in order; the probability of one that is not in the batch is that of its group.
#[must_use]
pub fn closure(model: &Model, parameters: &Parameters, records: &[Record], groups: &[Vec<u32>]) -> Vec<Pair> {
    let scorer = Scorer::new(model, parameters);
    let mut all = Vec::new();
    for group in groups {
        for (at, left) in group.iter().enumerate() {
            for right in group.iter().skip(at + 1) {
                let weight =
                    records.get(large(*left)).zip(records.get(large(*right))).map(|(left, right)| scorer.weight(left, right));
                all.push(Pair { left: *left, right: *right, probability: probability(weight.unwrap_or(0.0)).max(0.5) });
            }
        }
    }
    all.sort_unstable_by_key(|pair| (pair.left, pair.right));
    all
}

/// No group grows larger than this.
const LARGE: usize = 50;
/// No pair alone speaks more for or against than this.
const MOST: f64 = 12.0;
/// So many of the pairs between two groups must speak for it.
const ENOUGH: f64 = 0.4;

struct Groups<'a> {
    scorer: Scorer<'a>,
    records: &'a [Record],
    of: HashMap<u32, u32>,
    members: HashMap<u32, Vec<u32>>,
}

impl Groups<'_> {
    fn group(&mut self, record: u32) -> u32 {
        let group = *self.of.entry(record).or_insert(record);
        self.members.entry(group).or_insert_with(|| vec![record]);
        group
    }

    fn join(&mut self, pair: &Pair, least: f64, floor: f64) {
        let alone = |record: u32| !self.of.contains_key(&record);
        if alone(pair.left) && alone(pair.right) && pair.probability < least {
            return;
        }
        let certain = alone(pair.left) && alone(pair.right);
        let (left, right) = (self.group(pair.left), self.group(pair.right));
        if left == right {
            return;
        }
        let (Some(one), Some(other)) = (self.members.get(&left), self.members.get(&right)) else { return };
        if !certain && (one.len() + other.len() > LARGE || !self.agree(one, other, floor)) {
            return;
        }
        let moved = self.members.remove(&right).unwrap_or_default();
        for record in &moved {
            self.of.insert(*record, left);
        }
        self.members.entry(left).or_default().extend(moved);
    }

    /// Whether the pairs between two groups speak for their being one: in the mean, and enough of them.
    fn agree(&self, one: &[u32], other: &[u32], floor: f64) -> bool {
        let (mut sum, mut pairs, mut speaking) = (0.0, 0.0, 0.0);
        for left in one {
            for right in other {
                let found = self.records.get(large(*left)).zip(self.records.get(large(*right)));
                let weight = found.map_or(-MOST, |(left, right)| self.scorer.weight(left, right));
                sum += weight.clamp(-MOST, MOST);
                pairs += 1.0;
                speaking += if weight >= floor { 1.0 } else { 0.0 };
            }
        }
        sum >= floor * pairs && speaking >= ENOUGH * pairs
    }
}
