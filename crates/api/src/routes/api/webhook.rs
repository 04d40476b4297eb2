//! `/v1/webhook-endpoints` and `/v1/webhook-deliveries`

use std::pin::Pin;

use actix_web::{FromRequest, HttpRequest, dev::Payload, get, http::StatusCode, patch, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use serde_json::Value;

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    gate::Gate,
    problem::Problem,
    reply::{Answer, Reply},
    routes::ServiceConfig,
    settings::Settings,
    webhook::{
        self, DeliveryFilter, EndpointFilter, IssuedWebhookEndpoint, NewWebhookEndpoint, Replay, SecretRotation, WebhookDelivery,
        WebhookDeliveryId, WebhookEndpoint, WebhookEndpointId, WebhookEndpointPatch, address::Addresses,
    },
};

/// The operations on endpoints.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_webhook_endpoints)
        .service(create_webhook_endpoint)
        .service(get_webhook_endpoint)
        .service(update_webhook_endpoint)
        .service(rotate_webhook_secret)
        .service(disable_webhook_endpoint)
        .service(enable_webhook_endpoint)
        .service(end_webhook_endpoint)
        .service(test_webhook_endpoint)
        .service(replay_webhook_events);
}

/// The operations on deliveries.
pub fn configure_deliveries(config: &mut ServiceConfig<'_>) {
    config.service(list_webhook_deliveries).service(get_webhook_delivery).service(replay_webhook_delivery);
}

/// What an endpoint is set up with, besides what the caller says: whose rights count, and where it may post to.
struct Setup {
    asker: Value,
    addresses: Addresses,
}

impl FromRequest for Setup {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let (gate, settings) = (request.app_data::<Data<Gate>>(), request.app_data::<Data<Settings>>());
            let (Some(gate), Some(settings)) = (gate, settings) else {
                return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR));
            };
            let asker = gate.asker(&request).await?.to_json()?;
            Ok(Self { asker, addresses: settings.webhook_addresses() })
        })
    }
}

/// List webhook endpoints
///
/// The endpoints of the caller in the order of their creation, ended ones included; with the right to it at depth `all` those
/// of everybody.
#[utoipa::path(tag = "webhooks", params(EndpointFilter, PageParams),
    responses((status = 200, description = "A page of endpoints", body = Page<WebhookEndpoint>)), security(("bearer" = ["webhook.manage"])))]
#[get("")]
async fn list_webhook_endpoints(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<EndpointFilter>,
) -> Answer<Page<WebhookEndpoint>> {
    let page = store.read(move |conn| webhook::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a webhook endpoint
///
/// Has events posted to a URL, as CloudEvents signed after Standard Webhooks 1.0, and shows the secret, this once. What is
/// posted is what `list_events` tells to the caller, judged anew at each attempt: the caller is the owner, whose rights count.
///
/// An event is posted until the receiver answers 2xx, ten times over three days, then it is a dead letter. It may come twice,
/// with the same `webhook-id`. Events of one customer come in their order; those of others do not wait for them. The receiver
/// has 15 seconds unless the operator set another limit; redirects are not followed; 410 disables the endpoint; 429, 502, 503
/// and 504 have it rest, as long as `Retry-After` says but not more than an hour.
#[utoipa::path(tag = "webhooks", request_body = NewWebhookEndpoint,
    responses((status = 201, description = "The new endpoint with its secret", body = IssuedWebhookEndpoint)),
    security(("bearer" = ["webhook.manage"])))]
#[post("")]
async fn create_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    setup: Setup,
    body: Json<NewWebhookEndpoint>,
) -> Answer<IssuedWebhookEndpoint> {
    let Setup { asker, addresses } = setup;
    let made = store.write(move |tx| webhook::create(tx, &caller, &addresses, &asker, &body.0)).await?;
    Ok(Reply::created(format!("/v1/webhook-endpoints/{}", made.endpoint.id), made.endpoint.version, made))
}

/// Get a webhook endpoint
///
/// One endpoint, ended or not, without its secret: where it stands in the feed, and how its receiver fares.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint")),
    responses((status = 200, description = "The endpoint", body = WebhookEndpoint)), security(("bearer" = ["webhook.manage"])))]
#[get("/{endpoint_id}")]
async fn get_webhook_endpoint(caller: Caller, store: Data<Store>, id: Path<WebhookEndpoint>) -> Answer<WebhookEndpoint> {
    let found = store.glance(move |conn| webhook::get(conn, &caller, id.0)).await?;
    Ok(Reply::fresh(found.version, found))
}

/// Update a webhook endpoint
///
/// Changes the given fields (JSON Merge Patch) of an endpoint of the caller's own. What waits is posted to the new URL; types
/// count for what the endpoint has not come to yet.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint")),
    request_body = WebhookEndpointPatch, responses((status = 200, description = "The changed endpoint", body = WebhookEndpoint)),
    security(("bearer" = ["webhook.manage"])))]
