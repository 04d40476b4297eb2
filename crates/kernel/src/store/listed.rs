//! `column IN (…)` for lists that diesel would never prepare.

use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    backend::Backend,
    expression::{ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    serialize::ToSql,
    sql_types::{Bool, HasSqlType},
};

use super::sql;
use crate::Id;

/// See [`listed`].
#[derive(Debug, Clone)]
pub struct Listed<C> {
    column: C,
    words: Vec<&'static str>,
}

/// Whether a column holds one of these words, looked at row by row: an index is not searched for them, because PostgreSQL
/// would give up the order of the index for that, and sort. They stand in the statement itself, so that it is prepared once
/// for each list, which `eq_any` never is.
pub const fn listed<C>(column: C, words: Vec<&'static str>) -> Listed<C> {
    Listed { column, words }
}

impl<C: Expression> Expression for Listed<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<T>, T> AppearsOnTable<T> for Listed<C> {}

impl<C: SelectableExpression<T>, T> SelectableExpression<T> for Listed<C> {}

impl<C, G> ValidGrouping<G> for Listed<C> {
    type IsAggregate = is_aggregate::No;
}

impl<C> QueryId for Listed<C> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Listed<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        let words: Vec<String> = self.words.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
        // An empty list holds nothing; SQL has no word for it.
        let list = if words.is_empty() { "NULL".to_owned() } else { words.join(", ") };
        out.push_sql(&format!(" || '' IN ({list})"));
        Ok(())
    }
}

/// See [`among`].
#[derive(Debug, Clone)]
pub struct Among<C, T: 'static> {
    column: C,
    ids: Vec<Id<T>>,
}

/// Of lists that are longer than this no statement is kept: there would be one for each length.
pub(super) const SHORT: usize = 16;

/// Whether a column holds one of these ids. Unlike `eq_any` it is prepared, once for each number of ids, as long as they are
/// few: for lists that are mostly short, such as the people of a team, or the one customer that a request is about.
pub const fn among<C, T>(column: C, ids: Vec<Id<T>>) -> Among<C, T> {
    Among { column, ids }
}

impl<C: Expression, T> Expression for Among<C, T> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<S>, T, S> AppearsOnTable<S> for Among<C, T> {}

impl<C: SelectableExpression<S>, T, S> SelectableExpression<S> for Among<C, T> {}

impl<C, T, G> ValidGrouping<G> for Among<C, T> {
    type IsAggregate = is_aggregate::No;
}

impl<C, T> QueryId for Among<C, T> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, T, DB> QueryFragment<DB> for Among<C, T>
where
    C: QueryFragment<DB>,
    DB: Backend + HasSqlType<sql::Uuid>,
    Id<T>: ToSql<sql::Uuid, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.ids.len() > SHORT {
            out.unsafe_to_cache_prepared();
        }
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        for (place, id) in self.ids.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<sql::Uuid, Id<T>>(id)?;
        }
        // An empty list holds nothing; SQL has no word for it.
        out.push_sql(if self.ids.is_empty() { "NULL)" } else { ")" });
        Ok(())
    }
}
