//! Migrations: two trees of the same names, embedded in the program.

use diesel::migration::{Migration, MigrationSource};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::{Backend, Kind, connect::open_bare, distributed};
use crate::{Error, Result};

const POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Internal(error)
}

/// Applies what is missing and returns its names. Several servers may call this at once: PostgreSQL
/// queues them by an advisory lock, SQLite by its write lock.
///
/// # Errors
/// The database's, with everything before the failing migration applied.
pub fn up(url: &str) -> Result<Vec<String>> {
    match open_bare(url)? {
        Kind::Sqlite(mut conn) => applied(conn.run_pending_migrations(SQLITE)),
        Kind::Postgres(mut conn) => {
            use diesel::connection::SimpleConnection;
            conn.batch_execute("SELECT pg_advisory_lock(5263716)")?;
            let names = applied(conn.run_pending_migrations(POSTGRES));
            conn.batch_execute("SELECT pg_advisory_unlock(5263716)")?;
            names
        }
    }
}

/// Takes everything back, newest first; for tests and for `kehu migrate --down`.
///
/// # Errors
/// The database's; [`Error::Invalid`] for a distributed one.
pub fn down(url: &str) -> Result<Vec<String>> {
    match open_bare(url)? {
        Kind::Sqlite(mut conn) => applied(conn.revert_all_migrations(SQLITE)),
        Kind::Postgres(mut conn) => {
            if distributed::is_distributed(&mut conn)? {
                return Err(Error::invalid("/down", "distributed", "a distributed database is not taken back but dropped"));
            }
            applied(conn.revert_all_migrations(POSTGRES))
        }
    }
}

/// The migrations that this program knows and the database lacks.
///
/// # Errors
/// The database's.
pub fn pending(url: &str) -> Result<Vec<String>> {
    match open_bare(url)? {
        Kind::Sqlite(mut conn) => Ok(names(&conn.pending_migrations(SQLITE).map_err(failed)?)),
        Kind::Postgres(mut conn) => Ok(names(&conn.pending_migrations(POSTGRES).map_err(failed)?)),
    }
}

/// The name of the newest migration that this program knows.
#[must_use]
pub fn newest(backend: Backend) -> Option<String> {
    let newest = match backend {
        Backend::Sqlite => MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE).ok().map(|all| names(&all)),
        Backend::Postgres => MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).ok().map(|all| names(&all)),
    };
    newest.and_then(|all| all.into_iter().max())
}

fn applied(versions: diesel::migration::Result<Vec<diesel::migration::MigrationVersion<'_>>>) -> Result<Vec<String>> {
    Ok(versions.map_err(failed)?.iter().map(ToString::to_string).collect())
}

fn names<DB: diesel::backend::Backend>(migrations: &[Box<dyn Migration<DB>>]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}
