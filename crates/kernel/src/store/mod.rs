//! The database: one query code on SQLite and PostgreSQL, reads on pooled connections, writes in one
//! transaction that carries its events.

mod also;
mod bulk;
mod connect;
mod db;
pub mod document;
mod heads;
mod hold;
mod listed;
pub mod migrate;
mod postgres;
pub mod sql;
mod sqlite;
mod tx;
mod waited;
mod within;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::oneshot;

pub use also::{Also, with_each_write};
pub use bulk::{COPIED, parameters};
pub use connect::{Backend, Conn};
pub use db::{Db, MultiBackend, MultiRawValue};
pub use heads::{Heads, UpTo, heads, up_to};
pub use listed::{Among, Listed, among, listed};
pub use tx::Tx;
pub use within::{Within, found_in, within};

use crate::{
    Error, Result,
    crypto::Keyring,
    time::{Clock, Instant},
};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `sqlite://path` or `postgres://…`.
    pub url: String,
    /// Where reads go, if not to `url`: a PostgreSQL replica.
    pub read_url: Option<String>,
    /// How many read connections.
    pub readers: u32,
    /// How many write connections (PostgreSQL; SQLite always has one writer).
    pub writers: u32,
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
            writers: 16,
            patience: Duration::from_secs(5),
            log_limit: 256 << 20,
        }
    }
}

/// The way to the database. Cheap to clone; clones share the connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: r2d2::Pool<connect::Manager>,
    writer: Writer,
    backend: Backend,
    clock: Clock,
    keys: Arc<Keyring>,
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
        let read_url = options.read_url.as_deref().unwrap_or(&options.url);
        let manager = |url: &str, role| connect::Manager::new(url, role, clock.clone(), Arc::clone(&keys));
        // The writer comes first: it creates the SQLite file and switches it to WAL.
        let writer = match backend {
            Backend::Sqlite => {
                Writer::Sqlite(sqlite::Writer::start(&manager(&options.url, connect::Role::Writer)?, options.log_limit)?)
            }
            Backend::Postgres => {
                Writer::Postgres(pool(manager(&options.url, connect::Role::Writer)?, options.writers, options.patience)?)
            }
        };
        let readers = pool(manager(read_url, connect::Role::Reader)?, options.readers, options.patience)?;
        Ok(Self { inner: Arc::new(Inner { readers, writer, backend, clock, keys }) })
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
    /// What `work` returns; [`Error::Busy`] when no connection becomes free in time.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Conn) -> Result<T> + Send + 'static,
    {
        self.waited(work, postgres::watch).await
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
        let store = self.clone();
        let waiting = waited::Waiting(Arc::default());
        let read = Arc::clone(&waiting.0);
        let result = run_blocking(move || store.read_by(|conn| read.run(conn, &mut work), on_postgres)).await;
        drop(waiting);
        result
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
        let mut spares = self.inner.readers.max_size();
        loop {
            let mut conn = checkout(&self.inner.readers)?;
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
    /// What `work` returns, then nothing was written; [`Error::Busy`] after several lost races.
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
                let (reply, receiver) = oneshot::channel();
                // A caller that went away (a closed connection) does not undo its write.
                writer.submit(work, |result| drop(reply.send(result)));
                receiver.await.map_err(|_| stopped())?
            }
            Writer::Postgres(_) => {
                let store = self.clone();
                run_blocking(move || store.write_blocking(work)).await
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
            Writer::Postgres(pool) => postgres::write(pool, work),
        }
    }

    /// Connections in use and in all, reads then writes: for metrics and readiness.
    #[must_use]
    pub fn connections(&self) -> [(&'static str, u32, u32); 2] {
        let of = |pool: &r2d2::Pool<connect::Manager>| {
            let state = pool.state();
            (state.connections - state.idle_connections, state.connections)
        };
        let (used, all) = of(&self.inner.readers);
        let (write_used, write_all) = match &self.inner.writer {
            Writer::Sqlite(_) => (0, 1),
            Writer::Postgres(pool) => of(pool),
        };
        [("read", used, all), ("write", write_used, write_all)]
    }
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

fn pool(manager: connect::Manager, size: u32, patience: Duration) -> Result<r2d2::Pool<connect::Manager>> {
    r2d2::Pool::builder()
        .max_size(size.max(1))
        .min_idle(Some(1))
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
