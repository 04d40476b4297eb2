//! What belongs to customers: every column by which a row of any table refers to one, and what a merge, a
//! privacy export and an erasure do with it. Each crate declares its own tables; `tests/rules` compares the
//! composed list with the foreign keys of both databases.
//!
//! Conditions are SQL that both databases read alike. In them `r` is the row of the table, and ids stand
//! as `{survivor}`, `{absorbed}`, `{merge}` (in a merge) or `{customer}` (in an erasure), the day as `{today}`.

mod own;
mod statement;

use kehu_kernel::{Conn, Result, Tx};
use serde_json::Value;

use crate::CustomerId;

pub use own::{BELONGINGS, BEYOND};
pub use statement::Statement;

/// What all crates together hold of customers.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    /// The tables whose rows belong to customers.
    pub belongings: &'static [&'static [Belonging]],
    /// All other tables.
    pub beyond: &'static [&'static [Beyond]],
    /// What takes a customer out of records that are not its own. They run before anything of the customer is erased, while
    /// it is still known what it was called.
    pub elsewhere: &'static [Scrubber],
}

impl Registry {
    /// Every column, in the order in which a merge takes them.
    pub fn iter(&self) -> impl Iterator<Item = &'static Belonging> {
        self.belongings.iter().flat_map(|list| list.iter())
    }

    /// Every table without such a column.
    pub fn beyond(&self) -> impl Iterator<Item = &'static Beyond> {
        self.beyond.iter().flat_map(|list| list.iter())
    }
}

/// A table without a column that leads to a customer, and what it may hold of one nevertheless.
#[derive(Clone, Copy, Debug)]
pub struct Beyond {
    /// The table.
    pub table: &'static str,
    /// What it holds.
    pub holding: Holding,
}

