//! From the feed to deliveries: what follows an endpoint's place, and what a replay asks for.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, AnyId, Conn, Result, Store, Tx,
    schema::{webhook_deliveries as deliveries, webhook_endpoints as endpoints},
};

use super::{
    delivery::{self, DeliveryState},
    endpoint::{self, EndpointStatus, WebhookEndpoint, WebhookEndpointId},
    lease::Lease,
};
use crate::events::feed;

/// How many deliveries are open before no more of the feed is read for an endpoint: the feed itself is the queue.
pub(super) const OPEN: i64 = 1_000;
/// How many events become deliveries at once.
const STRETCH: usize = 100;

/// What was read for an endpoint.
struct Found {
    events: Vec<(AnyId, String)>,
    next: i64,
    more: bool,
}

fn read(conn: &mut Conn, endpoint: &WebhookEndpoint, actor: &Actor, after: i64, until: i64) -> Result<Found> {
    let found = feed::read(conn, actor, &endpoint.wanted(STRETCH)?, after)?;
    let events = found.events.into_iter().filter(|event| event.position() <= until).map(|event| (event.id, event.kind));
    Ok(Found { events: events.collect(), more: found.more && found.next < until, next: found.next.min(until) })
}

/// The place after which something may be for this endpoint, and whether something is.
pub(super) fn look(conn: &mut Conn, endpoint: &WebhookEndpoint, actor: &Actor, after: i64) -> Result<(i64, bool)> {
    let found = feed::read(conn, actor, &endpoint.wanted(1)?, after)?;
    Ok((if found.events.is_empty() { found.next } else { after }, !found.events.is_empty()))
}

/// How many deliveries are open.
pub(super) fn open(conn: &mut Conn, id: WebhookEndpointId) -> Result<i64> {
    let open = deliveries::table.filter(deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Pending)));
    Ok(open.count().get_result(&mut conn.db)?)
}

/// Makes deliveries until enough are open or the feed has come to its end; `false` when the lease is lost or nobody's rights
/// count any more.
pub(super) fn advance(store: &Store, lease: &Lease) -> Result<bool> {
    loop {
        let id = lease.endpoint;
        let found = store.read_blocking(move |conn| {
            let row = endpoint::find(conn, id)?;
            let Some(actor) = row.actor(conn)?.filter(|_| row.status == EndpointStatus::Active) else { return Ok(None) };
            if open(conn, id)? >= OPEN {
                return Ok(Some((row, None, None)));
            }
            let replay = match (row.replay_position, row.replay_until) {
                (Some(at), Some(until)) => Some((read(conn, &row, &actor, at, until)?, until)),
                _ => None,
            };
            let fresh = read(conn, &row, &actor, row.position, i64::MAX)?;
            Ok(Some((row, Some(fresh), replay)))
        })?;
        let Some((row, fresh, replay)) = found else { return Ok(false) };
        let Some(fresh) = fresh else { return Ok(true) };
        let more = fresh.more || replay.is_some();
        let lease = *lease;
        let held = store.write_blocking(move |tx| save(tx, &lease, &row, &fresh, replay.as_ref()))?;
        if !held || !more {
            return Ok(held);
        }
    }
}

/// Saves deliveries and places together; what was read for another version of the endpoint is read again.
fn save(tx: &mut Tx<'_>, lease: &Lease, row: &WebhookEndpoint, fresh: &Found, replay: Option<&(Found, i64)>) -> Result<bool> {
    let Some(renewed) = lease.renew(tx)? else { return Ok(false) };
    if renewed.version != row.version {
        return Ok(true);
    }
    if let Some((found, until)) = replay {
        let ids: Vec<AnyId> = found.events.iter().map(|(event, _)| *event).collect();
        delivery::again(tx, row.id, &ids)?;
        delivery::add(tx, row.id, &found.events)?;
        let on = (found.more && found.next < *until).then_some(found.next);
        diesel::update(endpoints::table.find(row.id))
            .set((endpoints::replay_position.eq(on), endpoints::replay_until.eq(on.map(|_| *until))))
            .execute(&mut tx.db)?;
    }
    delivery::add(tx, row.id, &fresh.events)?;
    diesel::update(endpoints::table.find(row.id)).set(endpoints::position.eq(fresh.next)).execute(&mut tx.db)?;
    Ok(true)
}
