//! Locks: on rows, and on what has no row yet.

use diesel::{
    RunQueryDsl, sql_query,
    sql_types::{Array, BigInt},
};

use super::{Conn, Kind, Tx, given};
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
        given::<()>(text, vec![id.cast()]).execute(&mut self.db)?;
        Ok(())
    }
}

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
