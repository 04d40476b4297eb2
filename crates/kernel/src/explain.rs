//! The one shape in which every automatic decision explains itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Why an automatic decision came out as it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// Name of the rule that decided.
    #[schema(example = "access.can", max_length = 64)]
    pub rule: String,
    /// Version of the rule: a new number whenever the same inputs could come out differently.
    #[schema(example = 1)]
    pub version: i32,
    /// What the rule looked at.
    #[schema(value_type = Object)]
    pub inputs: Map<String, Value>,
    /// The steps in the order in which they were taken.
    #[schema(max_items = 10000)]
    pub steps: Vec<ExplanationStep>,
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExplanationStep {
    /// What was checked.
    #[schema(example = "a role grants customer.read", max_length = 4000)]
    pub check: String,
    /// Whether the check held.
    pub passed: bool,
    /// What was found.
    #[schema(example = "teller grants it within the unit", max_length = 4000)]
    pub detail: String,
}

impl Explanation {
    /// An explanation without steps yet.
    #[must_use]
    pub fn new(rule: &str, version: i32) -> Self {
        Self { rule: rule.to_owned(), version, inputs: Map::new(), steps: Vec::new() }
    }

    /// Records an input.
    #[must_use]
    pub fn input(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.inputs.insert(name.to_owned(), value.into());
        self
    }

    /// Records a step and hands back whether it passed.
    pub fn step(&mut self, check: &str, passed: bool, detail: impl Into<String>) -> bool {
        self.steps.push(ExplanationStep { check: check.to_owned(), passed, detail: detail.into() });
        passed
    }
}
