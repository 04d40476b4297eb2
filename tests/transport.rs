//! What every answer has in common, and the server around the application: limits, logs, metrics, TLS.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use actix_web::http::Method;
use kehu_api::{
    server,
    settings::{Rate, Settings},
};
use kehu_kernel::{
    store::{Backend, migrate},
    time::Clock,
};
use serde_json::json;

use crate::{both_databases, support::App};

both_databases!(
    refuses_what_it_cannot_answer_or_compare,
    what_callers_call_things_fits_into_the_problem,
    a_command_beside_ids_has_its_own_methods,
    requests_are_named_and_answers_are_careful,
    the_server_tells_how_it_is,
    the_documentation_needs_nothing_from_elsewhere,
    every_answer_is_careful
);

async fn with(settings: Settings) -> App {
    App::on(Backend::Sqlite, Clock::system(), settings).await
}

async fn a_command_beside_ids_has_its_own_methods(app: App) {
    let teller = app.role("teller");
    let refused = teller.send(Method::PATCH, "/v1/customers/lookup", Some(("application/json", b"{}".to_vec()))).await;
    assert_eq!(refused.header("allow").as_deref(), Some("POST"));
    assert_eq!(refused.problem(405), "method_not_allowed");
    assert_eq!(teller.get("/v1/customers/no-id").await.problem(404), "not_found");
}

async fn requests_are_named_and_answers_are_careful(app: App) {
    let teller = app.role("teller");
    let named = teller.with("X-Request-Id", "call-4711").get("/v1/branches").await;
    assert_eq!(named.header("x-request-id").as_deref(), Some("call-4711"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(named.header(name).as_deref(), Some(value));
    }
    assert!(named.header("server-timing").unwrap().starts_with("app;dur="));
    assert_eq!(named.status, 200);
    let unnamed = teller.with("X-Request-Id", "two words").get("/v1/branches/nothing").await;
    let id = unnamed.header("x-request-id").unwrap();
    assert_eq!(id.len(), 32);
    let problem = unnamed.expect(404);
    assert_eq!((&problem["request_id"], &problem["instance"]), (&json!(id), &json!("/v1/branches/nothing")));
    let chinese = teller.with("Accept-Language", "zh-CN,en;q=0.5").get("/v1/nothing").await.expect(404);
    assert_eq!(chinese["title"], "未找到");
    let method = teller.send(Method::DELETE, "/v1/branches", None).await;
    assert_eq!(method.header("allow").as_deref(), Some("GET, POST"));
    assert_eq!(method.problem(405), "method_not_allowed");
}

/// Whatever is answered, and by whichever layer.
async fn every_answer_is_careful(app: App) {
    let (teller, stranger) = (app.role("teller"), app.stranger());
    let json = |text: &str| Some(("application/json", text.as_bytes().to_vec()));
    let large = format!("{{\"phone\":\"{}\"}}", "1".repeat(3_000_000));
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let answers = [
        (200, stranger.get("/healthz").await),
        (200, stranger.get("/readyz").await),
        (200, stranger.get("/metrics").await),
        (200, stranger.get("/openapi.json").await),
        (308, stranger.get("/docs").await),
        (200, stranger.get("/docs/").await),
        (404, stranger.get("/docs/nothing.js").await),
        (404, stranger.get("/%2e%2e/etc/passwd").await),
        (404, stranger.get("/").await),
        (401, stranger.get("/v1/branches").await),
        (200, teller.get("/v1/branches").await),
        (403, teller.get("/v1/roles").await),
        (404, teller.get(&format!("/v1/customers/{id}")).await),
        (405, teller.send(Method::DELETE, "/v1/branches", None).await),
        (405, stranger.send(Method::TRACE, "/v1/branches", None).await),
        (406, teller.with("Accept", "text/html").get("/v1/branches").await),
        (400, teller.get("/v1/branches?nothing=1").await),
        (400, teller.send(Method::POST, "/v1/customers/lookup", json("{")).await),
        (413, teller.send(Method::POST, "/v1/customers/lookup", json(&large)).await),
        (415, teller.send(Method::POST, "/v1/customers/lookup", Some(("text/plain", b"x".to_vec()))).await),
        (422, teller.send(Method::POST, "/v1/customers/lookup", json("{\"x\":1}")).await),
        (428, teller.send(Method::PATCH, &format!("/v1/customers/{id}"), json("{}")).await),
        (400, stranger.send(Method::POST, "/v1/oauth/token", json("{}")).await),
    ];
    for (status, answer) in answers {
        let said = String::from_utf8_lossy(&answer.bytes).chars().take(200).collect::<String>();
        assert_eq!(answer.status, status, "{said}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{status} {said}: {policy}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{status} {said}: {name}");
        }
        assert!(answer.header("x-request-id").is_some() && answer.header("cache-control").is_some(), "{status} {said}");
        assert!(answer.header("server").is_none() && answer.header("x-powered-by").is_none());
        assert!(answer.header("access-control-allow-origin").is_none());
    }
}

