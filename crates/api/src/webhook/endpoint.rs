//! An endpoint: where events are posted to, which ones, and with whose rights they are told.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_customer::scope;
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    access::Reach,
    event::NewEvent,
    json::Json,
    patch,
    schema::webhook_endpoints::{self as endpoints, table},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::{ASKER, SECRET, address::Addresses, signature};
use crate::events::{
    feed::{self, EventTypePattern, Wanted},
    kinds,
};

/// How many endpoints that are not ended a bank has at most: each takes a place at the same time.
const MOST: i64 = 200;
/// The number that those hold who add an endpoint.
const ADDING: i64 = 4_402_117_630_918_275_551;

/// Identifier of an endpoint.
pub type WebhookEndpointId = Id<WebhookEndpoint>;

text_enum! {
    /// Whether events are posted to an endpoint.
    pub enum EndpointStatus {
        /// They are.
        Active = "active",
        /// They wait; enabled again, the endpoint goes on where it was and misses nothing.
        Disabled = "disabled",
        /// They are not, for ever.
        Ended = "ended",
    }
}

text_enum! {
    /// Why an endpoint is disabled.
    pub enum EndpointReason {
        /// Somebody asked for it.
        Requested = "requested",
        /// The receiver answered 410: it wants no more.
        Gone = "gone",
        /// The receiver has taken nothing for five days.
        Failing = "failing",
        /// The owner may not come in, or not read the feed, any more.
        OwnerNotEntitled = "owner_not_entitled",
    }
}

/// Where events are posted to. Its `version` is that of what was set; how it fares changes without one.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = endpoints, treat_none_as_default_value = false)]
pub struct WebhookEndpoint {
    /// Identifier of the endpoint.
    pub id: WebhookEndpointId,
    /// What it is, for people.
    #[schema(example = "Core banking listener", max_length = 200)]
    pub name: String,
    /// Where events are posted to.
    #[schema(format = "uri", example = "https://hooks.bank.example/kehu", max_length = 2000)]
    pub url: String,
    /// The types of events that are posted; all when it is empty.
    #[schema(value_type = Vec<EventTypePattern>, max_items = 50)]
    pub types: Json<Vec<EventTypePattern>>,
    /// Whether events are posted.
    pub status: EndpointStatus,
    /// Why it is disabled; null when it is not.
    pub status_reason: Option<EndpointReason>,
    /// Who set it up: an employee number or a machine client. Events are told as this caller may see them.
    #[schema(example = "E1042", max_length = 128)]
    pub owner: String,
    /// Whose rights count, as whoever knows tokens wrote it down.
    #[serde(skip)]
    pub asker_sealed: Vec<u8>,
    /// What messages are signed with.
    #[serde(skip)]
    pub secret_sealed: Option<Vec<u8>>,
    /// What they were signed with before.
    #[serde(skip)]
    pub previous_secret_sealed: Option<Vec<u8>>,
    /// Until when messages are signed with the secret before the last rotation, too; null when there is none.
    pub previous_valid_until: Option<Instant>,
    /// The place in the feed up to which all events have become deliveries, or are not for this endpoint.
    #[schema(minimum = 0, example = 4711)]
    pub position: i64,
    /// The place up to which a replay has come; null when none is running.
    #[schema(minimum = 0)]
    pub replay_position: Option<i64>,
    /// The place up to which a replay goes; null when none is running.
    #[schema(minimum = 0)]
    pub replay_until: Option<i64>,
    /// Since when the receiver has taken nothing; null when the last attempt was taken.
    pub failing_since: Option<Instant>,
    /// When the receiver last took something.
    pub last_success_at: Option<Instant>,
    /// Nothing is posted before this instant, because the receiver asked for a rest; null when it did not.
    pub resume_at: Option<Instant>,
    /// The server that posts now.
    #[serde(skip)]
    pub lease_owner: Option<AnyId>,
    /// Until when that server may.
    #[serde(skip)]
    pub lease_until: Option<Instant>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// An endpoint to be made.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewWebhookEndpoint {
    /// What it is, for people.
    #[schema(example = "Core banking listener", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// Where events are posted to: `https`, at a public address or in a network that the operator allows; without user,
    /// password and fragment.
    #[schema(format = "uri", example = "https://hooks.bank.example/kehu", min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000))]
    pub url: String,
    /// The types of events that are posted: a whole type (`customer.updated`) or all of one kind of record (`customer.*`). All
    /// unless given.
    #[serde(default)]
    #[schema(max_items = 50)]
    #[validate(length(max = 50))]
    pub types: Vec<EventTypePattern>,
    /// Begin after this place in the feed: a position, `0` for all that ever happened, or `latest`, which it is unless given.
    #[schema(min_length = 1, max_length = 18, pattern = "^([0-9]{1,18}|latest)$", example = "latest")]
    #[validate(length(min = 1, max = 18))]
    pub after: Option<String>,
}

