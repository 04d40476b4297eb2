//! Dimensions: what divides records into parts, each record into exactly one.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Catalogue, Checked, Field, FieldType, MovedBy, Operand, Rule,
    check::{Check, Quantity},
    memory,
};
use crate::{Action, Date, Error, Instant, Result, access::FieldClass};

/// How many limits, or rules, a dimension may have.
pub const MAX_PARTS: usize = 100;
/// The part of records whose field has no value.
const WITHOUT: &str = "without value";
/// The part of records that meet no rule.
const OTHER: &str = "other";

/// What divides customers into parts, each into exactly one. It has exactly one of `field`, `some` and `parts`.
///
/// A `field` of words, or of yes and no, has a part for each word; numbers, amounts and days are divided by `limits`. Who has no
/// value is a part of its own, and so is who has an amount in another currency than the limits. `some` with `sum` divides by the sum
/// over what belongs to the customer, 0 without any. `parts` divides by rules: the first that holds; who meets none is the part `other`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// What it is called; once in a matrix.
    #[schema(example = "deposits", min_length = 1, max_length = 40)]
    pub name: String,
    /// The field that divides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "kind", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub field: Option<String>,
    /// The collection over which is summed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "accounts", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub some: Option<String>,
    /// What the items of `some` have to meet. All of them count unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub matching: Option<Box<Rule>>,
    /// The amount or number of the collection that is summed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "balance", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub sum: Option<String>,
    /// Where one part ends and the next begins, in rising order, written as the values of rules; a limit belongs to the part that
    /// begins with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<crate::limits::Line>>, min_items = 1, max_items = 100, example = json!(["10000.00 CNY", "50000.00 CNY"]))]
    pub limits: Option<Vec<String>>,
    /// The parts by rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 100)]
    pub parts: Option<Vec<DimensionPart>>,
}

/// A part of a dimension that is divided by rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DimensionPart {
    /// What it is called; once in its dimension.
    #[schema(example = "young", min_length = 1, max_length = 40)]
    pub name: String,
    /// Who belongs to it, unless a part before it has them.
    pub rule: Rule,
}

/// A dimension whose names, limits and rules are right.
#[derive(Clone, Debug)]
pub struct CheckedDimension {
    pub(super) divider: Divider,
    pub(super) today: Date,
    pub(super) table: &'static str,
    /// What its parts are called, in their order.
    pub parts: Vec<String>,
    /// What one has to be allowed to do to ask for it, beside reading the record.
    pub actions: BTreeSet<Action>,
    /// Whether it looks at rows that do not lie with the record when the database is spread over machines.
    pub beyond: bool,
    /// What else than writes of a record changes where it belongs.
    pub moved_by: MovedBy,
}

