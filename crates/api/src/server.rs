//! The application: routes and what wraps them; and the server that runs it.

use actix_cors::Cors;
use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, RETRY_AFTER},
    middleware::{Compress, from_fn},
    web::{self, Data},
};
use kehu_kernel::{Error, Result, Store};

use crate::{
    docs,
    events::stream::Streams,
    extract,
    gate::Gate,
    health, idempotency,
    login::Logins,
    merged, metrics,
    metrics::Metrics,
    problem,
    problem::Problem,
    rate,
    rate::Limits,
    replica,
    routes::{self, ServiceConfig},
    settings::Settings,
    time_limit, tls, trace,
};

/// How long running requests may take to end when the server is stopped, in seconds.
const STOP: u64 = 30;
/// How many threads of a worker may wait for disks, databases and callers. Idle ones end.
const BLOCKING: usize = 256;

/// What all requests share.
#[derive(Clone)]
pub struct State {
    /// The database.
    pub store: Store,
    /// Who may come in.
    pub gate: Data<Gate>,
    /// How the server is run.
    pub settings: Data<Settings>,
    limits: Data<Limits>,
    logins: Data<Logins>,
    streams: Data<Streams>,
    metrics: Data<Metrics>,
}

impl State {
    /// What the settings ask for, on this database.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that cannot be used.
    pub fn new(store: Store, gate: Gate, settings: Settings) -> Result<Self> {
        let limits = Data::new(Limits::new(&settings));
        let (logins, metrics) = (Data::new(Logins::new(settings.login_limit)), Data::new(Metrics::new()?));
        let streams = Data::new(Streams::new(store.clone(), &settings));
        Ok(Self { store, gate: Data::new(gate), limits, logins, streams, metrics, settings: Data::new(settings) })
    }
}

/// Builds the application; the server calls this once a worker, tests once a test.
pub fn app(
    state: &State,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .app_data(Data::new(state.store.clone()))
        .app_data(state.gate.clone())
        .app_data(state.settings.clone())
        .app_data(state.limits.clone())
        .app_data(state.logins.clone())
        .app_data(state.streams.clone())
        .app_data(state.metrics.clone())
        .configure(|worker| routes::configure(&mut ServiceConfig::serving(worker)))
        .service(health::healthz)
        .service(health::readyz)
        .service(metrics::read_metrics)
        .service(docs::document)
        .service(docs::entry)
        .service(docs::page)
        .default_service(web::to(unknown_path))
        // From the innermost to the outermost.
        .wrap(from_fn(replica::layer))
        .wrap(from_fn(merged::layer))
        .wrap(from_fn(idempotency::layer))
        .wrap(from_fn(time_limit::layer))
        .wrap(from_fn(rate::layer))
        .wrap(cors(&state.settings.cors_origins))
        .wrap(from_fn(problem::finish))
        .wrap(from_fn(trace::layer))
        .wrap(Compress::default())
}

/// Serves until a signal asks to stop; then running requests end and new ones are refused.
///
/// # Errors
/// [`Error::Invalid`] for settings that cannot be used, [`Error::Internal`] when the address is taken.
pub async fn serve(state: State) -> Result<()> {
    let settings = state.settings.clone();
    let tls = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => Some(tls::config(certificate, key)?),
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    let server = HttpServer::new(move || app(&state))
        .workers(workers)
        // Each worker has its part; who comes then waits in the backlog of the socket.
        .max_connections(settings.max_connections.div_ceil(workers))
        // The store bounds what runs on the database; what is left are files that arrive or leave as slowly as callers like.
        .worker_max_blocking_threads(BLOCKING)
        .client_request_timeout(settings.header_timeout)
        .keep_alive(settings.keep_alive)
        .tls_handshake_timeout(settings.header_timeout)
        .shutdown_timeout(STOP);
    let server = match tls {
        Some(tls) => server.bind_rustls_0_23(settings.listen, tls),
        None => server.bind(settings.listen),
    };
    let server = server.map_err(|error| Error::internal(format!("{} cannot be listened on: {error}", settings.listen)))?;
    for address in server.addrs() {
        log::info!("listening on {scheme}://{address}, documentation at {scheme}://{address}/docs/");
    }
    server.run().await.map_err(Error::internal)
}

/// Which browser applications may call: none unless configured.
fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PATCH", "PUT", "DELETE"])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, ACCEPT_LANGUAGE])
        .allowed_headers(["idempotency-key", "x-request-id", "x-purpose", "traceparent", "kehu-bookmark"])
        .expose_headers([ETAG, LOCATION, RETRY_AFTER])
        .expose_headers(["x-request-id", "idempotency-replayed", "kehu-bookmark", "ratelimit", "ratelimit-policy"])
        .max_age(3600);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}

async fn unknown_path(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(extract::nothing_at(&request))
}
