//! A write transaction: a connection, the events it will leave, and savepoints.

use std::ops::{Deref, DerefMut};

use super::Conn;
use crate::{
    Actor, AnyId, Error, Result, access,
    event::{self, NewEvent},
};

/// A running write transaction. Dereferences to [`Conn`], so every read works inside it.
pub struct Tx<'a> {
    conn: &'a mut Conn,
    events: Vec<event::Pending>,
}

impl<'a> Tx<'a> {
    pub(super) const fn new(conn: &'a mut Conn) -> Self {
        Self { conn, events: Vec::new() }
    }

    /// Records what happened, to be written with the change itself.
    pub fn emit(&mut self, actor: &Actor, event: NewEvent) {
        self.record(actor, event);
    }

    /// As [`Tx::emit`], for whoever has to name the event; its id.
    pub fn record(&mut self, actor: &Actor, event: NewEvent) -> AnyId {
        let event = event::Pending::new(actor, event, self.conn.now);
        let id = event.id;
        self.events.push(event);
        id
    }

    /// Runs a part of the transaction so that its failure undoes that part alone.
    ///
    /// # Errors
    /// What `work` returns, after its changes and events were taken back.
    pub fn savepoint<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let events = self.events.len();
        self.conn.batch("SAVEPOINT part")?;
        match work(self) {
            Ok(value) => {
                self.conn.batch("RELEASE SAVEPOINT part")?;
                Ok(value)
            }
            Err(error) => {
                self.events.truncate(events);
                self.conn.batch("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part")?;
                Err(error)
            }
        }
    }

    /// Writes the collected events; the last thing before commit.
    pub(super) fn flush(&mut self) -> Result<()> {
        let events = std::mem::take(&mut self.events);
        let decisive = access::decisive(events.iter().map(|event| event.kind.as_str()));
        event::insert(self.conn, events)?;
        if decisive { access::raise(self.conn) } else { Ok(()) }
    }
}

impl Deref for Tx<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
    }
}

/// Runs one use case and its events; the caller commits or rolls back.
pub(super) fn run<T>(conn: &mut Conn, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
    let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut tx = Tx::new(conn);
        let value = work(&mut tx)?;
        tx.flush()?;
        Ok(value)
    }));
    attempt.unwrap_or_else(|_| Err(Error::internal("a use case panicked")))
}
