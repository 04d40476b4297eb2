//! Rate limits: a token bucket for each caller, and for each address from which strangers call. Shown by the
//! `RateLimit` and `RateLimit-Policy` fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers).
//!
//! Any number of servers keep one limit together, and few requests ask the database for it. A thirty-second part of a
//! caller's limit is each server's own to give: whoever calls no more than that costs nothing. The rest is one bucket in
//! the database, from which servers draw slices of that size and give them out; a caller who is beyond the limit is
//! refused from memory. So one server gives exactly what the limit says, and N servers at most N - 1 thirty-second parts
//! more; a limit below 32 is exact everywhere. What one server has drawn and not given out another one lacks: at most a
//! slice. While the database is away each server keeps the limit for itself.

mod bucket;
mod shared;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use kehu_kernel::Store;

use crate::{
    gate::Gate,
    problem::Problem,
    settings::{Rate, Settings},
};
use bucket::{Bucket, Taken};

pub(crate) use shared::Shared;
pub use shared::sweep;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
/// Into so many parts a limit is cut.
const PARTS: u32 = 32;
/// When so many callers are known, those whose buckets are full are forgotten.
const KNOWN: usize = 10_000;

/// A limit that all servers keep together.
pub(crate) struct Policy {
    name: &'static str,
    rate: Rate,
    limit: Option<Limit>,
    known: Mutex<Known>,
}

/// How a limit is cut.
struct Limit {
    /// The part that is this server's own.
    own: Option<Bucket>,
    own_size: u32,
    shared: Shared,
    /// How many tokens are drawn at once.
    slice: u32,
}

#[derive(Default)]
struct Known {
    callers: HashMap<String, Caller>,
    /// When so many are known, it is time to forget.
    sweep_at: usize,
}

/// What is known of a caller's buckets; what is not, is full.
#[derive(Clone, Default)]
struct Caller {
    own_full_at: i64,
    /// As it was when this server drew for the last time. It only ever moves on, so who was beyond the limit then still is.
    shared_full_at: i64,
    /// Tokens that were drawn and not given out yet, and until when they are good.
    drawn: u32,
    drawn_until: i64,
    /// One request at a time draws for a caller.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The limits of a server.
pub struct Limits {
    callers: Policy,
    strangers: Policy,
    trusted_proxies: Vec<IpAddr>,
}

impl Limits {
    /// The configured limits.
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
        let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else { return "local".into() };
        if !self.trusted_proxies.contains(&peer) {
            return network(peer);
        }
        let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        let hops = forwarded.flat_map(|line| line.split(',')).filter_map(|hop| hop.trim().parse::<IpAddr>().ok());
        let hops: Vec<IpAddr> = hops.map(|hop| hop.to_canonical()).collect();
        // The last hop that is no proxy of ours; what stands before it anybody may have written.
        network(hops.into_iter().rfind(|hop| !self.trusted_proxies.contains(hop)).unwrap_or(peer))
    }
}

/// Who is counted as one: an IPv4 address, and all that one subscriber has of IPv6, which is a network of 64 bits (RFC 6177).
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address.to_string(),
    }
}

