//! PostgreSQL: one transaction a write at READ COMMITTED, retried when the server asks for it.

use std::time::Duration;

use super::{Conn, Tx, checkout, connect::Manager, tx};
use crate::{Error, Result};

const ATTEMPTS: u32 = 8;

/// Runs a read and notices a dead connection, so that the pool drops it.
pub(super) fn watch<T>(conn: &mut Conn, work: &mut dyn FnMut(&mut Conn) -> Result<T>) -> Result<T> {
    let result = work(conn);
    if matches!(result, Err(Error::Unavailable(_))) {
        conn.broken = true;
    }
    result
}

/// Runs a read so that all its queries see the same state. Nothing that only reads is ever asked to try again.
pub(super) fn snapshot<T>(conn: &mut Conn, work: &mut dyn FnMut(&mut Conn) -> Result<T>) -> Result<T> {
    if let Err(error) = conn.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") {
        conn.broken = true;
        return Err(Error::Unavailable(error.to_string()));
    }
    let result = work(conn);
    conn.broken |= conn.batch("ROLLBACK").is_err() || matches!(result, Err(Error::Unavailable(_)));
    result
}

/// `committed` looks at the connection once more when all is done.
pub(super) fn write<T, C>(
    pool: &r2d2::Pool<Manager>,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<T>,
    committed: impl Fn(&mut Conn) -> C,
) -> Result<(T, C)> {
    let mut attempt = 1;
    loop {
        match write_once(pool, &mut work, &committed) {
            Err(Error::Busy) if attempt < ATTEMPTS => std::thread::sleep(backoff(attempt)),
            other => return other,
        }
        attempt += 1;
    }
}

fn write_once<T, C>(
    pool: &r2d2::Pool<Manager>,
    work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>,
    committed: impl Fn(&mut Conn) -> C,
) -> Result<(T, C)> {
    let mut conn = begin(pool)?;
    match tx::run(&mut conn, work) {
        Ok(value) => match conn.batch("COMMIT") {
            Ok(()) => Ok((value, committed(&mut conn))),
            Err(error) => {
                conn.broken = true;
                Err(error.into())
            }
        },
        Err(error) => {
            conn.broken = conn.batch("ROLLBACK").is_err();
            Err(error)
        }
    }
}

/// A connection in a fresh transaction. One that died idle in the pool fails here, before anything can
/// have been written, and is replaced.
fn begin(pool: &r2d2::Pool<Manager>) -> Result<r2d2::PooledConnection<Manager>> {
    let mut tries = pool.max_size() + 1;
    loop {
        let mut conn = checkout(pool)?;
        tries -= 1;
        match conn.batch("BEGIN") {
            Ok(()) => return Ok(conn),
            Err(_) if tries > 0 => conn.broken = true,
            Err(error) => {
                conn.broken = true;
                return Err(error.into());
            }
        }
    }
}

/// Grows with each attempt and differs between threads, so that two losers do not meet again.
fn backoff(attempt: u32) -> Duration {
    let base = 1_u64 << attempt.min(6);
    Duration::from_micros(1_000 * base + rand::random_range(0..1_000 * base))
}
