//! What happened: written with the change itself, put in order and chained after commit.
//!
//! One append-only table is the change feed, the webhook outbox and the audit trail of writes. Positions
//! are given by one sequencer after commit, so a reader that asks for "after N" never skips an event
//! whose transaction committed late. Each position's hash covers the one before it.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    Actor, AnyId, Conn, Error, Id, Instant, Result, Store, bulk_copy,
    json::Json,
    schema::{event_heads, events},
    store::{given, places},
};

/// An event to be recorded.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// `<resource>.<what happened>`, past tense: `customer.created`.
    pub kind: &'static str,
    /// The record that it happened to.
    pub subject_id: AnyId,
    /// The customer it belongs to.
    pub customer_id: Option<AnyId>,
    /// The account it belongs to.
    pub account_id: Option<AnyId>,
    /// Facts of the event. Never numbers of identities or accounts, and no floating-point numbers.
    pub data: Value,
}

impl NewEvent {
    /// An event of a record that belongs to no customer.
    #[must_use]
    pub fn new<T>(kind: &'static str, subject: Id<T>, data: Value) -> Self {
        Self { kind, subject_id: subject.cast(), customer_id: None, account_id: None, data }
    }

    /// Names the customer that the record belongs to.
    #[must_use]
    pub fn of_customer<T>(self, customer: Id<T>) -> Self {
        Self { customer_id: Some(customer.cast()), ..self }
    }

    /// Names the account that the record belongs to.
    #[must_use]
    pub fn of_account<T>(self, account: Id<T>) -> Self {
        Self { account_id: Some(account.cast()), ..self }
    }
}

/// An event as recorded.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = events, treat_none_as_default_value = false)]
pub struct Event {
    /// Its id.
    pub id: AnyId,
    /// Its place in the feed, from 1 without gaps; null until the sequencer has come by.
    pub position: Option<i64>,
    /// What happened.
    pub kind: String,
    /// The record that it happened to.
    pub subject_id: AnyId,
    /// The customer it belongs to.
    pub customer_id: Option<AnyId>,
    /// The account it belongs to.
    pub account_id: Option<AnyId>,
    /// Who did it.
    pub actor: String,
    /// What kind of actor that was.
    pub actor_kind: String,
    /// The machine client that acted for the person.
    pub on_behalf_by: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// When.
    pub occurred_at: Instant,
    /// Facts of the event.
    pub data: Json<Value>,
    /// SHA-256 over the hash before it and this event.
    #[serde(skip)]
    pub hash: Option<Vec<u8>>,
}

/// An event that waits for the end of its transaction.
pub(crate) type Pending = Event;

impl Event {
    pub(crate) fn new(actor: &Actor, event: NewEvent, at: Instant) -> Self {
        Self {
            id: AnyId::new(),
            position: None,
            kind: event.kind.to_owned(),
            subject_id: event.subject_id,
            customer_id: event.customer_id,
            account_id: event.account_id,
            actor: actor.subject.clone(),
            actor_kind: actor.kind.as_str().to_owned(),
            on_behalf_by: actor.on_behalf_by.clone(),
            request_id: actor.request_id.clone(),
            occurred_at: at,
            data: Json(event.data),
            hash: None,
        }
    }

    /// The hash that this event has at this position after that hash.
    fn chained(&self, position: i64, previous: &[u8]) -> Result<Vec<u8>> {
        let content = serde_json::json!({
            "id": self.id, "kind": self.kind, "subject_id": self.subject_id, "customer_id": self.customer_id,
            "account_id": self.account_id, "actor": self.actor, "actor_kind": self.actor_kind,
            "on_behalf_by": self.on_behalf_by, "request_id": self.request_id,
            "occurred_at": self.occurred_at.micros(), "data": self.data,
        });
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(position.to_be_bytes());
        hasher.update(serde_json::to_vec(&sorted(content)).map_err(Error::internal)?);
        Ok(hasher.finalize().to_vec())
    }
}

/// PostgreSQL keeps no order of keys in a document, so hashes are taken over sorted ones.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

pub(crate) fn insert(conn: &mut Conn, pending: Vec<Pending>) -> Result<()> {
    if !pending.is_empty() {
        bulk_copy!(conn, events::table, &pending)?;
    }
    Ok(())
}