impl Policy {
    fn new(name: &'static str, rate: Rate) -> Self {
        let own_size = rate.requests / PARTS;
        // What is each server's own is not in the bucket of all.
        let part = |requests| Rate { requests, ..rate };
        let limit = Shared::new(name, part(rate.requests - own_size)).map(|shared| Limit {
            own: Bucket::new(part(own_size)),
            own_size,
            shared,
            slice: own_size.max(1),
        });
        Self { name, rate, limit, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many requests are left after this one, or after how many seconds another try makes sense.
    async fn take(&self, store: &Store, key: &str) -> Option<Result<u32, u32>> {
        let limit = self.limit.as_ref()?;
        let turn = match self.known().take(limit, key, store.now().micros()) {
            Ok(outcome) => return Some(outcome),
            Err(turn) => turn,
        };
        let _turn = turn.lock().await;
        // Whoever had the turn before may have drawn enough for us.
        if let Ok(outcome) = self.known().take(limit, key, store.now().micros()) {
            return Some(outcome);
        }
        let drawn = limit.shared.draw(store, key, limit.slice).await;
        Some(self.known().give(limit, key, store.now().micros(), drawn.ok()))
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

impl Known {
    /// Takes a token without asking anybody; the turn to draw when there is none here and may be one in the bucket of all.
    fn take(&mut self, limit: &Limit, key: &str, now: i64) -> Result<Result<u32, u32>, Arc<tokio::sync::Mutex<()>>> {
        if !self.callers.contains_key(key) {
            self.forget(now);
            self.callers.insert(key.to_owned(), Caller::default());
        }
        let caller = self.callers.entry(key.to_owned()).or_default();
        let own = limit.own.map(|own| own.take(caller.own_full_at, now, 1));
        if let Some(taken) = own.filter(|taken| taken.granted == 1) {
            caller.own_full_at = taken.full_at;
        } else if caller.drawn > 0 && now < caller.drawn_until {
            caller.drawn -= 1;
        } else {
            let seen = limit.shared.bucket.take(caller.shared_full_at, now, 1);
            return if seen.granted == 0 { Ok(Err(seen.wait)) } else { Err(Arc::clone(&caller.turn)) };
        }
        Ok(Ok(caller.left(limit, now)))
    }

    /// Gives a token of those that were drawn; when nothing could be asked, what is known here decides.
    fn give(&mut self, limit: &Limit, key: &str, now: i64, drawn: Option<Taken>) -> Result<u32, u32> {
        let caller = self.callers.entry(key.to_owned()).or_default();
        let taken = drawn.unwrap_or_else(|| limit.shared.bucket.take(caller.shared_full_at, now, limit.slice));
        caller.shared_full_at = caller.shared_full_at.max(taken.full_at);
        caller.drawn = taken.granted.saturating_sub(1);
        caller.drawn_until = now + limit.shared.bucket.window();
        if taken.granted == 0 { Err(taken.wait) } else { Ok(caller.left(limit, now)) }
    }

    fn forget(&mut self, now: i64) {
        if self.callers.len() >= self.sweep_at.max(KNOWN) {
            self.callers.retain(|_, caller| {
                let held = Arc::strong_count(&caller.turn) > 1 || (caller.drawn > 0 && now < caller.drawn_until);
                held || caller.own_full_at > now || caller.shared_full_at > now
            });
            self.sweep_at = self.callers.len() * 2;
        }
    }
}

impl Caller {
    fn left(&self, limit: &Limit, now: i64) -> u32 {
        let shared = limit.shared.bucket.take(self.shared_full_at, now, 0).left;
        let own_left = limit.own.map_or(0, |own| own.take(self.own_full_at, now, 0).left);
        (shared + self.drawn + own_left).min(limit.own_size + limit.shared.size)
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
    let store = request.app_data::<Data<Store>>().cloned();
    let ((Some(limits), Some(gate)), Some(store)) = (parts, store) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    // Whoever watches the server must not be turned away because it is busy.
    if matches!(request.path(), "/healthz" | "/readyz" | "/metrics") {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let known = if request.headers().contains_key(AUTHORIZATION) { gate.admit(request.request()).await.ok() } else { None };
    let (policy, key) = match known {
        Some(actor) => (&limits.callers, actor.on_behalf_by.unwrap_or(actor.subject)),
        None => (&limits.strangers, limits.address(request.request())),
    };
    match policy.take(&store, &key).await {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscriber_is_one_caller_however_many_addresses_it_has() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn only_a_trusted_proxy_says_who_calls() {
        let none = || Policy::new("none", Rate { requests: 0, seconds: 1 });
        let limits = Limits { callers: none(), strangers: none(), trusted_proxies: vec!["10.0.0.1".parse().unwrap()] };
        let address = |peer: &str, forwarded: &'static str| {
            let request = actix_web::test::TestRequest::default().peer_addr(peer.parse().unwrap());
            limits.address(&request.insert_header(("x-forwarded-for", forwarded)).to_http_request())
        };
        assert_eq!(address("10.0.0.1:9", "192.0.2.1, 2001:db8::7, 10.0.0.1"), "2001:db8::/64");
        assert_eq!(address("[::ffff:10.0.0.1]:9", "192.0.2.1"), "192.0.2.1");
        assert_eq!(address("10.0.0.1:9", "what, ever"), "10.0.0.1");
        assert_eq!(address("203.0.113.5:9", "192.0.2.1"), "203.0.113.5");
    }
}
