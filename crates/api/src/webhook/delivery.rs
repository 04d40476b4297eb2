//! A delivery: an event on its way to an endpoint, and what became of it.

use std::{collections::HashSet, time::Duration};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Actor, AnyId, Conn, Id, Instant, Page, PageParams, Result, Store, Tx, bulk_insert,
    schema::{webhook_deliveries as deliveries, webhook_deliveries::table, webhook_endpoints as endpoints},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::endpoint::{WebhookEndpointId, allow, sees_all, visible};

/// How long the log keeps what has come to its end.
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// How many rows one statement names.
const BATCH: usize = 500;

/// Identifier of a delivery.
pub type WebhookDeliveryId = Id<WebhookDelivery>;

text_enum! {
    /// Where a delivery stands.
    pub enum DeliveryState {
        /// It is to be posted, now or after a pause.
        Pending = "pending",
        /// The receiver took it.
        Delivered = "delivered",
        /// A dead letter: the receiver took it at none of the attempts of three days.
        Dead = "dead",
        /// It was not posted: the owner may not be told of the event any more, or the endpoint has ended.
        Withheld = "withheld",
    }
}

text_enum! {
    /// Why an attempt failed.
    pub enum DeliveryFault {
        /// The receiver answered with another status than 2xx.
        Status = "status",
        /// The receiver did not answer in time.
        Timeout = "timeout",
        /// No connection, or one that broke.
        Unreachable = "unreachable",
        /// The name of the receiver leads nowhere.
        UnknownName = "unknown_name",
        /// The address may not be posted to.
        ForbiddenAddress = "forbidden_address",
        /// The certificate or the handshake of the receiver was not to be trusted.
        Tls = "tls",
        /// What the receiver answered is no HTTP.
        BadAnswer = "bad_answer",
    }
}

/// An event on its way to an endpoint. The event itself is in the feed.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
pub struct WebhookDelivery {
    /// Identifier of the delivery.
    pub id: WebhookDeliveryId,
    /// The endpoint.
    pub endpoint_id: WebhookEndpointId,
    /// The event; what stands in `webhook-id` at every attempt.
    pub event_id: AnyId,
    /// Type of the event.
    #[schema(example = "customer.updated", max_length = 64)]
    pub event_type: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was posted since it was made or last replayed.
    #[schema(minimum = 0, maximum = 1000)]
    pub attempts: i32,
    /// Not posted before this instant, nor before earlier events of the same customer were taken or given up; null at its end.
    pub next_attempt_at: Option<Instant>,
    /// When it was last posted.
    pub last_attempt_at: Option<Instant>,
    /// The HTTP status of the last answer; null when there was none.
    #[schema(minimum = 100, maximum = 999, example = 503)]
    pub last_status: Option<i32>,
    /// Why the last attempt failed; null when it did not.
    pub last_error: Option<DeliveryFault>,
    /// How long the receiver took the last time, in milliseconds.
    #[schema(minimum = 0, example = 42)]
    pub last_duration_ms: Option<i32>,
    /// When the event came to be posted.
    pub created_at: Instant,
    /// When it was taken, given up or withheld; the record is removed 30 days later.
    pub finished_at: Option<Instant>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// Filters of the list of deliveries.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeliveryFilter {
    /// Only deliveries to this endpoint.
    pub endpoint_id: Option<WebhookEndpointId>,
    /// Only deliveries that stand so; `dead` for the dead letters.
    #[param(inline, example = "dead")]
    pub state: Option<DeliveryState>,
    /// Only deliveries of this event.
    pub event_id: Option<AnyId>,
}

/// The deliveries that a caller may see: those to endpoints that it may see.
fn within<'a>(conn: &mut Conn, actor: &Actor) -> Result<deliveries::BoxedQuery<'a, MultiBackend>> {
    allow(actor)?;
    let query = table.into_boxed();
    if sees_all(actor) {
        return Ok(query);
    }
    let own: Vec<WebhookEndpointId> = visible(actor).select(endpoints::id).load(&mut conn.db)?;
    Ok(query.filter(deliveries::endpoint_id.eq_any(own)))
}

/// Deliveries, the newest first.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `webhook.manage`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &DeliveryFilter, params: &PageParams) -> Result<Page<WebhookDelivery>> {
    let name = format!("webhook-deliveries?all={}&by={}&{filter:?}", sees_all(actor), actor.subject);
    let window = params.window::<WebhookDeliveryId>(&conn.keys, &name)?;
    let total = if window.include_total { Some(filtered(conn, actor, filter)?.count().get_result(&mut conn.db)?) } else { None };
    let mut query =
        filtered(conn, actor, filter)?.order(deliveries::id.desc()).limit(window.fetch()).select(WebhookDelivery::as_select());
    if let Some(before) = window.after {
        query = query.filter(deliveries::id.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &WebhookDelivery| row.id)
}

fn filtered<'a>(conn: &mut Conn, actor: &Actor, filter: &DeliveryFilter) -> Result<deliveries::BoxedQuery<'a, MultiBackend>> {
    let mut query = within(conn, actor)?;
    if let Some(id) = filter.endpoint_id {
        query = query.filter(deliveries::endpoint_id.eq(id));
    }
    if let Some(state) = filter.state {
        query = query.filter(deliveries::state.eq(state));
    }
    if let Some(id) = filter.event_id {
        query = query.filter(deliveries::event_id.eq(id));
    }
    Ok(query)
}

