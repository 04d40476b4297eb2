//! Learning from records without known answers.
//!
//! How often levels agree by chance (u) comes from pairs drawn at random, how often they agree for one customer (m)
//! and how many pairs are one (the prior) from the pairs that share a key, by expectation–maximisation: those that
//! share no key are certainly two. Pairs that share a key and are two agree more than random ones, in just what the
//! key is made of; while learning they have shares of their own, else the many who happen to share a name and a town
//! would be taken for one and teach that one customer's numbers all differ. Random pairs that look like one count as
//! little as they look unlike. How frequent a value is counts customers, not records: pairs that are one are taken
//! off again.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::index::sample};
use rayon::prelude::*;

use super::{
    Field, FieldParameters, Index, Model, Parameters, Record,
    compare::{self, Levels},
    index::{large, small},
    kind::{EXACT, MISSING},
    parameters::TrainedOn,
    score::{Scorer, probability, weight_of},
    term_counts::TermCounts,
};

/// Records whose candidates are learned from.
const SAMPLE: usize = 20_000;
/// Pairs with a common key that are learned from, at most.
const MAX_CANDIDATES: usize = 400_000;
/// Pairs drawn at random, at most.
const RANDOM_PAIRS: usize = 250_000;
/// Pairs that the shares of experience count as.
const BELIEF_M: f64 = 20.0;
const BELIEF_U: f64 = 2.0;
/// Rounds with the frequencies of values as they are, and how often those are taken anew.
const ROUNDS: usize = 30;
const TERM_ROUNDS: usize = 4;

/// Parameters that fit these records. The same records and seed give the same parameters.
#[must_use]
pub fn estimate(model: &Model, records: &[Record], index: &Index, seed: u64) -> Parameters {
    let start = Parameters::default_for(model);
    if records.len() < 10 {
        return start;
    }
    Estimation::new(model, records, index, seed).run(start)
}

/// A pair that is learned from.
struct Row {
    left: u32,
    right: u32,
    levels: Levels,
    /// What the frequencies of values that are the same add, without the average.
    terms: f64,
}

struct Estimation<'a> {
    model: &'a Model,
    records: &'a [Record],
    candidates: Vec<Row>,
    random: Vec<Row>,
    /// How many pairs each candidate stands for.
    scale: f64,
    counts: Vec<TermCounts>,
    /// Candidates that are two, once something is known of them.
    others: Option<Others>,
    seed: u64,
}

/// Pairs that share a key and are two.
struct Others {
    /// By field and level, the share of them.
    levels: Vec<Vec<f64>>,
    /// The share of candidates that are not among them, as a weight.
    prior: f64,
}

impl<'a> Estimation<'a> {
    fn new(model: &'a Model, records: &'a [Record], index: &Index, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (pairs, scale) = candidates(records, index, &mut random);
        let drawn = random_pairs(records.len(), &mut random);
        let row = |(left, right): (u32, u32)| {
            let pair = records.get(large(left)).zip(records.get(large(right)));
            let levels = pair.map(|(left, right)| compare::levels(model, left, right));
            Row { left, right, levels: levels.unwrap_or_default(), terms: 0.0 }
        };
        Self {
            model,
            records,
            candidates: pairs.into_par_iter().map(row).collect(),
            random: drawn.into_par_iter().map(row).collect(),
            scale,
            counts: TermCounts::of(model, records),
            others: None,
            seed,
        }
    }

    fn run(mut self, mut parameters: Parameters) -> Parameters {
        parameters.prior = 1.0 / count(self.records.len());
        self.learn_u(&mut parameters, true);
        let mut rounds = 0;
        for _ in 0..TERM_ROUNDS {
            self.learn_terms(&mut parameters, rounds == 0);
            for _ in 0..ROUNDS {
                rounds += 1;
                if self.learn_m(&mut parameters) < 1e-4 {
                    break;
                }
            }
            self.learn_u(&mut parameters, false);
        }
        parameters.trained_on = Some(TrainedOn {
            records: self.records.len(),
            candidates: self.candidates.len(),
            random_pairs: self.random.len(),
            rounds,
            seed: self.seed,
        });
        parameters
    }