/// What a table holds of customers that has no column for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Nothing.
    Nothing,
    /// Its rows are exported as parts of the entries of this section.
    Within(&'static str),
    /// Something that an export does not hand out, for this reason.
    Kept(&'static str),
}

impl Beyond {
    /// A table.
    #[must_use]
    pub const fn new(table: &'static str, holding: Holding) -> Self {
        Self { table, holding }
    }
}

/// A column by which rows refer to customers, and what becomes of the rows.
#[derive(Clone, Copy, Debug)]
pub struct Belonging {
    /// The table.
    pub table: &'static str,
    /// The column that holds the customer's id.
    pub column: &'static str,
    /// The column that names the row; part of the key where rows have no id of their own.
    pub key: &'static str,
    /// Whether rows count their versions.
    pub versioned: bool,
    /// Whether the database holds the reference by a foreign key.
    pub referenced: bool,
    /// What a merge does with rows of the absorbed.
    pub merge: OnMerge,
    /// What an export of all that is held hands out.
    pub export: OnExport,
    /// What an erasure does with the rows.
    pub erasure: OnErasure,
    /// Columns that an export leaves out, and why.
    pub private: &'static [(&'static str, &'static str)],
    /// What stands in the way of an erasure.
    pub blocks: &'static [Block],
}

/// What a merge does with the rows of an absorbed customer.
#[derive(Clone, Copy, Debug)]
pub enum OnMerge {
    /// They go to the survivor, as the rules say.
    Moves(Rules),
    /// They go to the survivor by the hand of the merge itself, which keeps more than one column in step.
    Handled(&'static str),
    /// They stay with the absorbed, for this reason; readers find them by `scope::lineage`.
    Stays(&'static str),
    /// They are computed anew for both, from this.
    Derived(&'static str),
}

/// How rows move that cannot all simply move.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Rows of the survivor (as `r`) that go to the absorbed in exchange, before anything else.
    pub yields: Option<&'static str>,
    /// Values that change so that the rows fit together; with these, before rows move.
    pub fits: &'static [Fit],
    /// Rows of the absorbed (as `r`) that are held back because the survivor has their like.
    pub held_back: Option<&'static str>,
}

impl Rules {
    /// All rows move as they are.
    pub const ALL: Self = Self { yields: None, fits: &[], held_back: None };
}

/// A value that a merge changes so that rows fit together; literals of SQL, equal to those of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// The column.
    pub column: &'static str,
    /// Its value before, a literal of SQL.
    pub from: &'static str,
    /// Its value after, a literal of SQL.
    pub to: &'static str,
    /// The rows (as `r`, of the survivor or the absorbed) that change.
    pub of: &'static str,
}

/// Reads what an export hands out of customers that are one (the survivor and what it absorbed).
pub type Reader = fn(&mut Conn, &[CustomerId]) -> Result<Vec<Value>>;

/// Scrubs the rows of a customer; hands back how many.
pub type Scrubber = fn(&mut Tx<'_>, CustomerId) -> Result<u64>;

/// What an export of all that is held about a customer hands out.
#[derive(Clone, Copy, Debug)]
pub enum OnExport {
    /// All columns of all rows, but for some.
    Rows {
        /// The section of the export.
        section: &'static str,
        /// Columns that are left out: hashes, sealed numbers, what the bank keeps for itself.
        without: &'static [&'static str],
    },
    /// What the owner of the table reads.
    Read {
        /// The section of the export.
        section: &'static str,
        /// How.
        read: Reader,
    },
    /// Nothing, for this reason.
    No(&'static str),
}

/// What an erasure does with the rows of a customer.
#[derive(Clone, Copy, Debug)]
pub enum OnErasure {
    /// They are deleted.
    Deleted,
    /// Columns are overwritten by expressions of SQL, in which `{today}` may stand; the rows stay.
    Scrubbed(&'static [(&'static str, &'static str)]),
    /// The owner of the table scrubs them.
    By(Scrubber),
    /// They stay, for this reason.
    Kept(&'static str),
}

/// What stands in the way of an erasure.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// The rows (as `r`) that do.
    pub when: &'static str,
    /// The problem's code.
    pub code: &'static str,
    /// Why, in words.
    pub why: &'static str,
}

impl Belonging {
    /// A column with a foreign key to customers, of a table whose rows have an id and a version: rows move, are
    /// exported whole under the table's name and deleted by an erasure, until something else is said.
    #[must_use]
    pub const fn new(table: &'static str, column: &'static str) -> Self {
        Self {
            table,
            column,
            key: "id",
            versioned: true,
            referenced: true,
            merge: OnMerge::Moves(Rules::ALL),
            export: OnExport::Rows { section: table, without: &[] },
            erasure: OnErasure::Deleted,
            private: &[],
            blocks: &[],
        }
    }

    /// Rows are named by this column.
    #[must_use]
    pub const fn keyed_by(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    /// Rows count no versions.
    #[must_use]
    pub const fn unversioned(self) -> Self {
        Self { versioned: false, ..self }
    }

    /// There is no foreign key.
    #[must_use]
    pub const fn unreferenced(self) -> Self {
        Self { referenced: false, ..self }
    }

    /// What a merge does.
    #[must_use]
    pub const fn on_merge(self, merge: OnMerge) -> Self {
        Self { merge, ..self }
    }

    /// What an export does.
    #[must_use]
    pub const fn on_export(self, export: OnExport) -> Self {
        Self { export, ..self }
    }

    /// Columns that an export leaves out, and why; besides those that hold bytes.
    #[must_use]
    pub const fn keeping_back(self, private: &'static [(&'static str, &'static str)]) -> Self {
        Self { private, ..self }
    }

    /// What an erasure does.
    #[must_use]
    pub const fn on_erasure(self, erasure: OnErasure) -> Self {
        Self { erasure, ..self }
    }

    /// What stands in the way of an erasure.
    #[must_use]
    pub const fn blocked_by(self, blocks: &'static [Block]) -> Self {
        Self { blocks, ..self }
    }
}
