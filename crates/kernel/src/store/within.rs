//! `column IN (sub-query)` and its like row by row, for sub-queries whose conditions are boxed.

use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    expression::{ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::Bool,
};

use super::MultiBackend;

/// See [`within`] and [`found_in`].
#[derive(Debug, Clone)]
pub struct Within<C, Q> {
    column: C,
    query: Q,
    /// What the sub-query calls its column, if it is looked into row by row.
    key: Option<&'static str>,
}

/// `column IN (query)`. Diesel's `eq_any` wants to write the sub-query for either database by itself, which
/// it cannot once a condition inside is boxed for both; this asks it to write it for both at once.
///
/// The sub-query is a boxed one that selects the one column to compare with.
pub const fn within<C, Q>(column: C, query: Q) -> Within<C, Q> {
    Within { column, query, key: None }
}

/// Whether the sub-query has a row whose `key` is this column's value, looked up row by row. What [`within`] means, for few
/// rows and sub-queries that would be long: SQLite writes the result of `IN (query)` down, and PostgreSQL does below an `OR`.
///
/// The sub-query is a boxed one that selects the one column that is called `key`.
pub const fn found_in<C, Q>(column: C, key: &'static str, query: Q) -> Within<C, Q> {
    Within { column, query, key: Some(key) }
}

impl<C: Expression, Q> Expression for Within<C, Q> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, Q, T> AppearsOnTable<T> for Within<C, Q> {}

impl<C: SelectableExpression<T>, Q, T> SelectableExpression<T> for Within<C, Q> {}

impl<C, Q, G> ValidGrouping<G> for Within<C, Q> {
    type IsAggregate = is_aggregate::No;
}

impl<C, Q> QueryId for Within<C, Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: QueryFragment<MultiBackend>, Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Within<C, Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let Some(key) = self.key else {
            self.column.walk_ast(out.reborrow())?;
            out.push_sql(" IN (");
            self.query.walk_ast(out.reborrow())?;
            out.push_sql(")");
            return Ok(());
        };
        out.push_sql("EXISTS (SELECT 1 FROM (");
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(") AS candidates WHERE candidates.");
        out.push_sql(key);
        out.push_sql(" = ");
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(")");
        Ok(())
    }
}
