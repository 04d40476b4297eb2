//! The outermost layer: every request gets an id, a line in the log, its numbers in the metrics and the
//! headers that make browsers careful. Nothing logged can hold personal data: no query, no raw path.

use std::time::{Duration, Instant};

use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{Extensions, ServiceRequest, ServiceResponse},
    http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY},
    middleware::Next,
    web::Data,
};

use crate::{gate, metrics::Metrics, openapi};

/// The header that carries the request's id, in and out.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What every answer says unless its handler says otherwise.
pub(crate) const SECURITY: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
];

/// The id of a request, as the caller gave it or as we made it.
#[derive(Clone, Debug)]
struct RequestId(String);

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task works on, for log lines.
#[must_use]
pub fn current_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Runs a task of its own under the id of the present request.
pub(crate) async fn inherit<F: Future>(id: Option<String>, work: F) -> F::Output {
    match id {
        Some(id) => CURRENT.scope(id, work).await,
        None => work.await,
    }
}

/// The id that a request was given.
#[must_use]
pub fn id_of(extensions: &Extensions) -> Option<String> {
    extensions.get::<RequestId>().map(|id| id.0.clone())
}

/// The caller's own id when it is short and plain, else a fresh one.
fn choose_id(headers: &HeaderMap) -> String {
    let plain = |text: &&str| {
        (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
    given.map_or_else(|| uuid::Uuid::now_v7().simple().to_string(), ToOwned::to_owned)
}

/// The trace id of a W3C `traceparent` (version 00 and later ones that begin alike).
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let sound = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let named = trace.bytes().any(|b| b != b'0') && parent.bytes().any(|b| b != b'0');
    (sound && named && (version != "00" || parts.next().is_none())).then(|| trace.to_owned())
}

/// The layer.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let id = choose_id(request.headers());
    let trace = trace_id(request.headers());
    let metrics = request.app_data::<Data<Metrics>>().cloned();
    let (method, secure) = (request.method().clone(), request.app_config().secure());
    request.extensions_mut().insert(RequestId(id.clone()));
    let _running = metrics.as_ref().map(|metrics| metrics.begin());

    let mut outcome = CURRENT.scope(id.clone(), next.call(request)).await;

    let took = started.elapsed();
    let (status, route, caller) = match &outcome {
        Ok(response) => (response.status().as_u16(), response.request().match_pattern(), gate::kind_of(response.request())),
        Err(error) => (error.as_response_error().status_code().as_u16(), None, None),
    };
    let operation = route.as_deref().and_then(|route| openapi::operation_at(method.as_str(), route)).unwrap_or("none");
    if let Some(metrics) = &metrics {
        metrics.finish(operation, status, took);
    }
    log::info!(
        target: "kehu::access",
        request_id = id.as_str(), trace_id = trace.as_deref().unwrap_or("-"), operation = operation,
        caller = caller.unwrap_or("stranger"), status = status, millis = millis(took);
        "{method} {} {status}", route.as_deref().unwrap_or("-")
    );
    if let Ok(response) = &mut outcome {
        adorn(response.headers_mut(), &id, took);
        if secure {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
    }
    outcome
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

fn adorn(headers: &mut HeaderMap, id: &str, took: Duration) {
    let timing = format!("app;dur={}", millis(took));
    for (name, text) in [(REQUEST_ID, id), (SERVER_TIMING, timing.as_str())] {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
    for (name, text) in SECURITY {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(text));
        }
    }
    // Customer data belongs into no cache on the way, nor on a shared disk.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn an_id_of_the_caller_is_kept_when_it_is_plain() {
        assert_eq!(choose_id(&headers("x-request-id", "call-7.a_B")), "call-7.a_B");
        for wrong in ["a b", "a\"b", &"x".repeat(129), ""] {
            assert_eq!(choose_id(&headers("x-request-id", wrong)).len(), 32, "{wrong}");
        }
    }

    #[test]
    fn only_sound_trace_parents_are_followed() {
        let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(&headers("traceparent", sound)).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for wrong in [
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf9-00f067aa0ba902b7-01",
        ] {
            assert_eq!(trace_id(&headers("traceparent", wrong)), None, "{wrong}");
        }
    }
}
