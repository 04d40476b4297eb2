//! Locks on what has no row yet.

use diesel::{
    RunQueryDsl, sql_query,
    sql_types::{Array, BigInt},
};

use super::{Kind, Tx};
use crate::Result;

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