async fn the_server_tells_how_it_is(app: App) {
    let stranger = app.stranger();
    assert_eq!(stranger.get("/healthz").await.expect(200)["status"], "ok");
    assert_eq!(stranger.get("/readyz").await.expect(200)["status"], "ready");
    app.role("teller").get("/v1/branches").await.expect(200);
    stranger.get("/v1/branches").await.problem(401);
    stranger.get("/secret/13800138000").await.problem(404);
    let metrics = String::from_utf8(stranger.get("/metrics").await.bytes).unwrap();
    for line in [
        "kehu_http_requests_total{operation=\"list_branches\",status=\"200\"} 1",
        "kehu_http_requests_total{operation=\"list_branches\",status=\"401\"} 1",
        "kehu_http_requests_total{operation=\"none\",status=\"404\"} 1",
        "kehu_http_request_duration_seconds_count{operation=\"list_branches\"} 2",
        "kehu_database_connections{pool=\"read\",state=\"open\"}",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("13800138000"));
    // Through a proxy they are nobody's business.
    assert_eq!(stranger.with("X-Forwarded-For", "192.0.2.1").get("/metrics").await.status, 404);
    let url = app.url.clone();
    actix_web::rt::task::spawn_blocking(move || migrate::down(&url).map(drop)).await.unwrap().unwrap();
    assert_ne!(stranger.get("/readyz").await.status, 200);
    assert_eq!(stranger.get("/healthz").await.status, 200);
}

async fn the_documentation_needs_nothing_from_elsewhere(app: App) {
    let stranger = app.stranger();
    assert_eq!(stranger.get("/docs").await.header("location").as_deref(), Some("/docs/"));
    let page = stranger.get("/docs/").await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.bytes).unwrap();
    assert!(!html.contains("<script>") && !html.contains("src=\"http") && !html.contains("href=\"http"), "{html}");
    for part in html.split(['"', ' ']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
        assert_eq!(stranger.get(&format!("/docs/{}", part.trim_start_matches("./"))).await.status, 200, "{part}");
    }
    let start = stranger.get("/docs/swagger-initializer.js").await;
    assert!(String::from_utf8_lossy(&start.bytes).contains("/openapi.json"));
    assert_eq!(stranger.get("/docs/nothing.js").await.problem(404), "not_found");
    let document = stranger.get("/openapi.json").await;
    let tag = document.header("etag").unwrap();
    assert_eq!(document.expect(200)["openapi"], "3.1.0");
    assert_eq!(stranger.with("If-None-Match", &tag).get("/openapi.json").await.status, 304);
    for encoding in ["gzip", "br", "zstd"] {
        let packed = stranger.with("Accept-Encoding", encoding).get("/openapi.json").await;
        assert_eq!(packed.header("content-encoding").as_deref(), Some(encoding));
    }
}

