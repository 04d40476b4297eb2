//! What is done to an endpoint and its deliveries: secrets rotated, stopped and resumed, tried out, sent again.

use std::time::Duration;

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_customer::scope;
use kehu_kernel::{
    Action, Actor, AnyId, Error, Instant, Result, Tx,
    event::NewEvent,
    schema::{events, webhook_deliveries as deliveries, webhook_endpoints as endpoints},
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    PREVIOUS, SECRET,
    delivery::{self, DeliveryState, WebhookDelivery, WebhookDeliveryId},
    endpoint::{
        EndpointReason, EndpointStatus, IssuedWebhookEndpoint, WebhookEndpoint, WebhookEndpointId, changeable, find, own,
        seal_asker,
    },
    signature,
};

/// How a secret is replaced.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookSecretRotation)]
pub struct SecretRotation {
    /// For how many seconds messages are signed with the old secret, too; a day unless given, 0 for a secret that leaked.
    #[schema(minimum = 0, maximum = 604_800, example = 86_400)]
    #[validate(range(min = 0, max = 604_800))]
    pub grace_seconds: Option<i64>,
}

/// Which part of the feed is posted again.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookReplay)]
pub struct Replay {
    /// After this place in the feed: `sequence` of the last event that needs no repetition, or `0`.
    #[schema(min_length = 1, max_length = 20, pattern = "^[0-9]{1,20}$", example = "0")]
    #[validate(length(min = 1, max = 20))]
    pub after: String,
    /// Up to this place and with it; up to where the endpoint is unless given.
    #[schema(min_length = 1, max_length = 20, pattern = "^[0-9]{1,20}$", example = "4711")]
    #[validate(length(min = 1, max = 20))]
    pub until: Option<String>,
    /// Only what is a dead letter, whatever was taken; false unless given.
    #[serde(default)]
    pub dead_only: bool,
}

