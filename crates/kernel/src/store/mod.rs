//! The database: one query code on SQLite and PostgreSQL, reads on pooled connections, writes in one
//! transaction that carries its events.

mod also;
mod bulk;
mod connect;
mod db;
pub mod distributed;
pub mod document;
mod given;
mod heads;
mod hold;
mod lane;
mod listed;
pub mod migrate;
mod postgres;
mod replica;
pub mod sql;
mod sqlite;
mod tx;
mod waited;
mod within;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use lane::{Lane, Way};
use tokio::sync::oneshot;

pub use also::{Also, with_each_write};
pub use bulk::{COPIED, together};
pub use connect::{Backend, Conn};
pub use db::{Db, Kind, MultiBackend, MultiRawValue};
pub use given::{Given, Value, given, places};
pub use heads::{Heads, UpTo, heads, up_to};
pub use hold::Held;
pub use listed::{Among, Listed, among, listed};
pub use replica::{Asker, Position, asked_by};
pub use tx::Tx;
pub use within::{Within, found_in, within};

use crate::{
    Error, Result,
    crypto::Keyring,
    time::{Clock, Instant},
};

/// Connections for threads that read without being asked by a caller: the sequencer, streams, whoever looks for changed
/// rights, the command line.
const UNBIDDEN: u32 = 3;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite://path` or `postgres://…`.
    pub url: String,
    /// Where reads of callers may go, if not to `url`: a PostgreSQL replica. See [`asked_by`].
    pub read_url: Option<String>,
    /// How many reads at once for callers who wait, each on a connection of its own.
    pub readers: u32,
    /// How many reads at once for reports and background work: see [`Store::batch`].
    pub batch_readers: u32,
    /// How many jobs run at once beside the reports, each with a connection of its own to read by.
    pub jobs: u32,
    /// How many write connections (PostgreSQL; SQLite always has one writer).
    pub writers: u32,
    /// How many reads, and as many writes, wait for their turn; who comes then is told that the server is busy.
    pub waiting: u32,
    /// How long a caller waits for a connection before the answer is "busy".
    pub patience: Duration,
    /// How many bytes the write-ahead log of SQLite may grow to before the writer stops to empty it. By itself SQLite
    /// only does that when nobody happens to read or write, which may never be.
    pub log_limit: u64,
}

impl StoreOptions {
    /// Sizes that were found fastest on a small machine: SQLite wants few readers, PostgreSQL many writers.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let postgres = Backend::of_url(url) == Some(Backend::Postgres);
        Self {
            url: url.to_owned(),
            read_url: None,
            readers: if postgres { 8 } else { 4 },
            batch_readers: 2,
            jobs: 4,
            writers: 16,
            waiting: 128,
            patience: Duration::from_secs(5),
            log_limit: 256 << 20,
        }
    }
}

/// The way to the database. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    way: Way,
}

struct Inner {
    prompt: Readers,
    batch: Readers,
    replica: Option<replica::Replica>,
    writer: Writer,
    writing: Lane,
    backend: Backend,
    clock: Clock,
    keys: Arc<Keyring>,
}

/// Connections that only read, and who may have one.
struct Readers {
    pool: r2d2::Pool<connect::Manager>,
    lane: Lane,
}

enum Writer {
    Sqlite(sqlite::Writer),
    Postgres(r2d2::Pool<connect::Manager>),
}

/// How a read runs on PostgreSQL.
type OnPostgres<T> = fn(&mut Conn, &mut dyn FnMut(&mut Conn) -> Result<T>) -> Result<T>;

impl Store {
    /// Opens the database. Does not migrate it: see [`migrate`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database cannot be reached.
    pub fn open(options: &StoreOptions, keys: Keyring, clock: Clock) -> Result<Self> {
        let backend = Backend::of_url(&options.url)
            .ok_or_else(|| Error::invalid("/database_url", "scheme", "expected sqlite:// or postgres://"))?;
        let keys = Arc::new(keys);
        let manager = |url: &str, role| connect::Manager::new(url, role, clock.clone(), Arc::clone(&keys));
        // The writer comes first: it creates the SQLite file and switches it to WAL.
        let writer = match backend {
            Backend::Sqlite => {
                Writer::Sqlite(sqlite::Writer::start(&manager(&options.url, connect::Role::Writer)?, options.log_limit)?)
            }
            Backend::Postgres => {
                Writer::Postgres(pool(manager(&options.url, connect::Role::Writer)?, options.writers, 1, options.patience)?)
            }
        };
        let readers = |url: &str, at_once: u32, jobs: u32, idle: u32| -> Result<Readers> {
            let pool = pool(manager(url, connect::Role::Reader)?, at_once + UNBIDDEN + jobs, idle, options.patience)?;
            Ok(Readers { pool, lane: Lane::new(at_once, options.waiting, options.patience) })
        };
        let prompt = readers(&options.url, options.readers, 0, 1)?;
        let batch = readers(&options.url, options.batch_readers, options.jobs, 1)?;
        let replica = match (backend, &options.read_url) {
            // Kehu starts also while the replica is away.
            (Backend::Postgres, Some(url)) => {
                Some(replica::Replica::new(readers(url, options.readers, 0, 0)?, readers(url, options.batch_readers, 0, 0)?))
            }
            _ => None,
        };
        let writing = Lane::new(options.writers, options.waiting, options.patience);
        Ok(Self { inner: Arc::new(Inner { prompt, batch, replica, writer, writing, backend, clock, keys }), way: Way::default() })
    }

