//! `/v1/events` and `/v1/event-types`: what happened, as a feed and as a stream.

use actix_web::{HttpRequest, HttpResponse, get, http::header::ContentEncoding, web::Data};
use kehu_customer::scope;
use kehu_kernel::{Action, Page, PageParams, Store};

use crate::{
    events::{
        feed::{self, EventFeed, EventQuery, Wanted},
        kinds::{self, EventType},
        stream::{EventStream, LastEventIdHeader, StreamQuery, Streams},
    },
    extract::{Caller, ListQuery, Nothing, Query},
    gate::Gate,
    problem::Problem,
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_events).service(stream_events);
}

/// The list of types.
pub fn configure_types(config: &mut ServiceConfig<'_>) {
    config.service(list_event_types);
}

/// List events
///
/// The change feed: what happened, as CloudEvents, in one order that never changes and into which nothing is inserted
/// later. Go on with `after={next_cursor}`, which every answer has, also an empty one; whoever was away misses nothing.
///
/// Told is what the caller may see at the moment of asking: events of customers and accounts within reach, and of the bank's
/// own records by the right to read them. What is out of sight is passed over, so that an answer may be empty and yet
/// `has_more`. Events of a record that was merged are those of the customer that it has become part of; that a customer was
/// erased, or has become part of one out of sight, is told to whoever reached it, with empty `data`.
#[utoipa::path(tag = "events", params(EventQuery),
    responses((status = 200, description = "A stretch of the feed", body = EventFeed)), security(("bearer" = ["event.read"])))]
#[get("")]
async fn list_events(caller: Caller, store: Data<Store>, query: Query<EventQuery>) -> Answer<EventFeed> {
    let found = store.read(move |conn| feed::list(conn, &caller, &query.0)).await?;
    Ok(Reply::ok(found))
}

/// Stream events
///
/// The change feed as server-sent events: what `list_events` tells, a moment after it happened. The stream ends when the
/// token does or its rights are taken away; clients come back with `Last-Event-ID` and miss nothing. A caller may have a
/// few streams open at once (429), and a server a number of them in all (503).
#[utoipa::path(tag = "events", params(StreamQuery, LastEventIdHeader),
    responses((status = 200, description = "The stream", body = EventStream, content_type = "text/event-stream")),
    security(("bearer" = ["event.read"])))]
#[get("/stream")]
async fn stream_events(
    request: HttpRequest,
    caller: Caller,
    store: Data<Store>,
    gate: Data<Gate>,
    streams: Data<Streams>,
    query: Query<StreamQuery>,
) -> Result<HttpResponse, Problem> {
    let wanted = Wanted::stretch(&query.0.types)?;
    let seconds = query.0.max_seconds;
    if seconds.is_some_and(|seconds| !(1..=86_400).contains(&seconds)) {
        let range = "A stream lasts 1 to 86400 seconds.";
        return Err(kehu_kernel::Error::invalid("?max_seconds", "out_of_range", range).into());
    }
    let last = request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?").to_owned());
    let (actor, after) = (caller.clone(), query.0.after.clone());
    let at = store
        .read(move |conn| {
            scope::allow_inside(&actor, Action::EventRead)?;
            let after = feed::position(conn, "?after", after.as_deref().unwrap_or("latest"))?;
            last.as_deref().map_or(Ok(after), |last| feed::position(conn, "?Last-Event-ID", last))
        })
        .await?;
    let stream = streams.open(gate, request.headers().clone(), &caller, wanted, at, seconds).await?;
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        // Neither we nor a proxy may hold blocks back until there is enough to pack.
        .insert_header(ContentEncoding::Identity)
        .insert_header(("x-accel-buffering", "no"))
        .streaming(Box::pin(stream)))
}

/// List event types
///
/// Every type of event that Kehu tells, and the right that it takes to be told of it.
#[utoipa::path(tag = "events", params(PageParams),
    responses((status = 200, description = "A page of types", body = Page<EventType>)), security(("bearer" = ["event.read"])))]
#[get("")]
async fn list_event_types(caller: Caller, store: Data<Store>, query: ListQuery<Nothing>) -> Answer<Page<EventType>> {
    let page = store.read(move |conn| kinds::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}
