//! Who posts: one thread looks which endpoints have something to be posted, and gives each of those a thread of its own, so
//! that a slow receiver slows nobody else.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant as Moment},
};

use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, AnyId, Conn, Error, Result, Store, event,
    schema::{webhook_deliveries as deliveries, webhook_endpoints as endpoints},
};

use super::{
    command,
    delivery::DeliveryState,
    endpoint::{EndpointReason, EndpointStatus, WebhookEndpoint, WebhookEndpointId},
    lease::Lease,
    outbound::Outbound,
    plan, post,
};

/// How often the end of the feed and what is due are looked at.
const TICK: Duration = Duration::from_millis(250);
/// How long an endpoint rests whose work failed here, for a reason of ours.
const REST: Duration = Duration::from_secs(5);
/// After so many events that are not for an endpoint its place in the feed is saved all the same.
const PASSED: i64 = 5_000;

/// What posting needs.
pub struct Post {
    /// The database.
    pub store: Store,
    /// The way out.
    pub outbound: Outbound,
    owner: AnyId,
    stopping: AtomicBool,
    /// Up to where the feed has nothing for an endpoint of this version.
    passed: Mutex<HashMap<WebhookEndpointId, (i64, i64)>>,
}

/// What was seen of an endpoint without a lease.
enum Look {
    Nothing,
    Passed(i64, i64),
    Work,
    NotEntitled,
}

impl Post {
    /// Posts from this database.
    #[must_use]
    pub fn new(store: Store, outbound: Outbound) -> Self {
        Self { store, outbound, owner: AnyId::new(), stopping: AtomicBool::new(false), passed: Mutex::default() }
    }

    /// Whether it is to end.
    pub(super) fn stops(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn passed(&self) -> MutexGuard<'_, HashMap<WebhookEndpointId, (i64, i64)>> {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The active endpoints for which there may be something to do.
    fn waiting(&self) -> Result<Vec<WebhookEndpointId>> {
        let passed = self.passed().clone();
        self.store.read_blocking(move |conn| {
            let now = conn.now;
            let active: Vec<WebhookEndpoint> = endpoints::table
                .filter(endpoints::status.eq(EndpointStatus::Active))
                .filter(endpoints::lease_until.is_null().or(endpoints::lease_until.lt(now)))
                .filter(endpoints::resume_at.is_null().or(endpoints::resume_at.le(now)))
                .select(WebhookEndpoint::as_select())
                .load(&mut conn.db)?;
            if active.is_empty() {
                return Ok(Vec::new());
            }
            let head = event::head(conn)?;
            let mut waiting = Vec::new();
            for row in active {
                let from = passed.get(&row.id).filter(|(version, _)| *version == row.version).map_or(0, |(_, at)| *at);
                if head > from.max(row.position) || row.replay_position.is_some() || has_due(conn, row.id)? {
                    waiting.push(row.id);
                }
            }
            Ok(waiting)
        })
    }

    /// Posts what there is for an endpoint, until nothing is due; whether it came any further.
    fn session(&self, id: WebhookEndpointId) -> Result<bool> {
        let passed = self.passed().get(&id).copied();
        match self.store.read_blocking(move |conn| look(conn, id, passed))? {
            Look::Nothing => Ok(false),
            Look::Passed(version, at) => Ok(self.passed().insert(id, (version, at)) != Some((version, at))),
            Look::NotEntitled => {
                self.store.write_blocking(move |tx| command::stop(tx, &Actor::system(), id, EndpointReason::OwnerNotEntitled))?;
                Ok(true)
            }
            Look::Work => {
                // Longer than the longest message: each result renews it.
                let term = self.outbound.timeout * 2 + Duration::from_secs(5);
                let Some(lease) = Lease::take(&self.store, id, self.owner, term)? else { return Ok(false) };
                let outcome = self.rounds(&lease);
                lease.release(&self.store)?;
                outcome
            }
        }
    }

    fn rounds(&self, lease: &Lease) -> Result<bool> {
        let mut posted = false;
        while !self.stops() && plan::advance(&self.store, lease)? && post::round(self, lease)? > 0 {
            posted = true;
        }
        Ok(posted)
    }

    /// Posts all that is due to all endpoints, one after the other.
    ///
    /// # Errors
    /// The database's.
    pub fn run_all(&self) -> Result<()> {
        loop {
            let mut further = false;
            for id in self.waiting()? {
                further |= self.session(id)?;
            }
            if !further {
                return Ok(());
            }
        }
    }
}

fn has_due(conn: &mut Conn, id: WebhookEndpointId) -> Result<bool> {
    let due = deliveries::table
        .filter(deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Pending)))
        .filter(deliveries::next_attempt_at.le(conn.now));
    let found: Option<AnyId> = due.select(deliveries::event_id).first(&mut conn.db).optional()?;
    Ok(found.is_some())
}

