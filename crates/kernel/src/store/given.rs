//! Statements that are written as text and keep being prepared, which diesel's own never are, nor its changes of rows.

use std::{borrow::Cow, marker::PhantomData};

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{BigInt, Binary, Bool, Integer, Text},
};

use super::{Db, MultiBackend, listed::SHORT, sql};
use crate::{AnyId, BasisPoints, Date, Id, Instant};

/// See [`given`].
#[derive(Debug, Clone)]
pub struct Given<S> {
    text: Cow<'static, str>,
    values: Vec<Value>,
    rows: PhantomData<S>,
}

/// A value in a statement.
#[derive(Debug, Clone)]
pub enum Value {
    /// An id.
    Id(AnyId),
    /// A ratio.
    Ratio(i32),
    /// A number.
    Number(i64),
    /// A moment.
    Instant(Instant),
    /// A day.
    Date(Date),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A word.
    Word(&'static str),
    /// A text.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

impl Value {
    /// Writes it into a statement as a bound value.
    ///
    /// # Errors
    /// diesel's.
    pub fn push<'b>(&'b self, out: &mut AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        match self {
            Self::Id(id) => out.push_bind_param::<sql::Uuid, AnyId>(id),
            Self::Ratio(ratio) => out.push_bind_param::<Integer, i32>(ratio),
            Self::Number(number) => out.push_bind_param::<BigInt, i64>(number),
            Self::Instant(moment) => out.push_bind_param::<sql::Instant, Instant>(moment),
            Self::Date(date) => out.push_bind_param::<diesel::sql_types::Date, Date>(date),
            Self::Bytes(bytes) => out.push_bind_param::<Binary, Vec<u8>>(bytes),
            Self::Word(word) => out.push_bind_param::<Text, &str>(word),
            Self::Text(text) => out.push_bind_param::<Text, String>(text),
            Self::Flag(flag) => out.push_bind_param::<Bool, bool>(flag),
        }
    }
}

impl<T> From<Id<T>> for Value {
    fn from(id: Id<T>) -> Self {
        Self::Id(id.cast())
    }
}

impl From<BasisPoints> for Value {
    fn from(ratio: BasisPoints) -> Self {
        Self::Ratio(ratio.0)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<Instant> for Value {
    fn from(moment: Instant) -> Self {
        Self::Instant(moment)
    }
}

impl From<Date> for Value {
    fn from(date: Date) -> Self {
        Self::Date(date)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

/// Places for the values of a list of rows, for `UPDATE … FROM (VALUES {list}) AS v`: `({}, {}), ({}, {})`. The columns are then
/// `v.column1`, `v.column2` on both databases.
#[must_use]
pub fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["{}"; columns].join(", "));
    vec![row; rows].join(", ")
}

/// A statement with values in the places of `{}`, in their order; `S` are the types of the columns that it selects. It is
/// prepared once for each text as long as the values are few.
#[must_use]
pub fn given<S>(text: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Given<S> {
    Given { text: text.into(), values, rows: PhantomData }
}

impl<S> QueryFragment<MultiBackend> for Given<S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        if self.values.len() > SHORT {
            out.unsafe_to_cache_prepared();
        }
        // By one character, which is found much faster than two are.
        let mut parts = self.text.split('{');
        out.push_sql(parts.next().unwrap_or_default());
        for (value, part) in self.values.iter().zip(parts) {
            value.push(&mut out)?;
            out.push_sql(part.strip_prefix('}').unwrap_or(part));
        }
        Ok(())
    }
}

impl<S> Query for Given<S> {
    type SqlType = S;
}

/// The text tells them apart.
impl<S> QueryId for Given<S> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S> RunQueryDsl<Db> for Given<S> {}