/// Changes to an endpoint; what is absent stays. From then on events are told with the rights of the token that changed it.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WebhookEndpointPatch {
    /// What it is, for people.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Where events are posted to.
    #[schema(nullable = false, format = "uri", example = "https://hooks.bank.example/kehu", min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 2000))]
    pub url: Option<String>,
    /// The types of events that are posted; all when it is empty.
    #[schema(nullable = false, max_items = 50)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 50))]
    pub types: Option<Vec<EventTypePattern>>,
}

/// An endpoint with its secret, which is shown this once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IssuedWebhookEndpoint {
    /// The endpoint.
    pub endpoint: WebhookEndpoint,
    /// The secret with which messages are signed, as libraries of Standard Webhooks take it. Keep it now.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", max_length = 64)]
    pub secret: String,
}

/// Filters of the list of endpoints.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EndpointFilter {
    /// Only endpoints that stand so.
    #[param(inline, example = "active")]
    pub status: Option<EndpointStatus>,
}

/// The endpoints that a caller may see: all with depth `all`, else the caller's own.
pub(super) fn visible<'a>(actor: &Actor) -> endpoints::BoxedQuery<'a, MultiBackend> {
    let query = table.into_boxed();
    if sees_all(actor) { query } else { query.filter(endpoints::owner.eq(actor.subject.clone())) }
}

pub(super) fn sees_all(actor: &Actor) -> bool {
    actor.reach(Action::WebhookManage) == Some(Reach::All)
}

/// The permission of every use case here.
pub(super) fn allow(actor: &Actor) -> Result<()> {
    scope::allow_inside(actor, Action::WebhookManage)?;
    Ok(())
}

/// Endpoints in the order of their creation.
///
/// # Errors
/// [`Error::Forbidden`] without `webhook.manage`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &EndpointFilter, params: &PageParams) -> Result<Page<WebhookEndpoint>> {
    allow(actor)?;
    let wanted = || {
        let query = visible(actor);
        match filter.status {
            Some(status) => query.filter(endpoints::status.eq(status)),
            None => query,
        }
    };
    let name = format!("webhook-endpoints?all={}&by={}&{filter:?}", sees_all(actor), actor.subject);
    let window = params.window::<WebhookEndpointId>(&conn.keys, &name)?;
    let total = if window.include_total { Some(wanted().count().get_result(&mut conn.db)?) } else { None };
    let mut query = wanted().order(endpoints::id).limit(window.fetch()).select(WebhookEndpoint::as_select());
    if let Some(after) = window.after {
        query = query.filter(endpoints::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &WebhookEndpoint| row.id)
}

/// One endpoint.
///
/// # Errors
/// [`Error::Forbidden`] without `webhook.manage`; [`Error::NotFound`], also for those of others that are out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, id: WebhookEndpointId) -> Result<WebhookEndpoint> {
    allow(actor)?;
    Ok(visible(actor).filter(endpoints::id.eq(id)).select(WebhookEndpoint::as_select()).first(&mut conn.db)?)
}

/// Makes an endpoint of the caller's, who is told what the caller may see; `asker` says who that is.
///
/// # Errors
/// [`Error::Forbidden`] without `webhook.manage` or `event.read`; [`Error::Invalid`] for a URL that may not be posted to, an
/// unknown type or a bad place; [`Error::Conflict`] `too_many_webhook_endpoints`.
pub fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    addresses: &Addresses,
    asker: &Value,
    new: &NewWebhookEndpoint,
) -> Result<IssuedWebhookEndpoint> {
    allow(actor)?;
    scope::allow_inside(actor, Action::EventRead)?;
    check(addresses, Some(&new.url), Some(&new.types))?;
    let position = feed::position(tx, "/after", new.after.as_deref().unwrap_or("latest"))?;
    tx.hold(&[ADDING])?;
    let open: i64 = table.filter(endpoints::status.ne(EndpointStatus::Ended)).count().get_result(&mut tx.db)?;
    if open >= MOST {
        let detail = "There are 200 webhook endpoints already; end one that is not needed.";
        return Err(Error::conflict("too_many_webhook_endpoints", detail));
    }
    let (id, secret) = (WebhookEndpointId::new(), signature::generate());
    let endpoint = WebhookEndpoint {
        id,
        name: new.name.clone(),
        url: new.url.clone(),
        types: Json(new.types.clone()),
        status: EndpointStatus::Active,
        status_reason: None,
        owner: actor.subject.clone(),
        asker_sealed: seal_asker(tx, id, asker)?,
        secret_sealed: Some(tx.keys.seal(SECRET, id, &secret)?),
        previous_secret_sealed: None,
        previous_valid_until: None,
        position,
        replay_position: None,
        replay_until: None,
        failing_since: None,
        last_success_at: None,
        resume_at: None,
        lease_owner: None,
        lease_until: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(table).values(&endpoint).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("webhook_endpoint.created", id, json!({ "owner": endpoint.owner, "types": endpoint.types })));
    Ok(IssuedWebhookEndpoint { endpoint, secret })
}

