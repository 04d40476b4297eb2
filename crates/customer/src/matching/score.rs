//! How probable it is that two records are one customer, and why.

use serde::Serialize;

use super::{
    Model, Parameters, Record,
    compare::{self, Levels},
    kind::{EXACT, MISSING},
    model::MAX_FIELDS,
    parameters::{self, Terms},
    record::{Fields, Value, Values},
};

/// The probability that two records are one customer, with the weight of every field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The probability, 0 to 1.
    pub probability: f64,
    /// The logarithm (base 2) of the odds: the prior and all weights together.
    pub weight: f64,
    /// What the prior alone gives.
    pub prior_weight: f64,
    /// What each field adds, in the model's order.
    pub waterfall: Vec<Step>,
}

/// What a field adds to a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// Name of the field.
    pub field: String,
    /// The level of agreement.
    pub level: &'static str,
    /// Whether both records have a value.
    pub comparable: bool,
    /// The logarithm (base 2) of the Bayes factor of the level.
    pub weight: f64,
    /// How much more (or less) it counts that this very value is rare (or frequent).
    pub term_adjustment: f64,
}

/// A model with its parameters, made ready to score many pairs.
#[derive(Debug)]
pub struct Scorer<'a> {
    model: &'a Model,
    fields: Vec<Weights<'a>>,
    prior: f64,
}

/// A record ready to be weighed against many others.
#[derive(Debug)]
pub struct Probe<'s, 'a, 'r> {
    scorer: &'s Scorer<'a>,
    fields: Fields<'r>,
    /// The most that the fields from each place of the model's order on can add, whatever the other record.
    most: [f64; MAX_FIELDS + 1],
}

impl Probe<'_, '_, '_> {
    /// The weight of the pair, or nothing if it is below the floor: ends as soon as that is certain.
    #[must_use]
    pub fn weight(&self, other: &Record, floor: f64) -> Option<f64> {
        let mut weight = self.scorer.prior;
        let mut later = self.most.iter().skip(1);
        compare::compare(self.scorer.model, &self.fields, &other.unpacked(), |index, level, one, other| {
            if let Some(field) = self.scorer.fields.get(index) {
                weight += field.weight(level) + field.adjustment(level, one, other);
            }
            weight + later.next().copied().unwrap_or(0.0) >= floor
        });
        (weight >= floor).then_some(weight)
    }
}

#[derive(Debug)]
struct Weights<'a> {
    levels: Vec<f64>,
    u_exact: f64,
    many: bool,
    terms: Option<&'a Terms>,
}

impl<'a> Scorer<'a> {
    /// Makes parameters ready; those of another model give the weight nothing for fields they do not have.
    #[must_use]
    pub fn new(model: &'a Model, parameters: &'a Parameters) -> Self {
        let weights = |(of, field): (&super::Field, &'a super::FieldParameters)| Weights {
            levels: field
                .m
                .iter()
                .zip(&field.u)
                .enumerate()
                .map(|(level, (m, u))| if level == 0 { 0.0 } else { (m / u).log2() })
                .collect(),
            u_exact: field.u.get(usize::from(EXACT)).copied().unwrap_or(1.0),
            many: of.kind.has_many_terms(),
            terms: field.terms.as_ref(),
        };
        let fields: Vec<Weights<'a>> = model.fields().iter().zip(&parameters.fields).map(weights).collect();
        Self { model, fields, prior: (parameters.prior / (1.0 - parameters.prior)).log2() }
    }

    /// The score with its reasons.
    #[must_use]
    pub fn explain(&self, left: &Record, right: &Record) -> Score {
        let mut steps = Vec::with_capacity(self.fields.len());
        let mut weight = self.prior;
        compare::compare(self.model, &left.unpacked(), &right.unpacked(), |index, level, one, other| {
            if let Some((field, of)) = self.fields.get(index).zip(self.model.fields().get(index)) {
                let (plain, terms) = (field.weight(level), field.adjustment(level, one, other));
                weight += plain + terms;
                let step = Step {
                    field: of.name.clone(),
                    level: of.kind.levels().get(usize::from(level)).map_or("", |level| level.name),
                    comparable: level != MISSING,
                    weight: plain,
                    term_adjustment: terms,
                };
                steps.push((index, step));
            }
            true
        });
        steps.sort_by_key(|(index, _)| *index);
        let waterfall = steps.into_iter().map(|(_, step)| step).collect();
        Score { probability: probability(weight), weight, prior_weight: self.prior, waterfall }
    }

