//! Which requests a read replica may answer, and that each caller finds there what it wrote.
//!
//! A server remembers how far each of its callers has written. Whoever calls several servers without being led to the same one
//! each time takes the `Kehu-Bookmark` of a write along in the requests that have to see it.

use actix_web::{
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use kehu_kernel::{
    Store,
    store::{self, Asker, Position},
};

use crate::{gate, idempotency, problem::Problem};

/// Where the log of the database stood when a write of this caller was done, in hexadecimal digits.
const BOOKMARK: HeaderName = HeaderName::from_static("kehu-bookmark");

/// The layer; it does nothing unless there is a replica.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let store = request.app_data::<Data<Store>>().filter(|store| store.has_replica()).cloned();
    let (Some(store), Some(actor)) = (store, gate::admitted(request.request())) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let after = match bookmark(request.headers()) {
        Ok(after) => after,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let caller = format!("{}\0{}", actor.subject, actor.on_behalf_by.as_deref().unwrap_or_default());
    let only_reads = request.method().is_safe() || idempotency::only_reads(request.path());
    let before = store.position_of(&caller);
    let asker = Asker { caller: caller.clone(), replica: only_reads, after };
    let mut response = store::asked_by(asker, next.call(request)).await?.map_into_boxed_body();
    let position = store.position_of(&caller).filter(|position| Some(*position) != before);
    if let Some(value) = position.and_then(|position| HeaderValue::from_str(&format!("{position:x}")).ok()) {
        response.headers_mut().insert(BOOKMARK, value);
    }
    Ok(response)
}

fn bookmark(headers: &HeaderMap) -> Result<Position, Problem> {
    let Some(value) = headers.get(BOOKMARK) else { return Ok(0) };
    let position = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let position = position.and_then(|text| Position::from_str_radix(text, 16).ok());
    position.ok_or_else(|| Problem::malformed("Kehu-Bookmark is what an answer to a write said in this header."))
}
