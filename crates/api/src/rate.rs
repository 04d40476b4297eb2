//! Rate limits: a token bucket for each caller, and for each address from which strangers call. Shown by the
//! `RateLimit` and `RateLimit-Policy` fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers).

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use actix_web::{
    HttpRequest,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{AUTHORIZATION, HeaderName, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use crate::{
    gate::Gate,
    problem::Problem,
    settings::{Rate, Settings},
};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// After so many requests, full buckets are forgotten.
const SWEEP: u32 = 10_000;

type Buckets = RateLimiter<String, DashMapStateStore<String>, DefaultClock, StateInformationMiddleware>;

/// The buckets of one policy.
pub(crate) struct Policy {
    name: &'static str,
    rate: Rate,
    buckets: Option<Buckets>,
    seen: AtomicU32,
}

/// The limits of a server.
pub struct Limits {
    callers: Policy,
    strangers: Policy,
    trusted_proxies: Vec<IpAddr>,
}

impl Limits {
    /// The configured limits, with full buckets.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            callers: Policy::new("caller", settings.rate_limit),
            strangers: Policy::new("address", settings.rate_limit_strangers),
            trusted_proxies: settings.trusted_proxies.clone(),
        }
    }

    /// The address that calls: the peer's, or what a trusted proxy says about it.
    pub(crate) fn address(&self, request: &HttpRequest) -> String {
        let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return "local".into() };
        if !self.trusted_proxies.contains(&peer) {
            return peer.to_string();
        }
        let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        let hops: Vec<IpAddr> = forwarded.flat_map(|line| line.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
        // The last hop that is no proxy of ours; what stands before it anybody may have written.
        hops.into_iter().rfind(|hop| !self.trusted_proxies.contains(hop)).unwrap_or(peer).to_string()
    }
}

impl Policy {
    pub(crate) fn new(name: &'static str, rate: Rate) -> Self {
        let quota = NonZeroU32::new(rate.requests).and_then(|burst| {
            let refill = Duration::from_secs(rate.seconds.into()) / rate.requests;
            Quota::with_period(refill).map(|quota| quota.allow_burst(burst))
        });
        let buckets = quota.map(|quota| RateLimiter::dashmap(quota).with_middleware::<StateInformationMiddleware>());
        Self { name, rate, buckets, seen: AtomicU32::new(0) }
    }

    /// The answer's two fields, or after how many seconds another try makes sense.
    pub(crate) fn take(&self, key: &str) -> Option<Result<u32, u32>> {
        let buckets = self.buckets.as_ref()?;
        if self.seen.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            buckets.retain_recent();
        }
        Some(match buckets.check_key(&key.to_owned()) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(refused) => {
                let wait = refused.wait_time_from(DefaultClock::default().now());
                Err(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
            }
        })
    }

    fn show<B>(&self, remaining: u32, response: &mut ServiceResponse<B>) {
        let used = u64::from(self.rate.requests.saturating_sub(remaining)) * u64::from(self.rate.seconds);
        let full_in = used.div_ceil(u64::from(self.rate.requests.max(1)));
        let policy = format!("\"{}\";q={};w={}", self.name, self.rate.requests, self.rate.seconds);
        let state = format!("\"{}\";r={remaining};t={full_in}", self.name);
        for (name, text) in [(POLICY, policy), (STATE, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

/// Identifies the caller once for all inner layers and takes one request from its bucket.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn layer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let parts = (request.app_data::<Data<Limits>>().cloned(), request.app_data::<Data<Gate>>().cloned());
    let (Some(limits), Some(gate)) = parts else { return Ok(next.call(request).await?.map_into_boxed_body()) };
    // Whoever watches the server must not be turned away because it is busy.
    if matches!(request.path(), "/healthz" | "/readyz" | "/metrics") {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let known = if request.headers().contains_key(AUTHORIZATION) { gate.admit(request.request()).await.ok() } else { None };
    let (policy, key) = match known {
        Some(actor) => (&limits.callers, actor.on_behalf_by.unwrap_or(actor.subject)),
        None => (&limits.strangers, limits.address(request.request())),
    };
    match policy.take(&key) {
        None => Ok(next.call(request).await?.map_into_boxed_body()),
        Some(Ok(remaining)) => {
            let mut response = next.call(request).await?.map_into_boxed_body();
            policy.show(remaining, &mut response);
            Ok(response)
        }
        Some(Err(seconds)) => {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS)
                .detail(format!("At most {} requests in {} seconds.", policy.rate.requests, policy.rate.seconds))
                .retry_after(seconds);
            let mut response = request.error_response(problem);
            policy.show(0, &mut response);
            Ok(response)
        }
    }
}