#[derive(Clone, Debug)]
pub(super) enum Divider {
    /// By the value of a field: the words, or the limits.
    Words(&'static Field, Vec<Operand>),
    Limits(&'static Field, Vec<Operand>),
    /// By a sum, against limits.
    Sums(Quantity, &'static Field, Vec<Operand>),
    /// By the first rule that holds.
    Rules(Vec<Checked>),
}

impl Catalogue {
    /// Holds a dimension against the fields that there are, as [`Catalogue::check`] does a rule.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every fault.
    pub fn check_dimension(
        &self,
        dimension: &Dimension,
        pointer: &str,
        now: Instant,
        shown: impl Fn(FieldClass) -> bool,
    ) -> Result<CheckedDimension> {
        let mut check = Check::new(self, now, &shown);
        check.name(&dimension.name, pointer);
        let divided = match (&dimension.field, &dimension.some, &dimension.parts) {
            (Some(name), None, None) => check.by_field(dimension, name, pointer),
            (None, Some(name), None) => check.by_sum(dimension, name, pointer),
            (None, None, Some(parts)) => check.by_rules(dimension, parts, pointer),
            _ => check.fault(pointer, "one_of", "A dimension has exactly one of field, some and parts."),
        };
        match divided {
            Some((divider, parts)) if check.faults.is_empty() => {
                let Check { actions, beyond, moved_by, .. } = check;
                Ok(CheckedDimension { divider, today: now.date(), table: self.table, parts, actions, beyond, moved_by })
            }
            _ => Err(Error::Invalid(check.faults)),
        }
    }
}

impl Check<'_> {
    /// A name of a dimension or a part: it becomes part of names of cells.
    fn name(&mut self, name: &str, at: &str) {
        if name.trim().is_empty() || name.chars().count() > 40 {
            self.fault::<()>(format!("{at}/name"), "length", "The length must be 1 to 40.");
        } else if let Err(fault) = crate::check::text(name) {
            let message = fault.message.unwrap_or_default();
            self.fault::<()>(format!("{at}/name"), &fault.code, message);
        }
    }

    fn strangers(&mut self, at: &str, strangers: &[(&str, bool)]) -> Option<()> {
        let before = self.faults.len();
        for (name, _) in strangers.iter().filter(|(_, strange)| *strange) {
            self.fault::<()>(format!("{at}/{name}"), "not_allowed", "This belongs to another way of dividing.");
        }
        (self.faults.len() == before).then_some(())
    }

    fn by_field(&mut self, dimension: &Dimension, name: &str, at: &str) -> Option<(Divider, Vec<String>)> {
        let field = self.named(name, &format!("{at}/field"), None)?;
        self.strangers(at, &[("matching", dimension.matching.is_some()), ("sum", dimension.sum.is_some())])?;
        let words: Vec<Operand> = match field.kind {
            FieldType::Word(words) => words.iter().map(|word| Operand::Text((*word).to_owned())).collect(),
            FieldType::Flag => vec![Operand::Flag(true), Operand::Flag(false)],
            FieldType::Number | FieldType::Money(_) | FieldType::Date | FieldType::Instant => {
                let limits = self.limits(dimension, field.kind, at)?;
                let parts = bands(dimension).into_iter().chain([WITHOUT.to_owned()]).collect();
                return Some((Divider::Limits(field, limits), parts));
            }
            FieldType::Text | FieldType::Id | FieldType::Tree(_) => {
                return self.fault(format!("{at}/field"), "wrong_type", "Texts, ids and trees are divided by parts.");
            }
        };
        self.strangers(at, &[("limits", dimension.limits.is_some())])?;
        let name = |word: &Operand| match word {
            Operand::Text(word) => word.clone(),
            Operand::Flag(flag) => flag.to_string(),
            _ => String::new(),
        };
        let parts = words.iter().map(name).chain([WITHOUT.to_owned()]).collect();
        Some((Divider::Words(field, words), parts))
    }

    fn by_sum(&mut self, dimension: &Dimension, name: &str, at: &str) -> Option<(Divider, Vec<String>)> {
        let Some(sum) = &dimension.sum else {
            return self.fault(format!("{at}/sum"), "required", "What is summed?");
        };
        if let Some(matching) = &dimension.matching {
            self.texts(matching, &format!("{at}/matching"));
        }
        let quantity = self.quantity(name, dimension.matching.as_deref(), at, 1)?;
        let field = self.summed(sum, at, quantity.collection)?;
        let limits = self.limits(dimension, field.kind, at)?;
        Some((Divider::Sums(quantity, field, limits), bands(dimension)))
    }

    fn by_rules(&mut self, dimension: &Dimension, parts: &[DimensionPart], at: &str) -> Option<(Divider, Vec<String>)> {
        let strangers = [
            ("matching", dimension.matching.is_some()),
            ("sum", dimension.sum.is_some()),
            ("limits", dimension.limits.is_some()),
        ];
        self.strangers(at, &strangers)?;
        if !(1..=MAX_PARTS).contains(&parts.len()) {
            return self.fault(format!("{at}/parts"), "length", "The length must be 1 to 100.");
        }
        let mut names: Vec<String> = vec![OTHER.to_owned()];
        let mut rules = Vec::with_capacity(parts.len());
        for (place, part) in parts.iter().enumerate() {
            let at = format!("{at}/parts/{place}");
            self.name(&part.name, &at);
            if names.contains(&part.name) {
                self.fault::<()>(format!("{at}/name"), "duplicate", "Another part is called so.");
            }
            names.push(part.name.clone());
            rules.extend(self.whole(&part.rule, &format!("{at}/rule")));
        }
        names.rotate_left(1);
        Some((Divider::Rules(rules), names))
    }

    /// The limits: at least one, in rising order, amounts in one currency.
    fn limits(&mut self, dimension: &Dimension, kind: FieldType, at: &str) -> Option<Vec<Operand>> {
        let at = format!("{at}/limits");
        let limits = dimension.limits.as_deref().unwrap_or_default();
        if !(1..=MAX_PARTS).contains(&limits.len()) {
            return self.fault(at, "length", "The length must be 1 to 100.");
        }
        let read: Vec<Operand> =
            limits.iter().enumerate().filter_map(|(place, text)| self.value(kind, text, &format!("{at}/{place}"))).collect();
        if read.len() < limits.len() {
            return None;
        }
        for (place, pair) in read.windows(2).enumerate() {
            let [one, next] = pair else { continue };
            if !memory::order(one, next).is_some_and(std::cmp::Ordering::is_lt) {
                let message = "Limits rise from one to the next, amounts in one currency.";
                return self.fault(format!("{at}/{}", place + 1), "out_of_order", message);
            }
        }
        Some(read)
    }
}

/// What lies between the limits.
fn bands(dimension: &Dimension) -> Vec<String> {
    let limits = dimension.limits.as_deref().unwrap_or_default();
    let first = limits.first().map(|limit| format!("below {limit}"));
    let between = limits.windows(2).filter_map(|pair| Some(format!("{} to below {}", pair.first()?, pair.last()?)));
    first.into_iter().chain(between).chain(limits.last().map(|limit| format!("from {limit}"))).collect()
}
