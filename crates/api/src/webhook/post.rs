//! A round of posting: what is due, in the order of each customer, a few at a time; each result is saved at once.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant as Moment},
};

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, AnyId, Conn, Error, Instant, Result, Tx,
    event::Event,
    schema::{events, webhook_deliveries as deliveries, webhook_endpoints as endpoints},
};

use super::{
    PREVIOUS, SECRET, command,
    courier::Post,
    delivery::{self, DeliveryFault, DeliveryState, WebhookDelivery, WebhookDeliveryId},
    endpoint::{self, EndpointReason, EndpointStatus, WebhookEndpoint},
    lease::{Lease, Renewed},
    outbound::{Message, Outcome},
    plan, schedule, signature,
};
use crate::events::{CloudEvent, feed};

/// How many messages are on their way to one endpoint at once.
const AT_ONCE: usize = 4;
/// How long a round begins new messages; then what is told is looked at anew.
const ROUND: Duration = Duration::from_secs(5);
/// A receiver that takes something again after so long was down; what waits need not wait any longer.
const OUTAGE: Duration = Duration::from_secs(60);
/// After so long without a success an endpoint is disabled.
const PATIENCE: Duration = Duration::from_secs(5 * 86_400);

/// A delivery with what is posted.
struct Item {
    delivery: WebhookDelivery,
    event: CloudEvent,
}

/// What a round has to do.
struct Due {
    endpoint: WebhookEndpoint,
    secrets: Vec<String>,
    /// For each customer what is due, in order.
    queues: VecDeque<Vec<Item>>,
    /// Events that the owner may not be told of any more.
    hidden: Vec<AnyId>,
}

/// Posts what is due; how many deliveries it has dealt with.
pub(super) fn round(post: &Post, lease: &Lease) -> Result<usize> {
    let lease = *lease;
    let Some(due) = post.store.read_blocking(|conn| due(conn, &lease))? else { return Ok(0) };
    let Due { endpoint, secrets, queues, hidden } = due;
    let withheld = hidden.len();
    if withheld > 0 {
        post.store.write_blocking(move |tx| delivery::withhold(tx, lease.endpoint, Some(&hidden)))?;
    }
    let round = Round {
        post,
        lease,
        endpoint,
        secrets,
        until: Moment::now() + ROUND,
        halted: AtomicBool::new(false),
        fault: Mutex::new(None),
    };
    let threads = queues.len().min(AT_ONCE);
    let (queues, done) = (Mutex::new(queues), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = 0;
                while let Some(queue) = queues.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
                    own += round.run(queue);
                }
                *done.lock().unwrap_or_else(PoisonError::into_inner) += own;
            });
        }
    });
    match round.fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(fault) => Err(fault),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner) + withheld),
    }
}

/// What is due, told as the owner may be told at this moment.
fn due(conn: &mut Conn, lease: &Lease) -> Result<Option<Due>> {
    let row = endpoint::find(conn, lease.endpoint)?;
    let resting = row.resume_at.is_some_and(|at| at > conn.now);
    let Some(actor) = row.actor(conn)?.filter(|_| row.status == EndpointStatus::Active && !resting) else { return Ok(None) };
    let waiting: Vec<(WebhookDelivery, Event)> = deliveries::table
        .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
        .filter(deliveries::endpoint_id.eq(row.id).and(deliveries::state.eq(DeliveryState::Pending)))
        .filter(events::position.is_not_null())
        .order(events::position)
        .limit(plan::OPEN * 2)
        .select((WebhookDelivery::as_select(), Event::as_select()))
        .load(&mut conn.db)?;
    let now = conn.now;
    let (waiting, events): (Vec<WebhookDelivery>, Vec<Event>) = waiting.into_iter().unzip();
    let told = feed::tell(conn, &actor, events, row.id.cast())?;
    let mut told: HashMap<AnyId, CloudEvent> = told.into_iter().map(|event| (event.id, event)).collect();
    let (mut queues, mut hidden, mut blocked) = (Vec::<Vec<Item>>::new(), Vec::new(), HashSet::new());
    let mut places = HashMap::new();
    for delivery in waiting {
        let Some(event) = told.remove(&delivery.event_id) else {
            hidden.push(delivery.event_id);
            continue;
        };
        let partition = event.partitionkey;
        // What comes later of the same customer waits for what failed.
        if blocked.contains(&partition) || delivery.next_attempt_at.is_some_and(|at| at > now) {
            blocked.insert(partition);
            continue;
        }
        let place = *places.entry(partition).or_insert(queues.len());
        match queues.get_mut(place) {
            Some(queue) => queue.push(Item { delivery, event }),
            None => queues.push(vec![Item { delivery, event }]),
        }
    }
    let secrets = secrets(conn, &row)?;
    Ok(Some(Due { endpoint: row, secrets, queues: queues.into(), hidden }))
}

/// The secrets that messages are signed with, the present one first.
fn secrets(conn: &Conn, row: &WebhookEndpoint) -> Result<Vec<String>> {
    let previous = row.previous_secret_sealed.as_ref().filter(|_| row.previous_valid_until.is_some_and(|until| conn.now < until));
    let present = row.secret_sealed.as_ref().map(|sealed| conn.keys.open(SECRET, row.id, sealed));
    present.into_iter().chain(previous.map(|sealed| conn.keys.open(PREVIOUS, row.id, sealed))).collect()
}

