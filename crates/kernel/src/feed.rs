//! What the intake hands to the owners of tables, and what they answer: one record in, one outcome out.

use std::collections::BTreeMap;

use crate::{AnyId, FieldError};

/// The system that a record comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its code.
    pub code: String,
    /// How much its word counts per attribute class; the higher wins, 0 unless given.
    pub precedence: BTreeMap<String, i32>,
}

impl Source {
    /// A source with the lowest precedence everywhere.
    #[must_use]
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), precedence: BTreeMap::new() }
    }

    /// How much this source's word counts for a class of attributes.
    #[must_use]
    pub fn precedence(&self, class: &str) -> i32 {
        self.precedence.get(class).copied().unwrap_or(0)
    }
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A record was made.
    Created(AnyId),
    /// A record was changed.
    Updated(AnyId),
    /// The record was known and the same.
    Unchanged(AnyId),
    /// The record breaks rules. Pointers name fields of the record.
    Rejected(Vec<FieldError>),
    /// A record that this one refers to has not come yet.
    Parked {
        /// What it waits for, for example `account:berka:576`.
        waiting_for: String,
    },
}

impl Outcome {
    /// One broken rule.
    #[must_use]
    pub fn rejected(pointer: &str, code: &str, message: impl Into<String>) -> Self {
        Self::Rejected(vec![FieldError::new(pointer, code, message)])
    }
}
