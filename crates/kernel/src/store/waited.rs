//! Reads end when nobody waits for them any more: a caller that went away, a request whose time is over.
//!
//! On PostgreSQL the statement that runs is cancelled by its server. SQLite has no such way that safe code could go, so there a
//! read ends before its next statement; statements themselves are bounded by what they are asked.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use diesel::{
    Connection, PgConnection, RunQueryDsl,
    connection::{Instrumentation, InstrumentationEvent},
    sql_query,
    sql_types::Integer,
};

use super::{Conn, connect::without_password};
use crate::{Error, Result};

thread_local! {
    /// The read that runs on this thread.
    static RUNNING: RefCell<Option<Arc<Read>>> = const { RefCell::new(None) };
}

/// What unwinds a read that nobody waits for.
struct GivenUp;

/// A session of PostgreSQL, and how another one gets at it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) url: Arc<str>,
    pub(super) pid: i32,
}

/// A read and whether somebody waits for it.
#[derive(Debug, Default)]
pub(super) struct Read {
    given_up: AtomicBool,
    on: Mutex<On>,
}

#[derive(Debug, Default)]
struct On {
    /// Where its statements run, while they do.
    session: Option<Session>,
    /// Whether the session was told to stop: what it does next might be stopped, too.
    cancelled: bool,
}

impl Read {
    fn on(&self) -> MutexGuard<'_, On> {
        self.on.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Acquire)
    }

    /// Runs the work until it is done or nobody waits for it.
    pub(super) fn run<T>(self: &Arc<Self>, conn: &mut Conn, work: &mut impl FnMut(&mut Conn) -> Result<T>) -> Result<T> {
        self.on().session.clone_from(&conn.session);
        RUNNING.set(Some(Arc::clone(self)));
        let result = catch_unwind(AssertUnwindSafe(|| {
            stop_if_given_up();
            work(conn)
        }));
        RUNNING.set(None);
        let mut on = self.on();
        on.session = None;
        conn.broken |= on.cancelled;
        match result {
            Ok(result) => result,
            // Nobody hears it.
            Err(cause) if cause.is::<GivenUp>() => Err(Error::Busy),
            Err(cause) => resume_unwind(cause),
        }
    }
}

fn stop_if_given_up() {
    let given_up = RUNNING.with_borrow(|read| read.as_ref().is_some_and(|read| read.is_given_up()));
    if given_up {
        // No panic: nothing went wrong that would have to be logged.
        resume_unwind(Box::new(GivenUp));
    }
}

/// Looks up before each statement whether it is still wanted.
pub(super) struct Watch;

impl Instrumentation for Watch {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            stop_if_given_up();
        }
    }
}

/// Somebody who waits for a read; gives it up when dropped.
pub(super) struct Waiting(pub(super) Arc<Read>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.given_up.store(true, Ordering::Release);
        let mut on = self.0.on();
        let Some(session) = on.session.clone() else { return };
        on.cancelled = true;
        drop(on);
        let started = std::thread::Builder::new().name("kehu-cancel".into()).spawn(move || cancel(&session));
        if let Err(error) = started {
            log::warn!("a read that nobody waits for goes on: {error}");
        }
    }
}

fn cancel(session: &Session) {
    let cancelled = PgConnection::establish(&session.url)
        .map_err(|error| without_password(&session.url, &error.to_string()))
        .and_then(|mut conn| {
            let query = sql_query("SELECT pg_cancel_backend($1)").bind::<Integer, _>(session.pid);
            query.execute(&mut conn).map_err(|error| error.to_string())
        });
    if let Err(error) = cancelled {
        log::warn!("a read that nobody waits for goes on: {error}");
    }
}
