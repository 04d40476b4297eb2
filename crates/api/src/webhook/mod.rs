//! Webhooks after Standard Webhooks 1.0: what the change feed tells its owner is posted to an endpoint, signed, in order for
//! each customer, until it was taken or three days are over.
//!
//! An endpoint has a place in the feed. What follows it becomes deliveries, rows that say how far each is; what is posted is
//! told anew from the event at each attempt, with the rights that the owner has then. One server at a time holds the lease of
//! an endpoint, so an event is posted at least once, with the same `webhook-id` each time, and seldom twice.

pub mod address;
mod command;
mod courier;
mod delivery;
mod document;
mod endpoint;
mod lease;
mod outbound;
mod plan;
mod post;
mod schedule;
mod signature;

use kehu_kernel::rotation::SealedColumn;

pub use command::{Replay, SecretRotation, disable, enable, end, replay, replay_one, rotate, test};
pub use courier::{Couriers, Post};
pub use delivery::{
    DeliveryFilter, DeliveryState, WebhookDelivery, WebhookDeliveryId, get as get_delivery, list as list_deliveries, sweep,
};
pub use document::describe;
pub use endpoint::{
    EndpointFilter, EndpointReason, EndpointStatus, IssuedWebhookEndpoint, NewWebhookEndpoint, WebhookEndpoint,
    WebhookEndpointId, WebhookEndpointPatch, create, get, list, update,
};
pub use outbound::Outbound;

/// Label of the secret with which messages are signed.
const SECRET: &str = "webhook_endpoints.secret";
/// Label of the secret before the last rotation.
const PREVIOUS: &str = "webhook_endpoints.previous_secret";
/// Label of what says whose rights count.
const ASKER: &str = "webhook_endpoints.asker";

/// The sealed columns of these tables.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn { table: "webhook_endpoints", id: "id", column: "secret_sealed", label: SECRET },
    SealedColumn { table: "webhook_endpoints", id: "id", column: "previous_secret_sealed", label: PREVIOUS },
    SealedColumn { table: "webhook_endpoints", id: "id", column: "asker_sealed", label: ASKER },
];
