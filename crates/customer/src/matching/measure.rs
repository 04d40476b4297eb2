//! How right pairs are, when it is known which records truly are one.

use std::collections::{HashMap, HashSet};

use super::{Pair, index::large};

/// Shares of right answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// The share of found pairs that truly are one.
    pub precision: f64,
    /// The share of true pairs that were found.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

impl Accuracy {
    /// From counts: found and true, found, true.
    #[must_use]
    pub fn of(right: usize, found: usize, truly: usize) -> Self {
        let share = |part: usize, whole: usize| {
            if whole == 0 { 0.0 } else { super::estimate::count(part) / super::estimate::count(whole) }
        };
        let (precision, recall) = (share(right, found), share(right, truly));
        let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        Self { precision, recall, f1 }
    }

    /// Of pairs, by what is the same for records that truly are one. With `files`, only pairs of records of different
    /// files count.
    #[must_use]
    pub fn of_pairs(pairs: &[Pair], truth: &[u32], files: Option<&[u8]>) -> Self {
        let differ = |one: usize, other: usize| files.is_none_or(|files| files.get(one) != files.get(other));
        let mut clusters: HashMap<u32, Vec<usize>> = HashMap::new();
        for (record, cluster) in truth.iter().enumerate() {
            clusters.entry(*cluster).or_default().push(record);
        }
        let within = |members: &Vec<usize>| {
            members
                .iter()
                .enumerate()
                .map(|(at, one)| members.iter().skip(at + 1).filter(|other| differ(*one, **other)).count())
                .sum::<usize>()
        };
        let truly = clusters.values().map(within).sum();
        let found: HashSet<(u32, u32)> = pairs.iter().map(|pair| (pair.left, pair.right)).collect();
        let right = found.iter().filter(|(left, right)| truth.get(large(*left)) == truth.get(large(*right))).count();
        Self::of(right, found.len(), truly)
    }
}