    /// How frequent values are, given how probable it is by now that pairs with the same value are one.
    fn learn_terms(&mut self, parameters: &mut Parameters, first: bool) {
        let parts: Vec<f64> = if first { vec![0.0; self.candidates.len()] } else { self.parts(parameters) };
        for (index, (counts, (field, of))) in
            self.counts.iter().zip(parameters.fields.iter_mut().zip(self.model.fields())).enumerate()
        {
            let mut same = counts.clone_shape();
            for (row, part) in self.candidates.iter().zip(&parts) {
                if row.levels.get(index) == Some(&EXACT)
                    && let Some((left, right)) = self.records.get(large(row.left)).zip(self.records.get(large(row.right)))
                {
                    let (_, value, _) = compare::best(of.kind, left.values(index), right.values(index));
                    same.add(counts, of.kind.has_many_terms(), value, part * self.scale);
                }
            }
            field.terms = Some(counts.terms(&same, self.records.len()));
        }
        let scorer = Scorer::new(self.model, parameters);
        let records = self.records;
        let renew = |row: &mut Row| {
            let pair = records.get(large(row.left)).zip(records.get(large(row.right)));
            row.terms = pair.map_or(0.0, |(left, right)| scorer.rarity(&row.levels, left, right));
        };
        self.candidates.par_iter_mut().for_each(renew);
        self.random.par_iter_mut().for_each(renew);
    }

    fn learn_u(&self, parameters: &mut Parameters, first: bool) {
        let parts = if first { vec![0.0; self.random.len()] } else { self.probabilities(parameters, &self.random) };
        for (index, (field, of)) in parameters.fields.iter_mut().zip(self.model.fields()).enumerate() {
            let believed = of.kind.levels().iter().map(|level| level.u);
            let unlike =
                self.random.iter().zip(&parts).map(|(row, part)| (row.levels.get(index).copied().unwrap_or(MISSING), 1.0 - part));
            shares(&mut field.u, believed, BELIEF_U, unlike);
        }
    }

    /// One round; the relative change of the prior.
    fn learn_m(&mut self, parameters: &mut Parameters) -> f64 {
        let parts = self.parts(parameters);
        self.learn_others(&parts);
        for (index, (field, of)) in parameters.fields.iter_mut().zip(self.model.fields()).enumerate() {
            let believed = of.kind.levels().iter().map(|level| level.m);
            let alike = self
                .candidates
                .iter()
                .zip(&parts)
                .map(|(row, part)| (row.levels.get(index).copied().unwrap_or(MISSING), part * self.scale));
            shares(&mut field.m, believed, BELIEF_M, alike);
        }
        let pairs = count(self.records.len()) * (count(self.records.len()) - 1.0) / 2.0;
        let prior = ((parts.iter().sum::<f64>() * self.scale + 0.5) / pairs).clamp(1e-12, 0.5);
        let change = (prior / parameters.prior - 1.0).abs();
        parameters.prior = prior;
        change
    }

    fn learn_others(&mut self, parts: &[f64]) {
        let unlike = |(index, of): (usize, &Field)| {
            let levels = of.kind.levels();
            let mut out = vec![1.0; levels.len()];
            let seen = self.candidates.iter().zip(parts);
            let seen = seen.map(|(row, part)| (row.levels.get(index).copied().unwrap_or(MISSING), 1.0 - part));
            shares(&mut out, levels.iter().map(|level| level.u), BELIEF_U, seen);
            out
        };
        let share = (parts.iter().sum::<f64>() + 0.5) / (count(parts.len()) + 1.0);
        self.others =
            Some(Others { levels: self.model.fields().iter().enumerate().map(unlike).collect(), prior: weight_of(share) });
    }