/// A look without a lease first: who only passes events by does not write.
fn look(conn: &mut Conn, id: WebhookEndpointId, passed: Option<(i64, i64)>) -> Result<Look> {
    let active = endpoints::table.find(id).filter(endpoints::status.eq(EndpointStatus::Active));
    let found: Option<WebhookEndpoint> = active.select(WebhookEndpoint::as_select()).first(&mut conn.db).optional()?;
    let Some(row) = found else { return Ok(Look::Nothing) };
    let Some(actor) = row.actor(conn)? else { return Ok(Look::NotEntitled) };
    if has_due(conn, id)? {
        return Ok(Look::Work);
    }
    if plan::open(conn, id)? >= plan::OPEN {
        return Ok(Look::Nothing);
    }
    if row.replay_position.is_some() {
        return Ok(Look::Work);
    }
    let from = passed.filter(|(version, _)| *version == row.version).map_or(row.position, |(_, at)| at.max(row.position));
    let (at, work) = plan::look(conn, &row, &actor, from)?;
    Ok(if work || at > row.position + PASSED { Look::Work } else { Look::Passed(row.version, at) })
}

/// The running couriers of this process. Any number of processes may have them: a lease lets one post to an endpoint at a time.
pub struct Couriers {
    post: Arc<Post>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Couriers {
    /// Starts them.
    ///
    /// # Errors
    /// [`Error::Internal`] when the machine gives no thread.
    pub fn start(post: Post) -> Result<Self> {
        let post = Arc::new(post);
        let (stop, stopped) = mpsc::channel();
        let own = Arc::clone(&post);
        let body = move || {
            let mut hands = Hands::default();
            // The sender is dropped to stop us.
            while matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                match own.waiting() {
                    Ok(waiting) => waiting.into_iter().for_each(|id| hands.send(&own, id)),
                    Err(error) => log::warn!("webhooks wait: {error}"),
                }
            }
            hands.join();
        };
        let handle = std::thread::Builder::new().name("kehu-webhooks".into()).spawn(body).map_err(Error::internal)?;
        Ok(Self { post, thread: Some((stop, handle)) })
    }

    /// Ends them: what is on its way is waited for, its result is saved.
    pub fn stop(mut self) {
        self.post.stopping.store(true, Ordering::Release);
        if let Some((stop, handle)) = self.thread.take() {
            drop(stop);
            if handle.join().is_err() {
                log::error!("the thread of webhooks panicked");
            }
        }
    }
}

/// The threads that post, one for each endpoint that has work.
#[derive(Default)]
struct Hands {
    busy: Arc<Mutex<HashSet<WebhookEndpointId>>>,
    resting: Arc<Mutex<HashMap<WebhookEndpointId, Moment>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Hands {
    fn send(&mut self, post: &Arc<Post>, id: WebhookEndpointId) {
        let rests = |until: &Moment| *until > Moment::now();
        if self.resting.lock().unwrap_or_else(PoisonError::into_inner).get(&id).is_some_and(rests) {
            return;
        }
        if !self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return;
        }
        self.threads.retain(|thread| !thread.is_finished());
        let (post, place, resting) = (Arc::clone(post), Busy(Arc::clone(&self.busy), id), Arc::clone(&self.resting));
        let body = move || {
            let place = place;
            if let Err(error) = post.session(id) {
                log::warn!(endpoint:% = id; "a webhook waits: {error}");
                resting.lock().unwrap_or_else(PoisonError::into_inner).insert(place.1, Moment::now() + REST);
            }
        };
        match std::thread::Builder::new().name("kehu-webhook".into()).spawn(body) {
            Ok(handle) => self.threads.push(handle),
            // The place is free again: the thread that there is not has taken it along.
            Err(error) => log::warn!("a webhook waits for a thread: {error}"),
        }
    }

    fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                log::error!("a thread of webhooks panicked");
            }
        }
    }
}

/// An endpoint that a thread of this process works for.
struct Busy(Arc<Mutex<HashSet<WebhookEndpointId>>>, WebhookEndpointId);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}