struct Round<'a> {
    post: &'a Post,
    lease: Lease,
    endpoint: WebhookEndpoint,
    secrets: Vec<String>,
    until: Moment,
    halted: AtomicBool,
    fault: Mutex<Option<Error>>,
}

impl Round<'_> {
    /// Posts the messages of one customer until one is not taken; how many it has posted.
    fn run(&self, queue: Vec<Item>) -> usize {
        let mut posted = 0;
        for item in queue {
            if self.halted.load(Ordering::Acquire) || self.post.stops() || self.until <= Moment::now() {
                break;
            }
            posted += 1;
            match self.attempt(&item) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.halted.store(true, Ordering::Release);
                    self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
        posted
    }

    /// Posts one message and saves what came of it; whether it was taken.
    fn attempt(&self, item: &Item) -> Result<bool> {
        let body = serde_json::to_string(&item.event).map_err(Error::internal)?;
        let (id, timestamp) = (item.event.id.to_string(), self.post.store.now().seconds());
        let signature = signature::sign(&id, timestamp, &body, self.secrets.iter().map(String::as_str))?;
        let begun = Moment::now();
        let outcome = self.post.outbound.post(&Message { url: &self.endpoint.url, id, timestamp, signature, body });
        let taken = matches!(outcome, Outcome::Taken(_));
        let took = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX);
        let attempt = Attempt {
            lease: self.lease,
            id: item.delivery.id,
            version: item.delivery.version,
            attempts: item.delivery.attempts + 1,
            outcome,
            took,
        };
        let renewed = self.post.store.write_blocking(move |tx| attempt.save(tx))?;
        // Somebody has changed the endpoint, or has the lease: look anew.
        if renewed.is_none_or(|renewed| renewed.version != self.endpoint.version) {
            self.halted.store(true, Ordering::Release);
        }
        Ok(taken)
    }
}

/// What is saved of an attempt.
struct Attempt {
    lease: Lease,
    id: WebhookDeliveryId,
    version: i64,
    attempts: i32,
    outcome: Outcome,
    took: i32,
}

impl Attempt {
    fn save(&self, tx: &mut Tx<'_>) -> Result<Option<Renewed>> {
        let renewed = self.lease.renew(tx)?;
        self.save_delivery(tx)?;
        let Some(before) = renewed else { return Ok(None) };
        let (id, now) = (self.lease.endpoint, tx.now);
        match &self.outcome {
            Outcome::Taken(_) => {
                diesel::update(endpoints::table.find(id))
                    .set((endpoints::last_success_at.eq(now), endpoints::failing_since.eq(None::<Instant>)))
                    .execute(&mut tx.db)?;
                if before.failing_since.is_some_and(|since| since.plus(OUTAGE) < now) && delivery::several_failed(tx, id)? {
                    delivery::hasten(tx, id)?;
                }
            }
            Outcome::Refused { status, retry_after } => {
                self.failed(tx, before.failing_since)?;
                if let Some(rest) = schedule::rest(*status, *retry_after) {
                    let resume = endpoints::resume_at.eq(now.plus(rest));
                    diesel::update(endpoints::table.find(id)).set(resume).execute(&mut tx.db)?;
                    // The others look anew, and see that the receiver wants a rest.
                    return Ok(None);
                }
                if *status == 410 {
                    command::stop(tx, &Actor::system(), id, EndpointReason::Gone)?;
                    return Ok(None);
                }
            }
            Outcome::Failed(_) => self.failed(tx, before.failing_since)?,
        }
        Ok(Some(before))
    }

    /// An endpoint that has taken nothing for days is disabled.
    fn failed(&self, tx: &mut Tx<'_>, since: Option<Instant>) -> Result<()> {
        let (id, now) = (self.lease.endpoint, tx.now);
        match since {
            None => {
                diesel::update(endpoints::table.find(id)).set(endpoints::failing_since.eq(now)).execute(&mut tx.db)?;
            }
            Some(since) if since.plus(PATIENCE) < now => command::stop(tx, &Actor::system(), id, EndpointReason::Failing)?,
            Some(_) => {}
        }
        Ok(())
    }

    fn save_delivery(&self, tx: &mut Tx<'_>) -> Result<()> {
        let (now, attempts) = (tx.now, self.attempts);
        let (status, fault) = match &self.outcome {
            Outcome::Taken(status) => (Some(i32::from(*status)), None),
            Outcome::Refused { status, .. } => (Some(i32::from(*status)), Some(DeliveryFault::Status)),
            Outcome::Failed(fault) => (None, Some(*fault)),
        };
        let next = fault.and_then(|_| schedule::pause(attempts)).map(|pause| now.plus(pause));
        let state = match (fault, next) {
            (None, _) => DeliveryState::Delivered,
            (Some(_), Some(_)) => DeliveryState::Pending,
            (Some(_), None) => DeliveryState::Dead,
        };
        // Not if somebody took it back or began anew meanwhile.
        let same = deliveries::table.find(self.id).filter(deliveries::version.eq(self.version));
        diesel::update(same)
            .set((
                deliveries::state.eq(state),
                deliveries::attempts.eq(attempts),
                deliveries::next_attempt_at.eq(next),
                deliveries::last_attempt_at.eq(now),
                deliveries::last_status.eq(status),
                deliveries::last_error.eq(fault),
                deliveries::last_duration_ms.eq(self.took),
                deliveries::finished_at.eq((state != DeliveryState::Pending).then_some(now)),
                deliveries::version.eq(deliveries::version + 1),
            ))
            .execute(&mut tx.db)?;
        Ok(())
    }
}