#[actix_web::test]
async fn requests_are_counted_by_caller_and_by_address() {
    let rate = |requests| Rate { requests, seconds: 60 };
    let app = with(Settings { rate_limit: rate(5), rate_limit_strangers: rate(3), ..App::settings() }).await;
    let teller = app.role("teller");
    for left in (0..5).rev() {
        let answer = teller.get("/v1/branches").await;
        assert_eq!(answer.header("ratelimit-policy").as_deref(), Some("\"caller\";q=5;w=60"));
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!("\"caller\";r={left};t=")));
        assert_eq!(answer.status, 200);
    }
    let refused = teller.get("/v1/branches").await;
    let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=13).contains(&wait), "{wait}");
    assert_eq!(refused.problem(429), "too_many_requests");
    // Another caller has a bucket of their own; strangers share that of their address, whatever they send.
    assert_eq!(app.role("administrator").get("/v1/branches").await.status, 200);
    let stranger = app.stranger();
    stranger.get("/v1/branches").await.problem(401);
    app.token("nonsense".into()).get("/v1/branches").await.problem(401);
    app.token("rubbish".into()).get("/v1/branches").await.problem(401);
    assert_eq!(app.token("other".into()).get("/v1/branches").await.problem(429), "too_many_requests");
    // Who claims to come from elsewhere is not believed.
    assert_eq!(stranger.with("X-Forwarded-For", "192.0.2.7").get("/v1/branches").await.status, 429);
    assert_eq!(stranger.get("/healthz").await.status, 200);
}

#[actix_web::test]
async fn browsers_may_call_from_configured_origins_only() {
    let app = with(Settings { cors_origins: vec!["https://desk.example".into()], ..App::settings() }).await;
    let asks = |origin: &str| app.stranger().with("Origin", origin).with("Access-Control-Request-Method", "PATCH");
    let path = "/v1/branches/01890a5d-ac96-774b-bcce-b302099a8057";
    let allowed =
        asks("https://desk.example").with("Access-Control-Request-Headers", "if-match").send(Method::OPTIONS, path, None).await;
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin").as_deref()), (200, Some("https://desk.example")));
    let refused = asks("https://evil.example").send(Method::OPTIONS, path, None).await;
    assert!(refused.status >= 400 && refused.header("access-control-allow-origin").is_none());
    let answer = app.role("teller").with("Origin", "https://desk.example").get("/v1/branches").await;
    assert!(answer.header("access-control-expose-headers").unwrap().to_lowercase().contains("etag"));
    let closed = with(App::settings()).await;
    let answer = closed.role("teller").with("Origin", "https://desk.example").get("/v1/branches").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[actix_web::test]
async fn metrics_can_be_opened_by_a_token() {
    let app = with(Settings { metrics_token: Some("scraper".into()), ..App::settings() }).await;
    assert_eq!(app.stranger().get("/metrics").await.status, 404);
    assert_eq!(app.token("other".into()).get("/metrics").await.status, 404);
    assert_eq!(app.token("scraper".into()).with("X-Forwarded-For", "192.0.2.1").get("/metrics").await.status, 200);
}

/// Serves on a free port until the test ends.
pub(crate) fn serve(app: &App, settings: Settings) -> SocketAddr {
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gate = kehu_api::gate::Gate::new(app.store.clone(), settings.auth()).unwrap();
    let state = server::State::new(app.store.clone(), gate, Settings { listen, ..settings }).unwrap();
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server::serve(state)).unwrap());
    for _ in 0..400 {
        if TcpStream::connect(listen).is_ok() {
            return listen;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the server does not listen");
}

#[actix_web::test]
async fn a_body_that_never_ends_is_not_waited_for() {
    let app = with(App::settings()).await;
    let address = serve(&app, Settings { request_timeout: Duration::from_secs(1), ..App::settings() });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let token = crate::support::sign(json!({ "roles": ["administrator"] }));
    let head = format!(
        "POST /v1/branches HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         X-Request-Id: slow-1\r\nContent-Length: 100\r\n\r\n{{\"code\":"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    assert!(text.starts_with("http/1.1 503"), "{text}");
    for part in [
        "application/problem+json",
        "\"code\":\"timeout\"",
        "\"request_id\":\"slow-1\"",
        "x-request-id: slow-1",
        "retry-after: 1",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
}

#[actix_web::test]
async fn tls_speaks_http_2() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/support/keys");
    let tls = |name: &str| Some(format!("{keys}/{name}").into());
    let app = with(App::settings()).await;
    let settings = Settings { tls_certificate: tls("localhost.pem"), tls_key: tls("localhost.key.pem"), ..App::settings() };
    let address = serve(&app, settings);
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{keys}/localhost.pem")).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (protocol, first) in [("h2", None), ("http/1.1", Some("HTTP/1.1 200"))] {
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let mut session = rustls::ClientConnection::new(Arc::new(config.clone()), "localhost".try_into().unwrap()).unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..length]).to_lowercase();
        assert!(protocol == "h2" || text.contains("strict-transport-security"), "{text}");
        assert_eq!(session.alpn_protocol(), Some(protocol.as_bytes()));
        assert!(first.is_none_or(|first| answer[..length].starts_with(first.as_bytes())));
    }
}

