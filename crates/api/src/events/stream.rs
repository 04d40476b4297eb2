//! The change feed as a stream of server-sent events.
//!
//! One task a process looks where the feed ends, and only while somebody listens; a stream reads when the feed has grown, and
//! before that asks again who its caller is. An idle stream asks the database nothing, and one whose reader is slow holds no
//! connection: the next stretch is read when the last one was taken.

use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::{
    http::{StatusCode, header::HeaderMap},
    rt,
    web::{Bytes, Data},
};
use futures_util::Stream;
use kehu_kernel::{Actor, Instant, Result, Store, event};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant as Moment, sleep, sleep_until},
};
use utoipa::{IntoParams, ToSchema};

use super::{
    CloudEvent,
    feed::{self, EventTypePattern, Wanted},
};
use crate::{gate::Gate, problem::Problem, settings::Settings};

/// How often the end of the feed is looked for.
const TICK: Duration = Duration::from_millis(250);
/// How many events are written at once.
const STRETCH: usize = 100;
/// After how many milliseconds a client comes back that lost its stream.
const RETRY: u32 = 3_000;

/// What is listened to.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// Only events after this one, as in the feed; `Last-Event-ID` goes before it. From now on unless given.
    #[param(min_length = 1, max_length = 18, pattern = "^([0-9]{1,18}|latest)$", example = "latest")]
    pub after: Option<String>,
    /// Only events of these types: a whole type (`customer.updated`) or all of one kind of record (`customer.*`). All unless given.
    #[serde(default, rename = "type")]
    #[param(inline, max_items = 50, example = json!(["customer.*"]))]
    pub types: Vec<EventTypePattern>,
    /// Ends the stream after so many seconds, for callers behind proxies that cut long answers. Never unless given.
    #[param(minimum = 1, maximum = 86_400, example = 60)]
    pub max_seconds: Option<u32>,
}

/// How the place to go on is given by clients that lost their stream.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct LastEventIdHeader {
    /// The `id` of the last event that was received; the stream goes on after it.
    #[param(
        rename = "Last-Event-ID",
        required = false,
        min_length = 1,
        max_length = 18,
        pattern = "^[0-9]{1,18}$",
        example = "42"
    )]
    pub last_event_id: Option<String>,
}

/// Server-sent events: `id` is the place in the feed, `data` a `CloudEvent` as JSON in one line. A block with an `id` alone
/// is a sign of life, and moves on the place from which a client comes back.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, max_length = 2_147_483_647, example = "id: 42\ndata: {\"specversion\":\"1.0\"}\n\n")]
pub struct EventStream(pub String);

/// Where the feed ends, and whether the server does.
#[derive(Clone, Copy, Debug, Default)]
struct Pulse {
    head: i64,
    closing: bool,
}

/// The open streams of a process.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    store: Store,
    pulse: watch::Sender<Pulse>,
    open: Mutex<Open>,
    most: u32,
    most_each: u32,
    beat: Duration,
}

#[derive(Default)]
struct Open {
    all: u32,
    each: HashMap<String, u32>,
    watched: bool,
}

impl Streams {
    /// No stream yet.
    #[must_use]
    pub fn new(store: Store, settings: &Settings) -> Self {
        Self(Arc::new(Inner {
            store,
            pulse: watch::Sender::new(Pulse::default()),
            open: Mutex::default(),
            most: settings.event_streams,
            most_each: settings.event_streams_per_caller,
            beat: settings.event_heartbeat,
        }))
    }

    /// Opens a stream for a caller who may read events and begins after `at`.
    ///
    /// # Errors
    /// 429 when the caller has too many streams, 503 when all have, 401 when the token is not to be trusted any more.
    pub async fn open(
        &self,
        gate: Data<Gate>,
        headers: HeaderMap,
        caller: &Actor,
        wanted: Wanted,
        at: i64,
        seconds: Option<u32>,
    ) -> std::result::Result<impl Stream<Item = Result<Bytes>> + use<>, Problem> {
        let slot = self.slot(caller.on_behalf_by.clone().unwrap_or_else(|| caller.subject.clone()))?;
        let (_, ends) = gate.renew(&headers).await?;
        let until = seconds.map(|seconds| Moment::now() + Duration::from_secs(seconds.into()));
        let (pulse, beat) = (self.0.pulse.subscribe(), Moment::now() + self.0.beat);
        let reader = Reader { slot, gate, headers, pulse, wanted, at, seen: at, greeted: false, ends, until, beat };
        Ok(futures_util::stream::unfold(reader, |mut reader| async move {
            let block = reader.next().await?;
            Some((Ok(Bytes::from(block)), reader))
        }))
    }