    /// How probable it is of each candidate that it is one, among candidates.
    fn parts(&self, parameters: &Parameters) -> Vec<f64> {
        let Some(others) = &self.others else { return self.probabilities(parameters, &self.candidates) };
        let factors = |(field, others): (&FieldParameters, &Vec<f64>)| -> Vec<f64> {
            field.m.iter().zip(others).map(|(m, other)| (m / other).log2()).collect()
        };
        let tables: Vec<Vec<f64>> = parameters.fields.iter().zip(&others.levels).map(factors).collect();
        self.candidates.par_iter().map(|row| probability(others.prior + sum(&tables, row))).collect()
    }

    fn probabilities(&self, parameters: &Parameters, rows: &[Row]) -> Vec<f64> {
        let prior = (parameters.prior / (1.0 - parameters.prior)).log2();
        let tables: Vec<Vec<f64>> = parameters.fields.iter().map(weights).collect();
        rows.par_iter().map(|row| probability(prior + row.terms + sum(&tables, row))).collect()
    }
}

/// What the levels of a pair weigh.
fn sum(tables: &[Vec<f64>], row: &Row) -> f64 {
    tables.iter().zip(row.levels).filter_map(|(table, level)| table.get(usize::from(level))).sum()
}

/// The logarithm of the Bayes factor of every level.
fn weights(field: &FieldParameters) -> Vec<f64> {
    let exact = usize::from(EXACT);
    let factor = |(level, (m, u)): (usize, (&f64, &f64))| match level {
        0 => 0.0,
        // The row carries how frequent its value is.
        level if level == exact && field.terms.is_some() => m.log2(),
        _ => (m / u).log2(),
    };
    field.m.iter().zip(&field.u).enumerate().map(factor).collect()
}

/// Shares of levels: what was seen, each with its part, and what is believed.
fn shares(out: &mut [f64], believed: impl Iterator<Item = f64>, belief: f64, seen: impl Iterator<Item = (u8, f64)>) {
    let mut sums: Vec<f64> = believed.map(|share| share * belief).collect();
    for (level, part) in seen.filter(|(level, _)| *level != MISSING) {
        if let Some(sum) = sums.get_mut(usize::from(level)) {
            *sum += part;
        }
    }
    let total: f64 = sums.iter().skip(1).sum();
    for (share, sum) in out.iter_mut().zip(sums).skip(1) {
        *share = (sum / total).clamp(1e-12, 1.0);
    }
}

/// Pairs that share a key, and how many each stands for: all of them, or those of records drawn at random.
fn candidates(records: &[Record], index: &Index, random: &mut StdRng) -> (Vec<(u32, u32)>, f64) {
    let (mut pairs, mut found) = (Vec::new(), Vec::new());
    if records.len() <= SAMPLE {
        for left in 0..small(records.len()) {
            index.candidates(left, &mut found);
            pairs.extend(found.iter().filter(|right| **right > left).map(|right| (left, *right)));
        }
        if pairs.len() <= MAX_CANDIDATES {
            return (pairs, 1.0);
        }
        pairs.clear();
    }
    let mut drawn = 0_usize;
    for left in sample(random, records.len(), SAMPLE.min(records.len())) {
        index.candidates(small(left), &mut found);
        pairs.extend(found.iter().map(|right| (small(left), *right)));
        drawn += 1;
        if pairs.len() > MAX_CANDIDATES {
            break;
        }
    }
    (pairs, count(records.len()) / (2.0 * count(drawn)))
}

/// All pairs, or some drawn at random.
fn random_pairs(records: usize, random: &mut StdRng) -> Vec<(u32, u32)> {
    let all = small(records);
    if records * (records - 1) / 2 <= RANDOM_PAIRS {
        return (0..all).flat_map(|left| (left + 1..all).map(move |right| (left, right))).collect();
    }
    let mut pair = || (random.random_range(0..all), random.random_range(0..all));
    std::iter::repeat_with(&mut pair).filter(|(left, right)| left != right).take(RANDOM_PAIRS).collect()
}

pub(super) fn count(number: usize) -> f64 {
    f64::from(small(number))
}
