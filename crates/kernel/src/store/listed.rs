//! `column IN ('a', 'b')` for words that the program itself brings.

use diesel::{
    AppearsOnTable, Expression, QueryResult, SelectableExpression,
    expression::{ValidGrouping, is_aggregate},
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::Bool,
};

use super::MultiBackend;

/// See [`listed`].
#[derive(Debug, Clone)]
pub struct Listed<C> {
    column: C,
    words: Vec<&'static str>,
}

/// Whether a column holds one of these words. They stand in the statement itself, so that it is prepared once for each
/// list, which `eq_any` never is.
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

impl<C: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Listed<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.column.walk_ast(out.reborrow())?;
        let words: Vec<String> = self.words.iter().map(|word| format!("'{}'", word.replace('\'', "''"))).collect();
        // An empty list holds nothing; SQL has no word for it.
        let list = if words.is_empty() { "NULL".to_owned() } else { words.join(", ") };
        out.push_sql(&format!(" IN ({list})"));
        Ok(())
    }
}