/// How many events one round of the sequencer takes.
const ROUND: i64 = 1_000;

/// Gives positions and hashes to events that have none yet; returns how many. Any number of processes
/// may call this: the row of the head lets one of them work at a time.
///
/// # Errors
/// The database's.
pub fn sequence(store: &Store) -> Result<usize> {
    // Cheap look first, so that an idle server does not write.
    let waiting: Option<AnyId> = store.read_blocking(|conn| {
        let first = events::table.filter(events::position.is_null()).select(events::id).first(&mut conn.db);
        Ok(first.optional()?)
    })?;
    if waiting.is_none() {
        return Ok(0);
    }
    store.write_blocking(|tx| {
        let head = event_heads::table.find(1);
        // The update takes the row's lock; the value stays.
        let (mut position, mut hash): (i64, Vec<u8>) = diesel::update(head)
            .set(event_heads::position.eq(event_heads::position))
            .returning((event_heads::position, event_heads::hash))
            .get_result(&mut tx.db)?;
        let waiting: Vec<Event> = events::table
            .filter(events::position.is_null())
            .order(events::id)
            .limit(ROUND)
            .select(Event::as_select())
            .load(&mut tx.db)?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let mut links = Vec::with_capacity(waiting.len());
        for event in &waiting {
            position += 1;
            hash = event.chained(position, &hash)?;
            links.push((event.id, position, hash.clone()));
        }
        let update = "UPDATE events SET position = v.column2, hash = v.column3 FROM (VALUES";
        let text = format!("{update} {}) AS v WHERE events.id = v.column1", places(links.len(), 3));
        let values = links.into_iter().flat_map(|(id, position, hash)| [id.into(), position.into(), hash.into()]);
        given::<()>(text, values.collect()).execute(&mut tx.db)?;
        diesel::update(head).set((event_heads::position.eq(position), event_heads::hash.eq(&hash))).execute(&mut tx.db)?;
        Ok(waiting.len())
    })
}

/// The position of the last event that has one; 0 before the first.
///
/// # Errors
/// The database's.
pub fn head(conn: &mut Conn) -> Result<i64> {
    Ok(event_heads::table.find(1).select(event_heads::position).first(&mut conn.db)?)
}

/// The events after a position, in the order of positions.
///
/// # Errors
/// The database's.
pub fn after(conn: &mut Conn, position: i64, limit: i64) -> Result<Vec<Event>> {
    let rows = events::table
        .filter(events::position.gt(position))
        .order(events::position)
        .limit(limit)
        .select(Event::as_select())
        .load(&mut conn.db)?;
    Ok(rows)
}

/// What a walk over the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How many events were checked.
    pub checked: i64,
    /// The first fault, in words; `None` when the chain is whole.
    pub fault: Option<String>,
}

/// Checks every sequenced event against the chain: changed, missing, added and reordered ones are found.
///
/// # Errors
/// The database's.
pub fn verify(store: &Store) -> Result<Verification> {
    let (head, head_hash): (i64, Vec<u8>) = store.read_blocking(|conn| {
        Ok(event_heads::table.find(1).select((event_heads::position, event_heads::hash)).first(&mut conn.db)?)
    })?;
    let mut position = 0_i64;
    let mut hash = Vec::new();
    loop {
        let from = position;
        let batch = store.read_blocking(move |conn| after(conn, from, ROUND))?;
        if batch.is_empty() {
            break;
        }
        for event in batch {
            let expected = position + 1;
            if event.position != Some(expected) {
                return Ok(Verification {
                    checked: position,
                    fault: Some(format!("the event at position {expected} is missing")),
                });
            }
            hash = event.chained(expected, &hash)?;
            if event.hash.as_ref() != Some(&hash) {
                let fault = format!("the event at position {expected} ({}) was changed", event.id);
                return Ok(Verification { checked: position, fault: Some(fault) });
            }
            position = expected;
        }
    }
    // The head was read first, and the chain only grows: it must reach at least there.
    let fault = (position < head || (position == head && hash != head_hash))
        .then(|| format!("the chain ends at position {position}, its head says {head}"));
    Ok(Verification { checked: position, fault })
}
