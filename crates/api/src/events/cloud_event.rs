//! An event as it leaves Kehu: a CloudEvent (version 1.0, JSON format).

use kehu_customer::CustomerId;
use kehu_kernel::{AnyId, Instant, event::Event};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What happened, as a CloudEvent 1.0 in JSON. `sequence`, `partitionkey`, `customerid`, `accountid` and `actor` are
/// extension attributes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CloudEvent {
    /// The version of CloudEvents: `1.0`.
    #[schema(value_type = String, example = "1.0", min_length = 3, max_length = 3)]
    pub specversion: &'static str,
    /// Identifier of the event. Who has seen it already has seen the event.
    pub id: AnyId,
    /// Where the event comes from: `urn:kehu`.
    #[schema(value_type = String, format = "uri-reference", example = "urn:kehu", min_length = 1, max_length = 200)]
    pub source: &'static str,
    /// What happened: one of the types that `GET /v1/event-types` lists. Later versions of Kehu bring new ones.
    #[serde(rename = "type")]
    #[schema(example = "customer.updated", min_length = 3, max_length = 64, pattern = r"^[a-z_]+\.[a-z_]+$")]
    pub kind: String,
    /// Id of the record that it happened to.
    pub subject: AnyId,
    /// When it happened.
    pub time: Instant,
    /// Media type of `data`.
    #[schema(value_type = String, example = "application/json", max_length = 64)]
    pub datacontenttype: &'static str,
    /// Its place in the feed: 20 digits, so that the order of the texts is that of the events.
    #[schema(example = "00000000000000000042", min_length = 20, max_length = 20, pattern = "^[0-9]{20}$")]
    pub sequence: String,
    /// What belongs together in order: the customer, else the account, else the record.
    pub partitionkey: AnyId,
    /// The customer that the record belongs to today; null when it belongs to none. The record that `subject` or `data`
    /// name may have become part of it by a merge.
    pub customerid: Option<CustomerId>,
    /// The account that the record belongs to.
    pub accountid: Option<AnyId>,
    /// Who did it: an employee number, a machine client, a customer, or `system`.
    #[schema(max_length = 128, example = "E1042")]
    pub actor: String,
    /// Facts of the event: ids, codes and names of fields, never numbers of identities or accounts. Empty when the customer
    /// was erased or has become part of one out of the caller's sight: then only that is told.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
}

impl CloudEvent {
    /// An event of no customer, with all its facts.
    pub(super) fn whole(event: Event) -> Self {
        let data = event.data.0.as_object().cloned().unwrap_or_default();
        Self::new(event, None, data)
    }

    /// Its place in the feed.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.sequence.parse().unwrap_or_default()
    }

    /// The event, of this customer of today, with what may be told of its facts.
    pub(super) fn new(event: Event, customer: Option<CustomerId>, data: Map<String, Value>) -> Self {
        let partition = customer.map(kehu_kernel::Id::cast).or(event.account_id).unwrap_or(event.subject_id);
        Self {
            specversion: "1.0",
            id: event.id,
            source: "urn:kehu",
            kind: event.kind,
            subject: event.subject_id,
            time: event.occurred_at,
            datacontenttype: "application/json",
            sequence: format!("{:020}", event.position.unwrap_or_default()),
            partitionkey: partition,
            customerid: customer,
            accountid: event.account_id,
            actor: event.actor,
            data,
        }
    }
}
