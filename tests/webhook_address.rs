//! Where events are not posted to, and what receivers try with those who post to them.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use kehu_api::settings::Settings;
use kehu_kernel::{store::Backend, time::Clock};
use serde_json::{Value, json};

use crate::{
    posting,
    support::{
        App, Client,
        receiver::{Receiver, status},
    },
    webhook::{endpoint, lasting, log, path, settings, version},
};

posting!(
    a_redirect_is_not_followed,
    an_answer_without_end_is_not_read,
    a_receiver_that_does_not_answer_is_not_waited_for,
    no_answer_is_told
);

/// Has a test posted; what became of it.
async fn tried(app: &App, owner: &Client<'_>, endpoint: &Value) -> Value {
    let now = owner.get(&path(endpoint)).await.expect(200);
    owner.command(&format!("{}/test", path(endpoint)), version(&now), json!({})).await.expect(202);
    app.deliver();
    log(owner, endpoint).await.pop().unwrap()
}

async fn posted_to(app: &App, url: &str) -> Value {
    let admin = lasting(app);
    let made = admin.post("/v1/webhook-endpoints", json!({ "name": "x", "url": url, "types": [] })).await.expect(201);
    tried(app, &admin, &made["endpoint"]).await
}

async fn on(backend: Backend, settings: Settings) -> App {
    App::on(backend, Clock::fixed(Clock::system().now()), settings).await
}

/// A name says what it likes, today this and tomorrow that: what it leads to is judged when it is connected to.
#[actix_web::test]
async fn a_name_that_leads_inside_is_refused() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = on(backend, Settings { webhook_networks: Vec::new(), ..settings() }).await;
        let receiver = Receiver::start();
        let port = receiver.address.port();
        for host in ["localhost", "127.1", "2130706433", "0x7f000001", "0"] {
            let tried = posted_to(&app, &format!("http://{host}:{port}/")).await;
            assert!(
                ["forbidden_address", "unknown_name", "unreachable"].contains(&tried["last_error"].as_str().unwrap()),
                "{host}: {tried}"
            );
            assert_eq!(tried["last_status"], Value::Null);
        }
        let local = posted_to(&app, &format!("http://localhost:{port}/")).await;
        assert_eq!(local["last_error"], "forbidden_address");
        assert!(receiver.received().is_empty());
    }
}

/// Endpoints from the time of other settings are judged by the present ones.
#[actix_web::test]
async fn an_endpoint_of_former_settings_is_refused() {
    let app = on(Backend::Sqlite, settings()).await;
    let receiver = Receiver::start();
    let admin = lasting(&app);
    let (endpoint, _) = endpoint(&admin, &receiver, &[]).await;
    admin.command(&format!("{}/test", path(&endpoint)), 1, json!({})).await.expect(202);
    while kehu_kernel::event::sequence(&app.store).unwrap() > 0 {}
    for strict in [Settings { webhook_networks: Vec::new(), ..settings() }, Settings { webhook_plain_http: false, ..settings() }]
    {
        let post = kehu_api::webhook::Post::new(app.store.clone(), kehu_api::webhook::Outbound::new(&strict).unwrap());
        post.run_all().unwrap();
        app.store.clock().advance(Duration::from_secs(3600));
    }
    assert!(receiver.received().is_empty());
    assert_eq!(log(&admin, &endpoint).await.pop().unwrap()["last_error"], "forbidden_address");
}

async fn a_redirect_is_not_followed(app: App) {
    let (receiver, inside) = (Receiver::start(), Receiver::start());
    let target = inside.url();
    receiver.answer(move |_| format!("HTTP/1.1 307 X\r\nlocation: {target}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
    let tried = posted_to(&app, &receiver.url()).await;
    assert_eq!((&tried["state"], &tried["last_status"]), (&json!("pending"), &json!(307)));
    assert!(inside.received().is_empty());
}

async fn an_answer_without_end_is_not_read(app: App) {
    let receiver = Receiver::start();
    receiver.answer(|_| format!("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{}", "x".repeat(4_000_000)));
    let begun = Instant::now();
    let tried = posted_to(&app, &receiver.url()).await;
    assert_eq!(tried["state"], "delivered", "{tried}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Nor is a head without end.
    receiver.answer(|_| format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(4_000_000)));
    let tried = posted_to(&app, &receiver.url()).await;
    assert_eq!(tried["state"], "pending", "{tried}");
}

async fn a_receiver_that_does_not_answer_is_not_waited_for(app: App) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let tried = posted_to(&app, &format!("http://{}/", silent.local_addr().unwrap())).await;
    assert_eq!((&tried["last_error"], &tried["last_status"]), (&json!("timeout"), &Value::Null));
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let address = silent.local_addr().unwrap();
    drop(silent);
    assert_eq!(posted_to(&app, &format!("http://{address}/")).await["last_error"], "unreachable");
}

/// What a receiver answers is no way to read what others answer inside.
async fn no_answer_is_told(app: App) {
    let receiver = Receiver::start();
    receiver.answer(|_| status(500).replace("content-length: 0", "content-length: 6\r\nx-told: planted") + "secret");
    let tried = posted_to(&app, &receiver.url()).await.to_string();
    assert!(!tried.contains("secret") && !tried.contains("planted"), "{tried}");
}

/// Over TLS to whoever has a certificate that is trusted: the public ones, or those of the settings instead.
#[actix_web::test]
async fn certificates_are_those_that_are_trusted() {
    let trusted = format!("{}/support/keys/localhost.pem", env!("CARGO_MANIFEST_DIR"));
    let receiver = Receiver::secure();
    let url = format!("https://localhost:{}/hook", receiver.address.port());
    let strict = Settings { webhook_plain_http: false, ..settings() };
    let app = on(Backend::Sqlite, strict.clone()).await;
    assert_eq!(posted_to(&app, &url).await["last_error"], "tls");
    assert!(receiver.received().is_empty());
    let app = on(Backend::Sqlite, Settings { webhook_certificates: Some(trusted.into()), ..strict.clone() }).await;
    let tried = posted_to(&app, &url).await;
    assert!(tried["state"] == "delivered" && !receiver.received().is_empty(), "{tried}");
    // The certificate is that of a name, not of an address.
    let by_address = url.replace("localhost", "127.0.0.2");
    assert!(["tls", "unreachable"].contains(&posted_to(&app, &by_address).await["last_error"].as_str().unwrap()));
    for (path, content) in
        [("missing.pem", None), ("empty.pem", Some("")), ("broken.pem", Some("-----BEGIN CERTIFICATE-----\nx"))]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(path);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        assert!(kehu_api::webhook::Outbound::new(&Settings { webhook_certificates: Some(path), ..strict.clone() }).is_err());
    }
}
