//! The first rows of several queries together, and how many they have.

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::BigInt,
};

use super::{Db, MultiBackend};

/// See [`heads`].
#[derive(Debug, Clone)]
pub struct Heads<Q> {
    arms: Vec<Q>,
    order: &'static str,
    limit: i64,
}

/// The first `limit` rows of what all `arms` select together, in this order (of columns by their place: `1 DESC`).
///
/// Each arm should be ordered and limited itself: then each is a range of its index, and what is sorted here are as many
/// rows as the limits allow. One `IN (…)` over the same owners would sort all that they ever had. The statement is
/// prepared once for each number of arms; there has to be at least one.
#[must_use]
pub const fn heads<Q>(arms: Vec<Q>, order: &'static str, limit: i64) -> Heads<Q> {
    Heads { arms, order, limit }
}

impl<Q: Query> Query for Heads<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Heads<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> RunQueryDsl<Db> for Heads<Q> {}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Heads<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        for (place, arm) in self.arms.iter().enumerate() {
            out.push_sql(if place == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" });
            arm.walk_ast(out.reborrow())?;
            out.push_sql(&format!(") AS arm_{place}"));
        }
        out.push_sql(" ORDER BY ");
        out.push_sql(self.order);
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, i64>(&self.limit)
    }
}

/// See [`up_to`].
#[derive(Debug, Clone)]
pub struct UpTo<Q> {
    arms: Vec<Q>,
    most: i64,
}

/// How many rows all `arms` have together, counted up to `most`: what lies beyond is not read. There has to be at least one
/// arm.
#[must_use]
pub const fn up_to<Q>(arms: Vec<Q>, most: i64) -> UpTo<Q> {
    UpTo { arms, most }
}

impl<Q> Query for UpTo<Q> {
    type SqlType = BigInt;
}

impl<Q> QueryId for UpTo<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> RunQueryDsl<Db> for UpTo<Q> {}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for UpTo<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql("SELECT COUNT(*) FROM (");
        for (place, arm) in self.arms.iter().enumerate() {
            out.push_sql(if place == 0 { "SELECT 1 FROM (" } else { " UNION ALL SELECT 1 FROM (" });
            arm.walk_ast(out.reborrow())?;
            out.push_sql(&format!(") AS arm_{place}"));
        }
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, i64>(&self.most)?;
        out.push_sql(") AS counted");
        Ok(())
    }
}
