//! Reads on replicas of PostgreSQL, which lag behind: a caller is answered from one only if it has all that this caller wrote.
//! What nobody asked for inside such a request (jobs, tokens, keys of idempotency) is always read at the primary.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::BigInt};

use super::{Conn, OnPostgres, Readers, Way};
use crate::{Error, Result};

/// So many callers' writes are remembered one by one; then all are held to have written what the last of them did.
const REMEMBERED: usize = 100_000;
/// How long a replica that does not answer is left alone.
const REST: Duration = Duration::from_secs(10);
/// How long is waited for a connection to one.
const PATIENCE: Duration = Duration::from_secs(1);

/// A position in the log of the primary, in bytes since its beginning.
pub type Position = i64;

/// For whom reads are made, and how fresh they have to be.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The same text for the same caller.
    pub caller: String,
    /// Whether a replica may answer.
    pub replica: bool,
    /// What the caller knows to be written, by whichever server.
    pub after: Position,
}

tokio::task_local! {
    static ASKER: Asker;
}

/// Runs a future whose reads are made for this asker.
pub async fn asked_by<F: Future>(asker: Asker, future: F) -> F::Output {
    ASKER.scope(asker, future).await
}

/// For whom the present task reads and writes.
pub(super) fn asker() -> Option<Asker> {
    ASKER.try_with(Clone::clone).ok()
}

/// The replicas behind one address.
pub(super) struct Replica {
    pub(super) prompt: Readers,
    pub(super) batch: Readers,
    written: Mutex<Written>,
    rests_until: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Written {
    by: HashMap<String, Position>,
    /// What everybody is held to have written.
    floor: Position,
}

#[derive(QueryableByName)]
struct At {
    #[diesel(sql_type = BigInt)]
    position: Position,
}

impl Replica {
    pub(super) fn new(prompt: Readers, batch: Readers) -> Self {
        Self { prompt, batch, written: Mutex::default(), rests_until: Mutex::default() }
    }

    pub(super) const fn readers(&self, way: Way) -> &Readers {
        match way {
            Way::Prompt => &self.prompt,
            Way::Batch => &self.batch,
        }
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how far a caller has written.
    pub(super) fn note(&self, caller: &str, position: Position) {
        let mut written = self.written();
        if written.by.len() >= REMEMBERED && !written.by.contains_key(caller) {
            written.floor = written.by.values().copied().chain([written.floor]).max().unwrap_or(position);
            written.by.clear();
        }
        let last = written.by.entry(caller.to_owned()).or_insert(position);
        *last = position.max(*last);
    }

    /// How far a caller has written, as this server knows.
    pub(super) fn position(&self, caller: &str) -> Option<Position> {
        self.written().by.get(caller).copied()
    }

    /// What has to be there for this asker.
    pub(super) fn needed(&self, asker: &Asker) -> Position {
        let written = self.written();
        written.by.get(&asker.caller).copied().unwrap_or(0).max(written.floor).max(asker.after)
    }

    fn rests(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        self.rests().is_none_or(|until| Instant::now() >= until)
    }

    /// Runs a read; `None` when the primary has to answer: the replica is away, lags behind what is needed, or gave up.
    pub(super) fn read<T>(
        &self,
        way: Way,
        needed: Position,
        work: &mut dyn FnMut(&mut Conn) -> Result<T>,
        on_postgres: OnPostgres<T>,
    ) -> Option<Result<T>> {
        let Ok(mut conn) = self.readers(way).pool.get_timeout(PATIENCE) else {
            log::warn!("the read replica does not answer; reads go to the primary for {} s", REST.as_secs());
            *self.rests() = Some(Instant::now() + REST);
            return None;
        };
        conn.refresh();
        match has_reached(&mut conn, needed) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(_) => {
                conn.broken = true;
                return None;
            }
        }
        match on_postgres(&mut conn, work) {
            // A replica ends reads that stand in the way of what it has to replay.
            Err(Error::Busy | Error::Unavailable(_)) => None,
            result => Some(result),
        }
    }
}

fn has_reached(conn: &mut Conn, needed: Position) -> Result<bool> {
    if conn.replayed < needed {
        const REPLAYED: &str = "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                                 ELSE pg_current_wal_insert_lsn() END - '0/0'::pg_lsn)::bigint AS position";
        conn.replayed = sql_query(REPLAYED).get_result::<At>(&mut conn.db)?.position;
    }
    Ok(conn.replayed >= needed)
}

/// Where the primary's log ends: behind all that this connection has committed. Nothing is as fresh as what cannot be told.
pub(super) fn end_of_log(conn: &mut Conn) -> Position {
    const END: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS position";
    sql_query(END).get_result::<At>(&mut conn.db).map_or_else(
        |_| {
            conn.broken = true;
            Position::MAX
        },
        |at| at.position,
    )
}
