//! `Idempotency-Key`: a POST that is sent again is not carried out again.
//!
//! A key belongs to caller, method and path for 24 hours. Its row is made before the work begins. Each write of
//! the request marks the row in its own transaction, so that row and write are never apart: a request that
//! lost its row (it took longer than its time limit and was taken over) cannot commit, and a row that was
//! marked is never carried out again, even when the process dies before the answer is kept; then a repetition is
//! told `idempotency_answer_lost`. The work goes on when the caller hangs up. What failed without having written
//! (5xx, 408, 429) may be repeated at once.
//!
//! Answers hold personal data, so they are kept only where they are needed, and no longer than the data itself. A POST
//! that reads is carried out again, with today's rights and a new entry in the access log; only its key is checked. After
//! an erasure no answer from before is given any more, for nobody knows whom it names: a repetition is told
//! `idempotency_answer_lost`, and nothing is carried out twice.

mod body;
mod record;

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use kehu_kernel::{Actor, Store, store};

use crate::{gate, problem::Problem, settings::Settings, time_limit, trace};
use record::{Begun, Claim, Kept};

pub use record::{SEALED, forget, sweep};

/// How the paths of POSTs end that only read: what they ask is too personal for a URL.
pub const READS: &[&str] = &["/lookup", "/search", "/match", "/explain-match", "/reveal"];
const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Whether a POST to this path changes nothing.
pub(crate) fn only_reads(path: &str) -> bool {
    READS.iter().any(|end| path.ends_with(end))
}

/// The layer.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let parts = (request.app_data::<Data<Store>>().cloned(), request.app_data::<Data<Settings>>().cloned());
    let keyed = request.method() == Method::POST && request.headers().contains_key(KEY);
    // Strangers have no keys; the handler tells them who may call.
    let (true, Some(actor), (Some(store), Some(settings))) = (keyed, gate::admitted(request.request()), parts) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let key = match key_of(request.headers()) {
        Ok(key) => key,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    if only_reads(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let limit = time_limit::of(&request, &settings);
    let fingerprint = match body::fingerprint(&mut request).await {
        Ok(fingerprint) => fingerprint,
        Err(problem) => return Ok(request.error_response(problem)),
    };
    let claim = claim(&store, &actor, &request, &key, &fingerprint, limit);
    match record::begin(&store, &claim).await {
        Ok(Begun::Carry) => carry_out(store, claim, request, next).await,
        Ok(Begun::Replay(kept)) => Ok(replay(request.into_parts().0, kept)),
        Ok(Begun::Refused(problem)) => Ok(request.error_response(*problem)),
        Err(error) => Ok(request.error_response(Problem::from(error))),
    }
}

fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let mut keys = headers.get_all(KEY);
    let key = keys.next().map(HeaderValue::as_bytes).unwrap_or_default();
    let sound = (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) && keys.next().is_none();
    let text = std::str::from_utf8(key).ok().filter(|_| sound);
    text.map(ToOwned::to_owned).ok_or_else(|| {
        Problem::malformed("Idempotency-Key is one text of 1 to 255 visible ASCII characters.").code("invalid_idempotency_key")
    })
}

fn claim(store: &Store, actor: &Actor, request: &ServiceRequest, key: &str, fingerprint: &str, limit: Duration) -> Claim {
    let hash = |label: &str, parts: &[&str]| store.keys().blind_index(label, &parts.join("\0"));
    let by = actor.on_behalf_by.as_deref().unwrap_or("");
    Claim::new(
        hash("idempotency.key", &[&actor.subject, by, request.method().as_str(), request.path(), key]),
        hash("idempotency.request", &[request.query_string(), fingerprint]),
        limit,
    )
}

/// Carries the request out in a task of its own, which goes on when the caller hangs up.
async fn carry_out<B: MessageBody + 'static>(
    store: Data<Store>,
    claim: Claim,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let work = async move {
        let mark = Arc::new(claim.mark());
        let response = store::with_each_write(mark, next.call(request)).await?;
        let (request, response) = response.into_parts();
        let (response, kept) = body::keep(response).await;
        if let Err(error) = record::end(&store, &claim, kept).await {
            log::warn!("the answer to an idempotent request is not kept: {error}");
        }
        Ok(ServiceResponse::new(request, response))
    };
    let task = actix_web::rt::spawn(trace::inherit(trace::current_id(), work));
    task.await.unwrap_or_else(|_| Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR).into()))
}

fn replay(request: HttpRequest, kept: Kept) -> ServiceResponse<BoxBody> {
    let mut response = body::restore(kept);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    ServiceResponse::new(request, response)
}
