//! Locks: on rows, and on what has no row yet.

use diesel::{
    QueryResult, RunQueryDsl,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    query_dsl::LoadQuery,
    sql_query,
    sql_types::{Array, BigInt},
};

use super::{Conn, Db, Kind, MultiBackend, Tx, given};
use crate::{Id, Result};

impl Conn {
    /// Waits until no other transaction changes the row of this id, and keeps others from changing it until the own one ends;
    /// what is read of it from now on stays true so long. Of a row that is not there, nothing. SQLite has one writer, which
    /// holds everything.
    ///
    /// # Errors
    /// The database's.
    pub fn hold_row<T>(&mut self, table: &'static str, id: Id<T>) -> Result<()> {
        let text = match &self.db.kind {
            Kind::Sqlite(_) => return Ok(()),
            // Rows of several machines are only locked by a change of them; here it is none.
            Kind::Postgres(_) if self.distributed => format!("UPDATE {table} SET version = version WHERE id = {{}}"),
            Kind::Postgres(_) => format!("SELECT id FROM {table} WHERE id = {{}} FOR NO KEY UPDATE"),
        };
        given::<()>(text, vec![id.into()]).execute(&mut self.db)?;
        Ok(())
    }

    /// The one row that a statement finds, held as by [`Conn::hold_row`], in one way to the database; on several machines the
    /// caller holds it beforehand.
    ///
    /// # Errors
    /// The database's; [`crate::Error::NotFound`] without such a row.
    pub fn found_held<'q, Q, T>(&mut self, query: Q) -> Result<T>
    where
        Q: LoadQuery<'q, Db, T>,
        Held<Q>: LoadQuery<'q, Db, T>,
    {
        Ok(match &self.db.kind {
            Kind::Postgres(_) if !self.distributed => Held(query).get_result(&mut self.db)?,
            _ => query.get_result(&mut self.db)?,
        })
    }
}

/// A statement of PostgreSQL that holds the rows which it finds.
#[derive(Debug, Clone, QueryId)]
pub struct Held<Q>(Q);

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Held<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" FOR NO KEY UPDATE");
        Ok(())
    }
}

impl<Q: Query> Query for Held<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<Db> for Held<Q> {}

impl Tx<'_> {
    /// Waits until no other transaction holds any of these numbers, and holds them until its own end: what was looked
    /// up under them and not found is still missing when it is written. Everybody takes them in ascending order, so
    /// that nobody waits in a circle. SQLite has one writer, which holds everything.
    ///
    /// # Errors
    /// The database's.
    pub fn hold(&mut self, numbers: &[i64]) -> Result<()> {
        if let Kind::Postgres(conn) = &mut self.db.kind {
            sql_query("SELECT pg_advisory_xact_lock(n) FROM (SELECT DISTINCT n FROM unnest($1) AS n ORDER BY n) AS sorted")
                .bind::<Array<BigInt>, _>(numbers)
                .execute(conn)?;
        }
        Ok(())
    }
}