#[test]
fn unusable_certificates_are_named() {
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/support/keys");
    let path = |name: &str| std::path::PathBuf::from(format!("{keys}/{name}"));
    assert!(kehu_api::tls::config(&path("localhost.pem"), &path("localhost.key.pem")).is_ok());
    for (certificate, key) in
        [("nothing.pem", "localhost.key.pem"), ("localhost.pem", "localhost.pem"), ("localhost.pem", "issuer-rsa.pem")]
    {
        assert!(kehu_api::tls::config(&path(certificate), &path(key)).is_err(), "{certificate} with {key}");
    }
}

async fn refuses_what_it_cannot_answer_or_compare(app: App) {
    let admin = app.role("administrator");
    for taken in ["application/json", "*/*", "text/html, application/*;q=0.5", "application/JSON;charset=utf-8"] {
        admin.with("Accept", taken).get("/v1/branches").await.expect(200);
    }
    for other in ["text/html", "application/xml, image/*", "application/json;q=0"] {
        assert_eq!(admin.with("Accept", other).get("/v1/branches").await.problem(406), "not_acceptable", "{other}");
    }
    let body = serde_json::json!({ "code": "HO", "name": "Head office", "level": "head_office" });
    assert_eq!(admin.with("Accept", "text/html").post("/v1/branches", body.clone()).await.problem(406), "not_acceptable");
    let made = admin.post("/v1/branches", body).await.expect(201);
    let path = format!("/v1/branches/{}", made["id"].as_str().unwrap());
    let change = || Some(("application/json", br#"{"name":"Other"}"#.to_vec()));
    for (tag, status, code) in
        [("\"7", 400, "malformed_request"), ("abc", 400, "malformed_request"), ("\"abc\"", 412, "precondition_failed")]
    {
        let answer = admin.with("If-Match", tag).send(actix_web::http::Method::PATCH, &path, change()).await;
        assert_eq!(answer.problem(status), code, "{tag}");
    }
    admin.with("If-Match", "\"1\"").send(actix_web::http::Method::PATCH, &path, change()).await.expect(200);
}

async fn what_callers_call_things_fits_into_the_problem(app: App) {
    let admin = app.role("administrator");
    let long = "a".repeat(1_200);
    for (query, pointer) in [
        ("%00b=1".to_owned(), "?\u{fffd}b".to_owned()),
        (format!("{long}=1"), format!("?{}", "a".repeat(499))),
        ("include_total=".to_owned(), "?include_total".to_owned()),
        ("limit=".to_owned(), "?limit".to_owned()),
    ] {
        let told = admin.get(&format!("/v1/branches?{query}")).await.problem_body(400);
        let error = &told["errors"][0];
        assert_eq!(error["pointer"], pointer);
        assert!(error["message"].as_str().unwrap().chars().count() <= 1_000);
    }
    for key in ["a\\u0000b", &long] {
        let body = format!(r#"{{"code":"HO","name":"Head office","level":"head_office","{key}":1}}"#);
        let refused = admin.send(Method::POST, "/v1/branches", Some(("application/json", body.into_bytes()))).await;
        let told = refused.problem_body(422);
        let error = &told["errors"][0];
        assert!(error["pointer"].as_str().unwrap().chars().count() <= 500, "{told}");
        assert!(!told["detail"].as_str().unwrap().contains('\0'), "{told}");
    }
}
