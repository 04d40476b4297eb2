//! What was learned from the data: how often levels occur, and how frequent values are.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hasher,
};

use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::{Model, record::Value};

/// The most frequent values of a field that are remembered.
pub const MAX_TERMS: usize = 10_000;
/// A value that fewer records have is rare.
pub const MIN_TERM_COUNT: u32 = 5;

/// All that scores depend on, besides the two records. Meant to be kept, with a version, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// For each field of the model, in its order.
    pub fields: Vec<FieldParameters>,
    /// The share of all pairs that are one and the same.
    pub prior: f64,
    /// What it was learned from; null when nothing was yet.
    pub trained_on: Option<TrainedOn>,
}

/// What parameters were learned from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// Records.
    pub records: usize,
    /// Pairs with a common key.
    pub candidates: usize,
    /// Pairs drawn at random.
    pub random_pairs: usize,
    /// Rounds until the estimates stood still.
    pub rounds: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// What was learned of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldParameters {
    /// By level, the share of pairs that are one and the same.
    pub m: Vec<f64>,
    /// By level, the share of pairs that are not.
    pub u: Vec<f64>,
    /// How probable it is that another customer has the same value; absent when not known.
    pub terms: Option<Terms>,
}

/// How frequent the values of a field are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Values that are not rare, as hashes, each with the probability that another customer has it.
    #[serde(serialize_with = "in_order")]
    pub frequent: HashMap<u64, f32>,
    /// The probability for all others.
    pub rare: f32,
}

fn in_order<S: serde::Serializer>(terms: &HashMap<u64, f32>, serializer: S) -> Result<S::Ok, S::Error> {
    terms.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

impl Terms {
    /// The probability that another customer has this value.
    #[must_use]
    pub fn probability(&self, term: u64) -> f64 {
        f64::from(self.frequent.get(&term).copied().unwrap_or(self.rare))
    }
}

impl Parameters {
    /// What is believed before anything was learned: prior and shares from experience, no frequencies.
    #[must_use]
    pub fn default_for(model: &Model) -> Self {
        let field = |levels: &[super::kind::Level]| FieldParameters {
            m: levels.iter().map(|level| level.m).collect(),
            u: levels.iter().map(|level| level.u).collect(),
            terms: None,
        };
        Self { fields: model.fields().iter().map(|of| field(of.kind.levels())).collect(), prior: 1e-6, trained_on: None }
    }

    /// Whether these are parameters of the model.
    #[must_use]
    pub fn fit(&self, model: &Model) -> bool {
        let fits = |(of, field): (&super::Field, &FieldParameters)| {
            let levels = of.kind.levels().len();
            field.m.len() == levels
                && field.u.len() == levels
                && field.m.iter().chain(&field.u).all(|share| *share > 0.0 && *share <= 1.0)
        };
        self.fields.len() == model.fields().len()
            && model.fields().iter().zip(&self.fields).all(fits)
            && self.prior > 0.0
            && self.prior < 1.0
    }
}

/// The terms of a value: the value itself, or each of its words.
pub(super) fn terms(many: bool, value: Value<'_>) -> impl Iterator<Item = u64> {
    let whole = (!many).then(|| hash(if value.native.is_empty() { value.latin } else { value.native }));
    let words = many.then(|| value.latin.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).map(hash));
    whole.into_iter().chain(words.into_iter().flatten())
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}