    /// A place among the streams that may be open at once.
    fn slot(&self, caller: String) -> std::result::Result<Slot, Problem> {
        let mut open = self.0.open();
        let own = open.each.get(&caller).copied().unwrap_or_default();
        if own >= self.0.most_each {
            let detail = format!("A caller may have {} streams open at once.", self.0.most_each);
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS).detail(detail).retry_after(30));
        }
        if open.all >= self.0.most {
            let detail = "As many streams are open as this server takes.";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE).detail(detail).retry_after(30));
        }
        open.all += 1;
        open.each.insert(caller.clone(), own + 1);
        if !open.watched {
            open.watched = true;
            rt::spawn(watch(Arc::clone(&self.0)));
        }
        Ok(Slot { inner: Arc::clone(&self.0), caller })
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the open streams; given back when the stream is gone.
struct Slot {
    inner: Arc<Inner>,
    caller: String,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.inner.open();
        open.all = open.all.saturating_sub(1);
        let own = open.each.get(&self.caller).copied().unwrap_or_default();
        if own > 1 {
            open.each.insert(self.caller.clone(), own - 1);
        } else {
            open.each.remove(&self.caller);
        }
    }
}

/// Tells all streams where the feed ends, as long as there are any; and that the server stops, which would wait for them.
async fn watch(inner: Arc<Inner>) {
    let mut signal = rt::signal::unix::signal(rt::signal::unix::SignalKind::terminate()).ok();
    loop {
        let stop = async {
            match &mut signal {
                Some(signal) => drop(signal.recv().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep(TICK) => {}
            () = stop => return inner.pulse.send_modify(|pulse| pulse.closing = true),
        }
        match inner.store.read(event::head).await {
            Ok(head) => drop(inner.pulse.send_if_modified(|pulse| std::mem::replace(&mut pulse.head, head) != head)),
            Err(error) => log::warn!("streams wait: {error}"),
        }
        let mut open = inner.open();
        if open.all == 0 {
            open.watched = false;
            return;
        }
    }
}

/// One open stream.
struct Reader {
    slot: Slot,
    gate: Data<Gate>,
    headers: HeaderMap,
    pulse: watch::Receiver<Pulse>,
    wanted: Wanted,
    /// All up to here was told, or is not for this caller.
    at: i64,
    /// The end of the feed when it was read last.
    seen: i64,
    greeted: bool,
    /// When the token ends.
    ends: Option<Instant>,
    until: Option<Moment>,
    /// When a sign of life is due.
    beat: Moment,
}

impl Reader {
    /// What is written next; nothing when the stream ends.
    async fn next(&mut self) -> Option<String> {
        if !self.greeted {
            self.greeted = true;
            return Some(format!("retry: {RETRY}\nid: {}\n\n", self.at));
        }
        loop {
            let Pulse { head, closing } = *self.pulse.borrow_and_update();
            let over = self.ends.is_some_and(|ends| ends <= self.slot.inner.store.now());
            if closing || over || self.until.is_some_and(|until| until <= Moment::now()) {
                return None;
            }
            if head > self.seen {
                let found = self.read().await?;
                if !found.more {
                    self.seen = head.max(found.next);
                }
                self.at = found.next;
                if !found.events.is_empty() {
                    self.beat = Moment::now() + self.slot.inner.beat;
                    return written(&found.events);
                }
                if found.more {
                    continue;
                }
            }
            if self.beat <= Moment::now() {
                self.beat = Moment::now() + self.slot.inner.beat;
                return Some(format!("id: {}\n\n", self.at));
            }
            let wake = self.until.map_or(self.beat, |until| until.min(self.beat));
            tokio::select! {
                changed = self.pulse.changed() => changed.ok()?,
                () = sleep_until(wake) => {}
            }
        }
    }

    /// The next stretch, as far as the caller may be told at this moment: the token may have been revoked meanwhile, the
    /// person may have another role or branch.
    async fn read(&mut self) -> Option<feed::Stretch> {
        let (actor, ends) = self.gate.renew(&self.headers).await.ok()?;
        self.ends = ends;
        let (wanted, at) = (self.wanted.clone(), self.at);
        let found = self.slot.inner.store.read(move |conn| feed::read(conn, &actor, &wanted, at)).await;
        // The client comes back and asks again where it was.
        found.inspect_err(|error| log::info!("a stream ends: {error}")).ok()
    }
}

impl Wanted {
    /// What a stream reads at once.
    ///
    /// # Errors
    /// As [`Wanted::new`].
    pub fn stretch(types: &[EventTypePattern]) -> Result<Self> {
        Self::new(STRETCH, types)
    }
}

fn written(events: &[CloudEvent]) -> Option<String> {
    let mut text = String::new();
    for event in events {
        let id: i64 = event.sequence.parse().ok()?;
        write!(text, "id: {id}\ndata: {}\n\n", serde_json::to_string(event).ok()?).ok()?;
    }
    Some(text)
}
