//! Chance that repeats: every customer has a stream of its own, so that the n-th customer of a seed is
//! the same whatever the size of the bank.

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// A stream of chance.
pub(super) struct Chance(StdRng);

impl Chance {
    /// The stream of the `index`-th thing of a kind under a seed.
    pub(super) fn of(seed: u64, kind: u8, index: u64) -> Self {
        let mut bytes = [0; 32];
        let parts = seed.to_le_bytes().into_iter().chain(index.to_le_bytes()).chain([kind]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Self(StdRng::from_seed(bytes))
    }

    /// A number in `from..to`.
    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        self.0.random_range(from..to.max(from + 1))
    }

    /// True in so many of a thousand cases.
    pub(super) fn permille(&mut self, of_thousand: i64) -> bool {
        self.between(0, 1_000) < of_thousand
    }

    /// One of several.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let length = i64::try_from(from.len()).ok()?;
        if length == 0 { None } else { from.get(usize::try_from(self.between(0, length)).ok()?) }
    }

    /// One of several texts; empty when there is none.
    pub(super) fn word(&mut self, from: &[&'static str]) -> &'static str {
        self.pick(from).copied().unwrap_or_default()
    }

    /// An index by weight.
    pub(super) fn weighted(&mut self, weights: &[i64]) -> usize {
        let mut left = self.between(0, weights.iter().sum());
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// So many decimal digits.
    pub(super) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.between(0, 10)).unwrap_or(0))).collect()
    }
}