/// One delivery.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `webhook.manage`; [`kehu_kernel::Error::NotFound`], also for those to endpoints out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, id: WebhookDeliveryId) -> Result<WebhookDelivery> {
    let query = within(conn, actor)?;
    Ok(query.filter(deliveries::id.eq(id)).select(WebhookDelivery::as_select()).first(&mut conn.db)?)
}

pub(super) fn of_event(conn: &mut Conn, id: WebhookEndpointId, event: AnyId) -> Result<WebhookDelivery> {
    let found = table.filter(deliveries::endpoint_id.eq(id).and(deliveries::event_id.eq(event)));
    Ok(found.select(WebhookDelivery::as_select()).first(&mut conn.db)?)
}

/// Which of these events are deliveries already.
fn known(conn: &mut Conn, id: WebhookEndpointId, events: &[AnyId]) -> Result<HashSet<AnyId>> {
    let found = table.filter(deliveries::endpoint_id.eq(id)).filter(deliveries::event_id.eq_any(events.to_vec()));
    Ok(found.select(deliveries::event_id).load(&mut conn.db)?.into_iter().collect())
}

/// Makes deliveries of these events, each with its type; once each, whoever asks how often.
pub(super) fn add(tx: &mut Tx<'_>, id: WebhookEndpointId, events: &[(AnyId, String)]) -> Result<()> {
    let ids: Vec<AnyId> = events.iter().map(|(event, _)| *event).collect();
    let known = known(tx, id, &ids)?;
    let now = tx.now;
    let fresh = |(event, kind): &(AnyId, String)| WebhookDelivery {
        id: WebhookDeliveryId::new(),
        endpoint_id: id,
        event_id: *event,
        event_type: kind.clone(),
        state: DeliveryState::Pending,
        attempts: 0,
        next_attempt_at: Some(now),
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        last_duration_ms: None,
        created_at: now,
        finished_at: None,
        version: 1,
    };
    let rows: Vec<WebhookDelivery> = events.iter().filter(|(event, _)| !known.contains(event)).map(fresh).collect();
    bulk_insert!(tx, table, &rows)?;
    Ok(())
}

/// Has deliveries of these events begin anew.
pub(super) fn again(tx: &mut Tx<'_>, id: WebhookEndpointId, events: &[AnyId]) -> Result<()> {
    for events in events.chunks(BATCH) {
        let ended = table
            .filter(deliveries::endpoint_id.eq(id))
            .filter(deliveries::event_id.eq_any(events.to_vec()))
            .filter(deliveries::state.ne(DeliveryState::Pending));
        diesel::update(ended)
            .set((
                deliveries::state.eq(DeliveryState::Pending),
                deliveries::attempts.eq(0),
                deliveries::next_attempt_at.eq(tx.now),
                deliveries::finished_at.eq(None::<Instant>),
                deliveries::version.eq(deliveries::version + 1),
            ))
            .execute(&mut tx.db)?;
    }
    Ok(())
}

/// Whether several deliveries wait that have failed: one alone may be at fault itself.
pub(super) fn several_failed(conn: &mut Conn, id: WebhookEndpointId) -> Result<bool> {
    let failed = table
        .filter(deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Pending)))
        .filter(deliveries::attempts.gt(0));
    let found: Vec<AnyId> = failed.select(deliveries::event_id).limit(2).load(&mut conn.db)?;
    Ok(found.len() > 1)
}

/// Ends the pauses of what waits: the receiver takes something again.
pub(super) fn hasten(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<()> {
    let waiting = table
        .filter(deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Pending)))
        .filter(deliveries::next_attempt_at.gt(tx.now));
    diesel::update(waiting)
        .set((deliveries::next_attempt_at.eq(tx.now), deliveries::version.eq(deliveries::version + 1)))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Takes back what waits for an endpoint.
pub(super) fn withhold_all(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<()> {
    withhold(tx, id, None)
}

/// Takes back what waits of these events.
pub(super) fn withhold(tx: &mut Tx<'_>, id: WebhookEndpointId, events: Option<&[AnyId]>) -> Result<()> {
    let pending = deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Pending));
    let change = (
        deliveries::state.eq(DeliveryState::Withheld),
        deliveries::next_attempt_at.eq(None::<Instant>),
        deliveries::finished_at.eq(tx.now),
        deliveries::version.eq(deliveries::version + 1),
    );
    match events {
        None => diesel::update(table.filter(pending)).set(change).execute(&mut tx.db)?,
        Some(events) => {
            let named = table.filter(pending).filter(deliveries::event_id.eq_any(events.to_vec()));
            diesel::update(named).set(change).execute(&mut tx.db)?
        }
    };
    Ok(())
}

/// Removes what has come to its end long ago; returns how much.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store) -> Result<usize> {
    let mut removed = 0;
    loop {
        let batch = store.write_blocking(|tx| {
            let limit = i64::try_from(BATCH).map_err(kehu_kernel::Error::internal)?;
            let old = table.filter(deliveries::finished_at.lt(tx.now.minus(KEPT))).select(deliveries::id).limit(limit);
            let ids: Vec<WebhookDeliveryId> = old.load(&mut tx.db)?;
            Ok(diesel::delete(table.filter(deliveries::id.eq_any(ids))).execute(&mut tx.db)?)
        })?;
        removed += batch;
        if batch < BATCH {
            return Ok(removed);
        }
    }
}