/// Changes an endpoint of the caller's own.
///
/// # Errors
/// As [`create`] and [`own`].
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    addresses: &Addresses,
    asker: &Value,
    (id, version): (WebhookEndpointId, i64),
    change: &WebhookEndpointPatch,
) -> Result<WebhookEndpoint> {
    let found = own(tx, actor, id, version)?;
    scope::allow_inside(actor, Action::EventRead)?;
    check(addresses, change.url.as_deref(), change.types.as_deref())?;
    let asker_sealed = seal_asker(tx, id, asker)?;
    let types = change.types.clone().map_or(found.types, Json);
    diesel::update(table.find(id))
        .set((
            endpoints::name.eq(change.name.as_ref().unwrap_or(&found.name)),
            endpoints::url.eq(change.url.as_ref().unwrap_or(&found.url)),
            endpoints::types.eq(&types),
            endpoints::asker_sealed.eq(asker_sealed),
            // Another receiver is not the one that asked for a rest.
            endpoints::resume_at.eq(None::<Instant>),
            endpoints::updated_at.eq(tx.now),
            endpoints::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    let given = [("name", change.name.is_some()), ("url", change.url.is_some()), ("types", change.types.is_some())];
    let fields: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    tx.emit(actor, NewEvent::new("webhook_endpoint.updated", id, json!({ "fields": fields })));
    find(tx, id)
}

pub(super) fn seal_asker(conn: &Conn, id: WebhookEndpointId, asker: &Value) -> Result<Vec<u8>> {
    conn.keys.seal(ASKER, id, &asker.to_string())
}

fn check(addresses: &Addresses, url: Option<&str>, types: Option<&[EventTypePattern]>) -> Result<()> {
    let mut broken = Vec::new();
    if let Some(fault) = url.and_then(|url| addresses.fault(url)) {
        broken.push(FieldError::new("/url", "invalid_url", fault));
    }
    let known = kinds::all();
    for (place, pattern) in types.unwrap_or_default().iter().enumerate() {
        if !known.keys().any(|kind| pattern.fits(kind)) {
            let message = "There is no such type of event; list_event_types has them all.";
            broken.push(FieldError::new(format!("/types/{place}"), "unknown_event_type", message));
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::Invalid(broken)) }
}

/// The endpoint, locked, if it still has this version and belongs to the caller: whoever decides where events go, or learns
/// the secret, is the one whose rights count.
///
/// # Errors
/// As [`get`]; [`Error::PreconditionFailed`]; [`Error::Forbidden`] for those of others; [`Error::Conflict`]
/// `webhook_endpoint_ended`.
pub(super) fn own(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64) -> Result<WebhookEndpoint> {
    let found = changeable(tx, actor, id, version)?;
    if found.owner != actor.subject {
        return Err(Error::Forbidden("Only its owner changes a webhook endpoint: it tells what the owner may see.".into()));
    }
    Ok(found)
}

/// As [`own`], for what may be done to those of others as well.
pub(super) fn changeable(tx: &mut Tx<'_>, actor: &Actor, id: WebhookEndpointId, version: i64) -> Result<WebhookEndpoint> {
    allow(actor)?;
    tx.hold_row("webhook_endpoints", id)?;
    let found = get(tx, actor, id)?;
    if found.version != version {
        return Err(Error::PreconditionFailed { current: found.version });
    }
    match found.status {
        EndpointStatus::Ended => {
            Err(Error::conflict("webhook_endpoint_ended", "The webhook endpoint has ended; make another one."))
        }
        EndpointStatus::Active | EndpointStatus::Disabled => Ok(found),
    }
}

pub(super) fn find(conn: &mut Conn, id: WebhookEndpointId) -> Result<WebhookEndpoint> {
    Ok(table.find(id).select(WebhookEndpoint::as_select()).first(&mut conn.db)?)
}

impl WebhookEndpoint {
    /// What is wanted of the feed, so many events at once.
    pub(super) fn wanted(&self, limit: usize) -> Result<Wanted> {
        Wanted::new(limit, &self.types.0)
    }

    /// The caller whose rights count, as it is now; nobody when it may not come in, or not read the feed, any more.
    pub(super) fn actor(&self, conn: &mut Conn) -> Result<Option<Actor>> {
        let text = conn.keys.open(ASKER, self.id, &self.asker_sealed)?;
        let asker: Value = serde_json::from_str(&text).map_err(Error::internal)?;
        let found = crate::export::actor(conn, &asker)?;
        let entitled = |actor: &Actor| allow(actor).is_ok() && scope::allow_inside(actor, Action::EventRead).is_ok();
        Ok(found.filter(entitled))
    }
}
