//! The fields that a rule may name, as the crates that own them declare them.

use super::RuleOperator;
use crate::{Action, access::FieldClass};

crate::text_enum! {
    /// What a field holds, and so how it can be compared.
    pub enum RuleFieldType {
        /// One of a few words.
        Word = "word",
        /// A text.
        Text = "text",
        /// A whole number.
        Number = "number",
        /// An amount with its currency: `1000.00 CNY`.
        Money = "money",
        /// A day: `2026-01-31`, `today`, `today-30d`, `today-18y`.
        Date = "date",
        /// An instant: `2026-01-31T08:00:00Z`, or a day, which stands for its beginning in UTC.
        Instant = "instant",
        /// `true` or `false`.
        Flag = "flag",
        /// An id.
        Id = "id",
        /// A node of a tree, such as a branch, by its code.
        Tree = "tree",
    }
}

/// What a field holds, with what is needed to compare it.
#[derive(Clone, Copy, Debug)]
pub enum FieldType {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text.
    Text,
    /// A number.
    Number,
    /// An amount in minor units; its currency is what this SQL says.
    Money(&'static str),
    /// A day.
    Date,
    /// An instant.
    Instant,
    /// Yes or no.
    Flag,
    /// An id.
    Id,
    /// The id of a node of a tree; values are codes.
    Tree(Tree),
}

/// A tree of records with `code` and `path`.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// Its table.
    pub table: &'static str,
    /// The beginning of the kinds of events that change it.
    pub events: &'static str,
}

/// The branches of the bank.
pub const BRANCHES: FieldType = FieldType::Tree(Tree { table: "branches", events: "branch." });

impl FieldType {
    /// What callers call it.
    #[must_use]
    pub const fn name(self) -> RuleFieldType {
        match self {
            Self::Word(_) => RuleFieldType::Word,
            Self::Text => RuleFieldType::Text,
            Self::Number => RuleFieldType::Number,
            Self::Money(_) => RuleFieldType::Money,
            Self::Date => RuleFieldType::Date,
            Self::Instant => RuleFieldType::Instant,
            Self::Flag => RuleFieldType::Flag,
            Self::Id => RuleFieldType::Id,
            Self::Tree(_) => RuleFieldType::Tree,
        }
    }

    /// The ways in which it is compared.
    #[must_use]
    pub const fn operators(self) -> &'static [RuleOperator] {
        use RuleOperator as O;
        match self {
            Self::Word(_) | Self::Id => &[O::Equals, O::OneOf, O::Present, O::Absent],
            Self::Text => &[O::Equals, O::OneOf, O::StartsWith, O::Present, O::Absent],
            Self::Number | Self::Date => {
                &[O::Equals, O::OneOf, O::LessThan, O::AtMost, O::MoreThan, O::AtLeast, O::Between, O::Present, O::Absent]
            }
            Self::Money(_) => &[O::Equals, O::LessThan, O::AtMost, O::MoreThan, O::AtLeast, O::Between, O::Present, O::Absent],
            Self::Instant => &[O::LessThan, O::AtMost, O::MoreThan, O::AtLeast, O::Between, O::Present, O::Absent],
            Self::Flag => &[O::Equals, O::Present, O::Absent],
            Self::Tree(_) => &[O::Equals, O::OneOf, O::Within, O::Present, O::Absent],
        }
    }

    /// Whether items can be summed by it.
    #[must_use]
    pub const fn sums(self) -> bool {
        matches!(self, Self::Number | Self::Money(_))
    }
}

/// A field that rules may name.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in rules.
    pub name: &'static str,
    /// What it holds.
    pub kind: FieldType,
    /// Where it stands: a column, with its table.
    pub sql: &'static str,
    /// Where its table is beside that of the record, as `table WHERE table.customer_id = customers.id`, when it is another one. At
    /// most one row.
    pub beside: Option<&'static str>,
    /// Who may see it.
    pub class: FieldClass,
    /// What it says, in words.
    pub meaning: &'static str,
}

/// What belongs to a record, many to one.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    /// Its name in rules.
    pub name: &'static str,
    /// Its tables, as `FROM` takes them.
    pub from: &'static str,
    /// The column that holds the record's id; never null.
    pub key: &'static str,
    /// Which rows count; `{}` is the day of the question.
    pub of: &'static str,
    /// Where an item may stand in several rows of `from`: where each stands once, for counts and sums.
    pub once: Option<Once>,
    /// The fields of an item.
    pub fields: &'static [Field],
    /// What one has to be allowed to do to ask for it, beside reading the record.
    pub action: Option<Action>,
    /// Whether its rows do not lie with the record when the database is spread over machines.
    pub beyond: bool,
    /// Beginnings of the kinds of events that change what many records have and name none of them.
    pub shared: &'static [&'static str],
    /// What its items are, in words.
    pub meaning: &'static str,
}

/// The items of a record, each once. Fields have the same names of columns as in [`Collection::from`].
#[derive(Clone, Copy, Debug)]
pub struct Once {
    /// The tables, as `FROM` takes them.
    pub from: &'static str,
    /// Which rows are the record's; `{}` is the day of the question.
    pub of: &'static str,
    /// The tables for the items of all records at once, as `FROM` takes them, each item once for each of its records. The columns
    /// of [`Collection::key`] are there; `{}` is the day of the question.
    pub of_all: &'static str,
}

/// All that rules about one kind of record may name.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The table of the records; its key is `id`.
    pub table: &'static str,
    /// The fields of the record itself.
    pub fields: Vec<&'static Field>,
    /// What belongs to it.
    pub collections: Vec<&'static Collection>,
}

impl Catalogue {
    /// One without fields yet, of the records in a table.
    #[must_use]
    pub const fn of(table: &'static str) -> Self {
        Self { table, fields: Vec::new(), collections: Vec::new() }
    }

    /// One with more fields.
    #[must_use]
    pub fn with(mut self, fields: &'static [Field], collections: &'static [Collection]) -> Self {
        self.fields.extend(fields);
        self.collections.extend(collections);
        self
    }

    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name).copied()
    }

    pub(super) fn collection(&self, name: &str) -> Option<&'static Collection> {
        self.collections.iter().find(|collection| collection.name == name).copied()
    }
}
