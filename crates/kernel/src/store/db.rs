//! The connection that every query is written against.
#![expect(missing_docs, reason = "diesel's derive writes public items without documentation")]

use diesel::{PgConnection, SqliteConnection};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub enum Db {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// The server database.
    Postgres(PgConnection),
}
