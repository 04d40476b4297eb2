//! PostgreSQL on many machines: the optional step that spreads the tables over the nodes of Citus, and what the program does
//! otherwise once it was taken. `migrations/citus/README.md` says which table goes where, and why.

use diesel::{
    OptionalExtension, PgConnection, QueryableByName, RunQueryDsl,
    connection::SimpleConnection,
    sql_query,
    sql_types::{Bool, Text},
};

use super::{Backend, Kind, Tx, connect::open_bare, given, places};
use crate::{Error, Result};

const STATEMENTS: &str = include_str!("../../../../migrations/citus/statements.sql");

/// What was carried out already.
const RECORD: &str =
    "CREATE TABLE IF NOT EXISTS __kehu_distribution (statement text PRIMARY KEY, applied_at timestamptz NOT NULL)";

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    statement: String,
}

/// The statements of the step, in their order.
pub fn statements() -> impl Iterator<Item = &'static str> {
    let code = |line: &&str| !line.is_empty() && !line.starts_with("--");
    STATEMENTS.lines().filter(code).map(|line| line.trim_end_matches(';'))
}

/// Refuses what cannot be spread, before anything is changed.
///
/// # Errors
/// [`Error::Invalid`] for SQLite, and for PostgreSQL whose server does not offer the extension.
pub fn require(url: &str) -> Result<()> {
    let refused = |code, message| Err(Error::invalid("/distributed", code, message));
    if Backend::of_url(url) == Some(Backend::Sqlite) {
        return refused("backend", "SQLite lives on one machine: only PostgreSQL with the extension citus can be distributed");
    }
    let mut conn = postgres(url)?;
    if !ask(&mut conn, "SELECT EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'citus') AS yes")? {
        let message = "this PostgreSQL server does not offer the extension citus: install it there and on all nodes, add it to \
                       shared_preload_libraries, and join the nodes (citus_add_node)";
        return refused("extension", message);
    }
    if !ask(&mut conn, "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') AS yes")? {
        return refused("extension", "the extension citus is not in this database: CREATE EXTENSION citus, then join the nodes");
    }
    Ok(())
}

/// Carries out what was not carried out yet, a transaction each; how many statements that were. What stopped half way goes on
/// where it stopped.
///
/// # Errors
/// The database's, with everything before the failing statement done.
pub fn apply(url: &str) -> Result<usize> {
    let mut conn = postgres(url)?;
    conn.batch_execute("SELECT pg_advisory_lock(5263716)")?;
    conn.batch_execute(RECORD)?;
    let done: Vec<Applied> = sql_query("SELECT statement FROM __kehu_distribution").load(&mut conn)?;
    let mut applied = 0;
    for statement in statements().filter(|statement| !done.iter().any(|row| row.statement == *statement)) {
        // Several statements that are sent as one are one transaction.
        let note = "INSERT INTO __kehu_distribution (statement, applied_at) VALUES";
        conn.batch_execute(&format!("{statement}; {note} ('{}', now())", statement.replace('\'', "''")))?;
        applied += 1;
    }
    conn.batch_execute("SELECT pg_advisory_unlock(5263716)")?;
    Ok(applied)
}

/// Whether a database was distributed, or was begun to be.
pub(super) fn is_distributed(conn: &mut PgConnection) -> Result<bool> {
    ask(conn, "SELECT to_regclass('held_keys') IS NOT NULL AS yes")
}

fn ask(conn: &mut PgConnection, question: &str) -> Result<bool> {
    let answer: Option<Answer> = sql_query(question).get_result(conn).optional()?;
    Ok(answer.is_some_and(|answer| answer.yes))
}

fn postgres(url: &str) -> Result<PgConnection> {
    match open_bare(url)? {
        Kind::Postgres(conn) => Ok(conn),
        Kind::Sqlite(_) => Err(Error::invalid("/distributed", "backend", "only PostgreSQL can be distributed")),
    }
}

/// Makes sure that nobody else looks for these keys of a source and writes them until the end of the transaction. Where all
/// tables are on one machine their unique keys do that, and this does nothing; where they are not, each key is a row that one
/// transaction at a time can hold. To be called before the look. What the rows keep are keyed hashes.
///
/// # Errors
/// The database's.
pub fn hold_keys<'a>(tx: &mut Tx<'_>, kind: &str, source: &str, keys: impl Iterator<Item = &'a [u8]>) -> Result<()> {
    if !tx.distributed {
        return Ok(());
    }
    let hash = |key: &[u8]| tx.keys.blind_index("held_keys", &format!("{kind}\u{1f}{source}\u{1f}{}", hex(key)));
    let mut rows: Vec<Vec<u8>> = keys.map(hash).collect();
    // One order for everybody, so that nobody waits in a circle.
    rows.sort_unstable();
    rows.dedup();
    for chunk in rows.chunks(1_000) {
        let held = "ON CONFLICT (key) DO UPDATE SET holds = held_keys.holds + 1";
        let insert = format!("INSERT INTO held_keys (key) VALUES {} {held}", places(chunk.len(), 1));
        given::<()>(insert, chunk.iter().map(|key| key.clone().into()).collect()).execute(&mut tx.db)?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
