//! Numbers for Prometheus: requests and their duration by operation, and the use of connections.

use std::time::Duration;

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::{StatusCode, header::AUTHORIZATION},
    web::Data,
};
use kehu_kernel::{Error, Result, Store};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::{problem::Problem, settings::Settings};

/// The numbers of one server.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    running: IntGauge,
    connections: IntGaugeVec,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// Never in practice: the names are well formed.
    pub fn new() -> Result<Self> {
        let make = || -> prometheus::Result<Self> {
            let requests = Opts::new("kehu_http_requests_total", "Requests by operation and status.");
            // From a millisecond, a lookup, to the time limit.
            let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
            let duration =
                HistogramOpts::new("kehu_http_request_duration_seconds", "Time until the answer begins.").buckets(buckets);
            let connections = Opts::new("kehu_database_connections", "Connections to the database by pool and state.");
            let metrics = Self {
                registry: Registry::new(),
                requests: IntCounterVec::new(requests, &["operation", "status"])?,
                duration: HistogramVec::new(duration, &["operation"])?,
                running: IntGauge::new("kehu_http_requests_running", "Requests that are being answered.")?,
                connections: IntGaugeVec::new(connections, &["pool", "state"])?,
            };
            metrics.registry.register(Box::new(metrics.requests.clone()))?;
            metrics.registry.register(Box::new(metrics.duration.clone()))?;
            metrics.registry.register(Box::new(metrics.running.clone()))?;
            metrics.registry.register(Box::new(metrics.connections.clone()))?;
            Ok(metrics)
        };
        make().map_err(Error::internal)
    }

    /// Counts a request as running until the guard is dropped.
    pub(crate) fn begin(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    pub(crate) fn finish(&self, operation: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[operation, &status.to_string()]).inc();
        self.duration.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    fn text(&self, store: &Store) -> Result<String> {
        for (pool, used, all) in store.connections() {
            self.connections.with_label_values(&[pool, "used"]).set(used.into());
            self.connections.with_label_values(&[pool, "open"]).set(all.into());
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(Error::internal)
    }
}

/// A request that is being answered.
pub(crate) struct Running(IntGauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What Prometheus reads.
#[get("/metrics")]
pub(crate) async fn read_metrics(
    request: HttpRequest,
    metrics: Data<Metrics>,
    store: Data<Store>,
    settings: Data<Settings>,
) -> Result<HttpResponse, Problem> {
    if !may_read(&request, settings.metrics_token.as_deref()) {
        return Err(Problem::new(StatusCode::NOT_FOUND));
    }
    let text = metrics.text(&store)?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text))
}

/// With a token only who has it; without one only this machine itself, and nobody through a proxy on it.
fn may_read(request: &HttpRequest, token: Option<&str>) -> bool {
    let headers = request.headers();
    match token {
        Some(token) => {
            let given = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
            given.strip_prefix(b"Bearer ").is_some_and(|given| subtle::ConstantTimeEq::ct_eq(given, token.as_bytes()).into())
        }
        None => {
            let direct = !headers.contains_key("x-forwarded-for") && !headers.contains_key("forwarded");
            direct && request.peer_addr().is_none_or(|peer| peer.ip().is_loopback())
        }
    }
}