/// Gives an endpoint a fresh secret; messages are signed by the old one, too, until its grace period ends.
///
/// # Errors
/// As [`own`].
pub fn rotate(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: WebhookEndpointId,
    version: i64,
    change: &SecretRotation,
) -> Result<IssuedWebhookEndpoint> {
    let found = own(tx, actor, id, version)?;
    let sealed = found.secret_sealed.as_ref().ok_or_else(|| Error::internal("an endpoint without a secret"))?;
    let old = tx.keys.open(SECRET, id, sealed)?;
    let secret = signature::generate();
    let grace = Duration::from_secs(u64::try_from(change.grace_seconds.unwrap_or(86_400)).unwrap_or(0));
    let kept = if grace.is_zero() { None } else { Some(tx.keys.seal(PREVIOUS, id, &old)?) };
    let until = kept.as_ref().map(|_| tx.now.plus(grace));
    diesel::update(endpoints::table.find(id))
        .set((
            endpoints::secret_sealed.eq(tx.keys.seal(SECRET, id, &secret)?),
            endpoints::previous_secret_sealed.eq(kept),
            endpoints::previous_valid_until.eq(until),
            endpoints::updated_at.eq(tx.now),
            endpoints::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("webhook_endpoint.secret_rotated", id, json!({})));
    Ok(IssuedWebhookEndpoint { endpoint: find(tx, id)?, secret })
}

/// Stops posting; also for the endpoints of others, with depth `all`.
///
/// # Errors
/// As [`changeable`]; [`Error::Conflict`] `webhook_endpoint_disabled`.
pub fn disable(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64) -> Result<WebhookEndpoint> {
    let found = changeable(tx, actor, id, version)?;
    if found.status == EndpointStatus::Disabled {
        return Err(Error::conflict("webhook_endpoint_disabled", "The webhook endpoint is disabled already."));
    }
    stop(tx, actor, id, EndpointReason::Requested)?;
    find(tx, id)
}

/// Disables an endpoint, for a reason.
pub(super) fn stop(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, reason: EndpointReason) -> Result<()> {
    let active = endpoints::table.find(id).filter(endpoints::status.eq(EndpointStatus::Active));
    let stopped = diesel::update(active)
        .set((
            endpoints::status.eq(EndpointStatus::Disabled),
            endpoints::status_reason.eq(reason),
            endpoints::updated_at.eq(tx.now),
            endpoints::version.eq(endpoints::version + 1),
        ))
        .execute(&mut tx.db)?;
    if stopped == 1 {
        tx.emit(actor, NewEvent::new("webhook_endpoint.disabled", id, json!({ "reason": reason })));
    }
    Ok(())
}

/// Resumes an endpoint of the caller's own where it was: what waits is posted at once, what happened meanwhile follows.
///
/// # Errors
/// As [`own`]; [`Error::Forbidden`] without `event.read`; [`Error::Conflict`] `webhook_endpoint_active`.
pub fn enable(tx: &mut Tx<'_>, actor: &Actor, asker: &Value, id: WebhookEndpointId, version: i64) -> Result<WebhookEndpoint> {
    let found = own(tx, actor, id, version)?;
    scope::allow_inside(actor, Action::EventRead)?;
    if found.status == EndpointStatus::Active {
        return Err(Error::conflict("webhook_endpoint_active", "The webhook endpoint is active already."));
    }
    let asker_sealed = seal_asker(tx, id, asker)?;
    diesel::update(endpoints::table.find(id))
        .set((
            endpoints::status.eq(EndpointStatus::Active),
            endpoints::status_reason.eq(None::<EndpointReason>),
            endpoints::asker_sealed.eq(asker_sealed),
            endpoints::failing_since.eq(None::<Instant>),
            endpoints::resume_at.eq(None::<Instant>),
            endpoints::updated_at.eq(tx.now),
            endpoints::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    delivery::hasten(tx, id)?;
    tx.emit(actor, NewEvent::new("webhook_endpoint.enabled", id, json!({})));
    find(tx, id)
}

/// Ends an endpoint for ever: its secret is forgotten, what waits is not posted. Also for the endpoints of others, with depth `all`.
///
/// # Errors
/// As [`changeable`].
pub fn end(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64) -> Result<WebhookEndpoint> {
    changeable(tx, actor, id, version)?;
    diesel::update(endpoints::table.find(id))
        .set((
            endpoints::status.eq(EndpointStatus::Ended),
            endpoints::status_reason.eq(None::<EndpointReason>),
            endpoints::secret_sealed.eq(None::<Vec<u8>>),
            endpoints::previous_secret_sealed.eq(None::<Vec<u8>>),
            endpoints::previous_valid_until.eq(None::<Instant>),
            endpoints::replay_position.eq(None::<i64>),
            endpoints::replay_until.eq(None::<i64>),
            endpoints::updated_at.eq(tx.now),
            endpoints::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    delivery::withhold_all(tx, id)?;
    tx.emit(actor, NewEvent::new("webhook_endpoint.ended", id, json!({})));
    find(tx, id)
}

/// Has an event posted to this endpoint alone, whatever types it wants.
///
/// # Errors
/// As [`own`]; [`Error::Conflict`] `webhook_endpoint_disabled`.
pub fn test(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64) -> Result<WebhookDelivery> {
    let found = own(tx, actor, id, version)?;
    active(&found)?;
    let event = NewEvent::new("webhook_endpoint.tested", id, json!({ "endpoint_id": id }));
    let kind = event.kind;
    let event = tx.record(actor, event);
    delivery::add(tx, id, &[(event, kind.to_owned())])?;
    delivery::of_event(tx, id, event)
}

fn active(endpoint: &WebhookEndpoint) -> Result<()> {
    match endpoint.status {
        EndpointStatus::Active => Ok(()),
        _ => Err(Error::conflict("webhook_endpoint_disabled", "The webhook endpoint is disabled; enable it first.")),
    }
}

/// Has a part of the feed posted again, in its order, beside what happens now.
///
/// # Errors
/// As [`own`]; [`Error::Invalid`] for what is no place; [`Error::Conflict`] `webhook_replay_running`.
pub fn replay(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64, wish: &Replay) -> Result<WebhookEndpoint> {
    let found = own(tx, actor, id, version)?;
    active(&found)?;
    let place = |at: &str, text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u128>().ok().filter(|_| plain);
        // Twenty digits may be more than there will ever be.
        let number = number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
        number.ok_or_else(|| Error::invalid(at, "invalid_position", "Give the sequence of an event, or 0."))
    };
    let after = place("/after", &wish.after)?;
    // What the endpoint has not come to yet is posted anyway.
    let until = wish.until.as_deref().map_or(Ok(found.position), |text| place("/until", text))?.min(found.position);
    if wish.dead_only {
        let dead = deliveries::table
            .inner_join(events::table.on(events::id.eq(deliveries::event_id)))
            .filter(deliveries::endpoint_id.eq(id).and(deliveries::state.eq(DeliveryState::Dead)))
            .filter(events::position.gt(after).and(events::position.le(until)));
        let ids: Vec<AnyId> = dead.select(deliveries::event_id).load(&mut tx.db)?;
        delivery::again(tx, id, &ids)?;
    } else {
        if found.replay_position.is_some() {
            return Err(Error::conflict("webhook_replay_running", "A replay is running; wait until it has come to its end."));
        }
        diesel::update(endpoints::table.find(id))
            .set((endpoints::replay_position.eq(after), endpoints::replay_until.eq(until)))
            .execute(&mut tx.db)?;
    }
    diesel::update(endpoints::table.find(id))
        .set((endpoints::updated_at.eq(tx.now), endpoints::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let data = json!({ "after": after, "until": until, "dead_only": wish.dead_only });
    tx.emit(actor, NewEvent::new("webhook_endpoint.replayed", id, data));
    find(tx, id)
}

/// Has one delivery posted again, whatever became of it.
///
/// # Errors
/// As [`own`], with the version of the delivery; [`Error::Conflict`] `webhook_delivery_pending`.
pub fn replay_one(tx: &mut Tx<'_>, actor: &Actor, id: WebhookDeliveryId, version: i64) -> Result<WebhookDelivery> {
    let found = delivery::get(tx, actor, id)?;
    let endpoint = find(tx, found.endpoint_id)?;
    own(tx, actor, endpoint.id, endpoint.version)?;
    let found = delivery::get(tx, actor, found.id)?;
    if found.version != version {
        return Err(Error::PreconditionFailed { current: found.version });
    }
    active(&endpoint)?;
    if found.state == DeliveryState::Pending {
        return Err(Error::conflict("webhook_delivery_pending", "The delivery is on its way already."));
    }
    delivery::again(tx, endpoint.id, &[found.event_id])?;
    let data = json!({ "delivery_id": id });
    tx.emit(actor, NewEvent::new("webhook_endpoint.replayed", endpoint.id, data));
    delivery::get(tx, actor, id)
}