#[patch("/{endpoint_id}")]
async fn update_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    setup: Setup,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
    body: Json<WebhookEndpointPatch>,
) -> Answer<WebhookEndpoint> {
    let Setup { asker, addresses } = setup;
    let changed = store.write(move |tx| webhook::update(tx, &caller, &addresses, &asker, (id.0, version.0), &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Rotate the secret of a webhook endpoint
///
/// Gives an endpoint of the caller's own a fresh secret and shows it, this once. Until the grace period ends, messages carry a
/// signature by the old one, too, so that the receiver can be reconfigured without an interruption.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    request_body = SecretRotation, responses((status = 200, description = "The endpoint with its new secret", body = IssuedWebhookEndpoint)),
    security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/rotate-secret")]
async fn rotate_webhook_secret(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
    body: Json<SecretRotation>,
) -> Answer<IssuedWebhookEndpoint> {
    let made = store.write(move |tx| webhook::rotate(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(made.endpoint.version, made))
}

/// Disable a webhook endpoint
///
/// Stops posting. Nothing is lost: enabled again, the endpoint goes on where it was. With the right to it at depth `all` also the
/// endpoints of others.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    responses((status = 200, description = "The disabled endpoint", body = WebhookEndpoint)), security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/disable")]
async fn disable_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
) -> Answer<WebhookEndpoint> {
    let changed = store.write(move |tx| webhook::disable(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Enable a webhook endpoint
///
/// Has a disabled endpoint of the caller's own go on where it was: what waits is posted at once, and what happened meanwhile follows.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    responses((status = 200, description = "The active endpoint", body = WebhookEndpoint)), security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/enable")]
async fn enable_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    setup: Setup,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
) -> Answer<WebhookEndpoint> {
    let changed = store.write(move |tx| webhook::enable(tx, &caller, &setup.asker, id.0, version.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a webhook endpoint
///
/// Ends the endpoint for ever: its secret is forgotten, and what waits is not posted. The record stays. With the right to it at depth
/// `all` also the endpoints of others.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    responses((status = 200, description = "The ended endpoint", body = WebhookEndpoint)), security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/end")]
async fn end_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
) -> Answer<WebhookEndpoint> {
    let changed = store.write(move |tx| webhook::end(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Test a webhook endpoint
///
/// Posts an event `webhook_endpoint.tested` to this endpoint, whatever types it wants. Follow the delivery to see what came of it.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    responses((status = 202, description = "The delivery, about to be posted", body = WebhookDelivery)), security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/test")]
async fn test_webhook_endpoint(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
) -> Answer<WebhookDelivery> {
    let made = store.write(move |tx| webhook::test(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::accepted(format!("/v1/webhook-deliveries/{}", made.id), made))
}

/// Replay events to a webhook endpoint
///
/// Posts a part of the feed to an endpoint of the caller's own again, in its order and beside what happens now: what was taken and what
/// was not, or the dead letters alone. What the caller may not be told of today is not posted. `replay_position` shows how far
/// it is; one replay runs at a time.
#[utoipa::path(tag = "webhooks", params(("endpoint_id" = WebhookEndpointId, Path, description = "Id of the endpoint"), IfMatchHeader),
    request_body = Replay, responses((status = 202, description = "The endpoint, about to repeat", body = WebhookEndpoint)),
    security(("bearer" = ["webhook.manage"])))]
#[post("/{endpoint_id}/replay")]
async fn replay_webhook_events(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookEndpoint>,
    version: IfMatch,
    body: Json<Replay>,
) -> Answer<WebhookEndpoint> {
    let changed = store.write(move |tx| webhook::replay(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::accepted(format!("/v1/webhook-endpoints/{}", changed.id), changed))
}

/// List webhook deliveries
///
/// What was posted to the endpoints that the caller may see, and what waits, the newest first: how often, when, and what was answered.
/// Dead letters are those with `state=dead`. What has come to its end is kept for 30 days.
#[utoipa::path(tag = "webhooks", params(DeliveryFilter, PageParams),
    responses((status = 200, description = "A page of deliveries", body = Page<WebhookDelivery>)), security(("bearer" = ["webhook.manage"])))]
#[get("")]
async fn list_webhook_deliveries(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<DeliveryFilter>,
) -> Answer<Page<WebhookDelivery>> {
    let page = store.read(move |conn| webhook::list_deliveries(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get a webhook delivery
///
/// One delivery, and what became of its last attempt.
#[utoipa::path(tag = "webhooks", params(("delivery_id" = WebhookDeliveryId, Path, description = "Id of the delivery")),
    responses((status = 200, description = "The delivery", body = WebhookDelivery)), security(("bearer" = ["webhook.manage"])))]
#[get("/{delivery_id}")]
async fn get_webhook_delivery(caller: Caller, store: Data<Store>, id: Path<WebhookDelivery>) -> Answer<WebhookDelivery> {
    let found = store.read(move |conn| webhook::get_delivery(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Replay a webhook delivery
///
/// Posts one event to an endpoint of the caller's own again: a dead letter, or what the receiver has taken and lost.
#[utoipa::path(tag = "webhooks", params(("delivery_id" = WebhookDeliveryId, Path, description = "Id of the delivery"), IfMatchHeader),
    responses((status = 200, description = "The delivery, about to be posted", body = WebhookDelivery)), security(("bearer" = ["webhook.manage"])))]
#[post("/{delivery_id}/replay")]
async fn replay_webhook_delivery(
    caller: Caller,
    store: Data<Store>,
    id: Path<WebhookDelivery>,
    version: IfMatch,
) -> Answer<WebhookDelivery> {
    let changed = store.write(move |tx| webhook::replay_one(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
