//! Rules: conditions on records, written as data.
//!
//! One type serves searches, groups, policies and filters. A [`Rule`] is what callers write; [`Catalogue::check`] holds it
//! against the fields that there are and makes a [`Checked`] of it, which becomes bound SQL ([`Checked::condition`]) and is
//! evaluated on a record in memory ([`Checked::holds`]), with equal results.
//!
//! Every condition is true or false, never unknown: a field without a value meets no comparison, so `not` around the comparison
//! holds for it. A comparison of an amount holds only for amounts in its currency.

mod catalogue;
mod check;
mod condition;
mod declare;
mod dimension;
mod divided;
mod memory;
mod value;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use catalogue::{BRANCHES, Catalogue, Collection, Field, FieldType, Once, RuleFieldType, Tree};
pub use check::{Checked, MovedBy};
pub use condition::{Condition, Extent};
pub use dimension::{CheckedDimension, Dimension, DimensionPart};
pub use divided::{Divided, divided};
pub use memory::Record;
pub use value::Operand;

/// How deep rules may be nested.
pub const MAX_DEPTH: usize = 8;
/// How many conditions a rule may have, of all depths together.
pub const MAX_CONDITIONS: usize = 64;
/// How many values a condition may have.
pub const MAX_VALUES: usize = 100;

crate::text_enum! {
    /// How a field is compared.
    pub enum RuleOperator {
        /// Is this value.
        Equals = "equals",
        /// Is one of these values.
        OneOf = "one_of",
        /// A text that begins with this one, letter by letter.
        StartsWith = "starts_with",
        /// Less, or earlier.
        LessThan = "less_than",
        /// Not more, or not later.
        AtMost = "at_most",
        /// More, or later.
        MoreThan = "more_than",
        /// Not less, or not earlier.
        AtLeast = "at_least",
        /// From the first value to the second, both included.
        Between = "between",
        /// The branch with this code, or one below it.
        Within = "within",
        /// Has a value.
        Present = "present",
        /// Has no value.
        Absent = "absent",
    }
}

/// A condition on a record. It has exactly one of `all`, `any`, `not`, `some` and `field`.
///
/// A condition on a `field` has an `operator`, and `values` unless the operator is `present` or `absent`. A field without a value
/// meets no comparison, so `not` around the comparison holds for it. At most 64 conditions, at most 8 deep.
///
/// Values are texts. Days: `2026-01-31`, `today`, or counted from today: `today-30d`, `today+2w`, `today-6m`, `today-18y`. Instants:
/// `2026-01-31T08:00:00Z`, or a day, which stands for its beginning in UTC. Amounts: `1000.00 CNY`; a comparison holds only for
/// amounts in that currency. Numbers: `3`. Yes or no: `true`, `false`. `get_rule_fields` names the fields with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// All of these hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 64, no_recursion)]
    pub all: Option<Vec<Self>>,
    /// At least one of these holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 64, no_recursion)]
    pub any: Option<Vec<Self>>,
    /// This does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub not: Option<Box<Self>>,
    /// Some of what belongs to the record meets `matching`: a collection, such as `accounts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "accounts", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub some: Option<String>,
    /// What the items of `some` have to meet, with fields of the collection. All of them count unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub matching: Option<Box<Self>>,
    /// How many items of `some` there must be at least; 1 unless given. Not together with `sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100_000)]
    pub at_least: Option<i64>,
    /// An amount or number of the collection: its sum over the items, 0 without any, is what `operator` and `values` compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "balance", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub sum: Option<String>,
    /// The field that is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "birth_date", min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]*$")]
    pub field: Option<String>,
    /// How it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<RuleOperator>,
    /// What it is compared with: one value, two for `between`, one or more for `one_of`, none for `present` and `absent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<crate::limits::Line>>, max_items = 100, example = json!(["today-18y"]))]
    pub values: Option<Vec<String>>,
}
