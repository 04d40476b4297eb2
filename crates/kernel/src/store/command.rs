//! Commands that are given again and again: each is prepared once a connection.

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, QueryFragment, QueryId},
};

use super::{Db, MultiBackend};

/// One command of SQL without values, such as `BEGIN`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Command(pub &'static str);

impl QueryFragment<MultiBackend> for Command {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql(self.0);
        Ok(())
    }
}

/// The text tells them apart.
impl QueryId for Command {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<Db> for Command {}
