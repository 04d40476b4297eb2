//! SQLite: readers on snapshots, and one writer thread that commits many requests at once.
//!
//! `synchronous=FULL` makes every commit wait for the disk. The writer therefore takes all requests that
//! are waiting, gives each a savepoint, and commits them together; nobody is answered before the commit.

use std::{path::PathBuf, sync::mpsc};

use super::{Conn, Tx, connect::Manager, tx};
use crate::{Error, Result, each};
use diesel::connection::{AnsiTransactionManager, TransactionManager};

/// How many requests may share one commit.
const GROUP: usize = 256;

type Finish = Box<dyn FnOnce(Result<()>) + Send>;
/// Given `Err`, the task does not run and only tells its caller why. Says how to answer once the commit
/// has come out, and whether the transaction can go on.
type Task = Box<dyn FnOnce(Result<&mut Conn>) -> (Finish, bool) + Send>;

/// The queue to the writer thread; the thread ends when the last sender is dropped.
pub(super) struct Writer {
    tasks: mpsc::Sender<Task>,
}

impl Writer {
    /// `log_limit` is how many bytes the write-ahead log may grow to.
    pub(super) fn start(manager: &Manager, log_limit: u64) -> Result<Self> {
        let mut conn = manager.open()?;
        let mut log = LogFile { file: manager.log_file(), limit: log_limit, next: log_limit };
        let (tasks, queue) = mpsc::channel::<Task>();
        std::thread::Builder::new()
            .name("kehu-writer".into())
            .spawn(move || {
                while let Ok(first) = queue.recv() {
                    commit_group(&mut conn, first, &queue);
                    log.keep_small(&mut conn);
                }
            })
            .map_err(Error::internal)?;
        Ok(Self { tasks })
    }

    /// Queues a write; the reply comes after its commit.
    pub(super) fn submit<T, F>(&self, mut work: F, reply: impl FnOnce(Result<T>) + Send + 'static)
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let task: Task = Box::new(move |conn| {
            let result = conn.and_then(|conn| in_savepoint(conn, &mut work));
            // A full disk makes SQLite roll the whole transaction back; nobody else may join it.
            let healthy = !matches!(result, Err(Error::Unavailable(_)));
            let finish: Finish = Box::new(move |committed| reply(committed.and(result)));
            (finish, healthy)
        });
        // When the thread is gone the task is dropped, and with it the reply: the caller sees it.
        drop(self.tasks.send(task));
    }
}

/// The write-ahead log. SQLite copies it into the database after each commit, but starts it anew only when at that moment
/// nobody reads from it or waits to write. With readers all the time, or an import of another process beside the server,
/// that moment never comes: the log of one million customers grew past fifteen times the size of their database.
struct LogFile {
    file: PathBuf,
    limit: u64,
    /// The size at which it is emptied next.
    next: u64,
}

impl LogFile {
    /// Empties a log that has grown too long. Readers go on meanwhile; those that began before are waited for, but not
    /// longer than callers of the writer should.
    fn keep_small(&mut self, conn: &mut Conn) {
        let size = || std::fs::metadata(&self.file).map_or(0, |file| file.len());
        if size() < self.next {
            return;
        }
        let emptied = conn.batch("PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 10000");
        if let Err(error) = emptied {
            log::warn!("the write-ahead log could not be emptied: {error}");
        }
        // After a long reader it is tried again when the log has grown by as much once more.
        self.next = size() + self.limit;
    }
}

fn commit_group(conn: &mut Conn, first: Task, queue: &mpsc::Receiver<Task>) {
    if let Err(error) = begin(conn) {
        // This caller hears of it; the rest of the queue gets its own try.
        let (refuse, _) = first(Err(error));
        refuse(Ok(()));
        return;
    }
    let (finish, mut healthy) = first(Ok(conn));
    let mut finishes = vec![finish];
    while healthy && finishes.len() < GROUP {
        let Ok(task) = queue.try_recv() else { break };
        let (finish, sound) = task(Ok(conn));
        finishes.push(finish);
        healthy = sound;
    }
    let committed = commit(conn);
    for finish in finishes {
        finish(match &committed {
            Ok(()) => Ok(()),
            Err(Error::Busy) => Err(Error::Busy),
            Err(other) => Err(Error::Unavailable(other.to_string())),
        });
    }
}

/// Another process (an import on the command line) may hold the lock for a while. diesel is told of the
/// transaction, because some of its inserts open one of their own if there is none.
fn begin(conn: &mut Conn) -> Result<()> {
    conn.refresh();
    let begun = each!(&mut conn.db, c => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"));
    begun.map_err(Error::from)
}

fn commit(conn: &mut Conn) -> Result<()> {
    let committed = each!(&mut conn.db, c => AnsiTransactionManager::commit_transaction(c));
    if committed.is_err() {
        // After a full disk SQLite may have rolled back by itself; then this fails and is meant to.
        drop(each!(&mut conn.db, c => AnsiTransactionManager::rollback_transaction(c)));
    }
    committed.map_err(Error::from)
}

fn in_savepoint<T>(conn: &mut Conn, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    conn.refresh();
    conn.command("SAVEPOINT request")?;
    let result = tx::run(conn, work);
    if result.is_err() {
        conn.command("ROLLBACK TO request")?;
    }
    conn.command("RELEASE request")?;
    result
}

/// Runs a read so that all its queries see the same state.
pub(super) fn snapshot<T>(conn: &mut Conn, work: &mut impl FnMut(&mut Conn) -> Result<T>) -> Result<T> {
    conn.command("BEGIN")?;
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(conn)));
    conn.broken |= conn.command("ROLLBACK").is_err();
    result.unwrap_or_else(|_| Err(Error::internal("a read panicked")))
}