    /// The same database by the way for what takes long: reports and background work. They are few at once and never
    /// take a connection from callers who wait for a short answer.
    #[must_use]
    pub fn batch(&self) -> Self {
        Self { way: Way::Batch, ..self.clone() }
    }

    fn readers(&self) -> &Readers {
        match self.way {
            Way::Prompt => &self.inner.prompt,
            Way::Batch => &self.inner.batch,
        }
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.inner.backend
    }

    /// The clock that stamps every transaction.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The present instant by the store's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// The keys of encrypted fields.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.inner.keys
    }

    /// Runs a read on a blocking thread. On SQLite all its queries see one snapshot. When the future is dropped, nobody waits
    /// for the read any more, and it ends.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Busy`] when too many wait already, or no connection becomes free in time.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.waited(work, postgres::watch).await
    }

    /// A read of a few rows by their keys. SQLite has them sooner than another thread would begin to look, so there it runs
    /// where it is asked for, if a connection is at hand; otherwise as [`Store::read`].
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn glance<T, F>(&self, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        match self.idle_sqlite() {
            Some(mut conn) => sqlite::snapshot(&mut conn, &mut work),
            None => self.read(work).await,
        }
    }

    fn idle_sqlite(&self) -> Option<r2d2::PooledConnection<connect::Manager>> {
        let mut conn = (self.inner.backend == Backend::Sqlite).then(|| self.readers().pool.try_get())??;
        conn.refresh();
        Some(conn)
    }

    /// Runs a read on the calling thread; for the command line and background jobs.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T>(&self, work: impl FnMut(&mut Conn) -> Result<T>) -> Result<T> {
        self.read_by(work, postgres::watch)
    }

    /// Runs a read on a blocking thread so that all its queries see the same state, on PostgreSQL too: for answers that
    /// are put together of several queries and have to agree with themselves. Two more round trips than [`Store::read`].
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn snapshot<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.waited(work, postgres::snapshot).await
    }

    async fn waited<T, F>(&self, mut work: F, on_postgres: OnPostgres<T>) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        let waiting = waited::Waiting(Arc::default());
        if let Some(needed) = self.replica_for_asker() {
            let found;
            (work, found) = self.on_replica(needed, work, on_postgres, Arc::clone(&waiting.0)).await?;
            if let Some(result) = found {
                return result;
            }
        }
        let turn = self.readers().lane.turn().await?;
        let store = self.clone();
        let read = Arc::clone(&waiting.0);
        let result = run_blocking(move || {
            let _turn = turn;
            store.read_by(|conn| read.run(conn, &mut work), on_postgres)
        })
        .await;
        drop(waiting);
        result
    }

    /// What a replica must have to answer the present asker; `None` when the primary answers.
    fn replica_for_asker(&self) -> Option<Position> {
        let (replica, asker) = (self.inner.replica.as_ref()?, replica::asker()?);
        (asker.replica && replica.is_up()).then(|| replica.needed(&asker))
    }

    async fn on_replica<T, F>(
        &self,
        needed: Position,
        mut work: F,
        on_postgres: OnPostgres<T>,
        read: Arc<waited::Read>,
    ) -> Result<(F, Option<Result<T>>)>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        let Some(replica) = &self.inner.replica else { return Ok((work, None)) };
        let turn = replica.readers(self.way).lane.turn().await?;
        let store = self.clone();
        run_blocking(move || {
            let _turn = turn;
            let mut watched = |conn: &mut Conn| read.run(conn, &mut work);
            let replica = store.inner.replica.as_ref();
            let result = replica.and_then(|replica| replica.read(store.way, needed, &mut watched, on_postgres));
            Ok((work, result))
        })
        .await
    }

    /// Whether reads may be answered by a replica.
    #[must_use]
    pub fn has_replica(&self) -> bool {
        self.inner.replica.is_some()
    }

    /// How far this caller has written, as this server knows.
    #[must_use]
    pub fn position_of(&self, caller: &str) -> Option<Position> {
        self.inner.replica.as_ref()?.position(caller)
    }

    /// As [`Store::snapshot`], on the calling thread.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn snapshot_blocking<T>(&self, work: impl FnMut(&mut Conn) -> Result<T>) -> Result<T> {
        self.read_by(work, postgres::snapshot)
    }

    fn read_by<T>(&self, mut work: impl FnMut(&mut Conn) -> Result<T>, on_postgres: OnPostgres<T>) -> Result<T> {
        // Connections may have died in the pool with their server, all of them at once.
        let pool = &self.readers().pool;
        let mut spares = pool.max_size();
        loop {
            let mut conn = checkout(pool)?;
            let result = match self.inner.backend {
                Backend::Sqlite => sqlite::snapshot(&mut conn, &mut work),
                Backend::Postgres => on_postgres(&mut conn, &mut work),
            };
            match result {
                Err(Error::Unavailable(_)) if spares > 0 && conn.broken => spares -= 1,
                other => return other,
            }
        }
    }

    /// Runs a write in one transaction, events included, on a blocking thread. `work` may run again
    /// when the database asks for a retry, so it must not have effects outside the transaction.
    ///
    /// # Errors
    /// What `work` returns, then nothing was written; [`Error::Busy`] when too many wait already, or after several lost races.
    pub async fn write<T, F>(&self, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let also = also::current();
        let work = move |tx: &mut Tx<'_>| {
            let value = work(tx)?;
            also.as_ref().map_or(Ok(()), |also| also(tx))?;
            Ok(value)
        };
        match &self.inner.writer {
            Writer::Sqlite(writer) => {
                let turn = self.inner.writing.enter()?;
                let (reply, receiver) = oneshot::channel();
                // A caller that went away (a closed connection) does not undo its write.
                writer.submit(work, move |result| {
                    drop(turn);
                    drop(reply.send(result));
                });
                receiver.await.map_err(|_| stopped())?
            }
            Writer::Postgres(_) => {
                let turn = self.inner.writing.turn().await?;
                let (store, asker) = (self.clone(), replica::asker());
                run_blocking(move || {
                    let _turn = turn;
                    store.write_for(asker.as_ref(), work)
                })
                .await
            }
        }
    }

    /// Runs a write on the calling thread; for the command line and background jobs.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        match &self.inner.writer {
            Writer::Sqlite(writer) => {
                let (reply, receiver) = mpsc::sync_channel(1);
                writer.submit(work, move |result| drop(reply.send(result)));
                receiver.recv().map_err(|_| stopped())?
            }
            Writer::Postgres(pool) => Ok(postgres::write(pool, work, |_| ())?.0),
        }
    }

    /// A write on PostgreSQL; what it wrote, the asker will find on replicas, too.
    fn write_for<T, F>(&self, asker: Option<&Asker>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (Writer::Postgres(pool), Some(replica), Some(asker)) = (&self.inner.writer, &self.inner.replica, asker) else {
            return self.write_blocking(work);
        };
        let (value, position) = postgres::write(pool, work, replica::end_of_log)?;
        replica.note(&asker.caller, position);
        Ok(value)
    }

    /// Connections in use and in all, of reads, of reads for what takes long, and of writes: for metrics and readiness.
    #[must_use]
    pub fn connections(&self) -> [(&'static str, u32, u32); 3] {
        let of = |pool: &r2d2::Pool<connect::Manager>| {
            let state = pool.state();
            (state.connections - state.idle_connections, state.connections)
        };
        let (used, all) = of(&self.inner.prompt.pool);
        let (batch_used, batch_all) = of(&self.inner.batch.pool);
        let (write_used, write_all) = match &self.inner.writer {
            Writer::Sqlite(_) => (0, 1),
            Writer::Postgres(pool) => of(pool),
        };
        [("read", used, all), ("batch", batch_used, batch_all), ("write", write_used, write_all)]
    }
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn pool(manager: connect::Manager, size: u32, idle: u32, patience: Duration) -> Result<r2d2::Pool<connect::Manager>> {
    r2d2::Pool::builder()
        .max_size(size.max(1))
        .min_idle(Some(idle))
        .connection_timeout(patience)
        // A check on every checkout would cost a round trip; broken connections are noticed in use.
        .test_on_check_out(false)
        .build(manager)
        .map_err(|error| Error::Unavailable(error.to_string()))
}

fn checkout(pool: &r2d2::Pool<connect::Manager>) -> Result<r2d2::PooledConnection<connect::Manager>> {
    let mut conn = pool.get().map_err(|error| Error::Unavailable(error.to_string()))?;
    conn.refresh();
    Ok(conn)
}

fn stopped() -> Error {
    Error::Unavailable("the writer has stopped".into())
}