    /// Ready to weigh one record against many others.
    #[must_use]
    pub fn probe<'r>(&self, record: &'r Record) -> Probe<'_, 'a, 'r> {
        let fields = record.unpacked();
        let mut most = [0.0; MAX_FIELDS + 1];
        let mut sum = 0.0;
        for (place, index) in self.model.order().iter().enumerate().rev() {
            let across = self.model.name_parts().is_some_and(|(given, family)| [given, family].contains(index));
            let of = self.fields.get(*index).zip(fields.get(*index));
            sum += of.map_or(0.0, |(field, values)| field.most(*values, across));
            if let Some(slot) = most.get_mut(place) {
                *slot = sum;
            }
        }
        Probe { scorer: self, fields, most }
    }

    /// The weight of one pair alone.
    #[must_use]
    pub fn weight(&self, left: &Record, right: &Record) -> f64 {
        self.probe(left).weight(right, f64::NEG_INFINITY).unwrap_or(f64::NEG_INFINITY)
    }

    /// What the frequencies of values that are the same add, without the average.
    pub(super) fn rarity(&self, levels: &Levels, left: &Record, right: &Record) -> f64 {
        let fields = self.model.fields().iter().zip(&self.fields).zip(levels).enumerate();
        let rarity = |(index, ((of, field), _)): (usize, ((&super::Field, &Weights<'_>), &u8))| {
            let (level, one, other) = compare::best(of.kind, left.values(index), right.values(index));
            field.rarity(level, one, other)
        };
        fields.filter(|(_, (_, level))| **level == EXACT).map(rarity).sum()
    }
}

impl Weights<'_> {
    fn weight(&self, level: u8) -> f64 {
        self.levels.get(usize::from(level)).copied().unwrap_or(0.0)
    }

    /// Takes the average frequency of values that agree out of the weight, and that of this value in.
    fn adjustment(&self, level: u8, one: Value<'_>, other: Value<'_>) -> f64 {
        if level == EXACT && self.terms.is_some() { self.u_exact.log2() + self.rarity(level, one, other) } else { 0.0 }
    }

    /// How rare it is that another customer has the same value.
    fn rarity(&self, level: u8, one: Value<'_>, other: Value<'_>) -> f64 {
        let Some(terms) = self.terms.filter(|_| level == EXACT) else { return 0.0 };
        let probability = |value| parameters::terms(self.many, value).map(|term| terms.probability(term)).product::<f64>();
        let least = if self.many { MANY_LEAST } else { 0.0 };
        let agreed = if one == other { probability(one) } else { probability(one).max(probability(other)) };
        -agreed.max(least).log2()
    }

    /// The most that these values can add, whatever they are compared with.
    fn most(&self, values: Values<'_>, across: bool) -> f64 {
        if values.is_empty() && !across {
            return 0.0;
        }
        let rarest = values.map(|value| self.rarity(EXACT, value, value)).fold(0.0, f64::max);
        let same = if self.terms.is_some() { self.u_exact.log2() + rarest } else { 0.0 };
        let exact = self.weight(EXACT) + same;
        self.levels
            .iter()
            .enumerate()
            .filter(|(level, _)| *level != usize::from(EXACT))
            .map(|(_, weight)| *weight)
            .fold(exact.max(0.0), f64::max)
    }
}

/// Several words together are never thought less probable than this.
const MANY_LEAST: f64 = 1e-9;

/// The probability of a weight.
#[must_use]
pub fn probability(weight: f64) -> f64 {
    1.0 / (1.0 + (-weight).exp2())
}

/// The weight of a probability.
#[must_use]
pub fn weight_of(probability: f64) -> f64 {
    (probability / (1.0 - probability)).log2()
}

/// How probable it is that two records are one customer, and why. For many pairs use a [`Scorer`].
#[must_use]
pub fn score(model: &Model, parameters: &Parameters, left: &Record, right: &Record) -> Score {
    Scorer::new(model, parameters).explain(left, right)
}
