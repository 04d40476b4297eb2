//! The stream of events: nothing missed, few at a time, and no longer than its token and its rights.

use std::{
    future::poll_fn,
    io::{Read, Write},
    net::TcpStream,
    pin::Pin,
    time::Duration,
};

use actix_web::body::MessageBody;
use kehu_api::settings::Settings;
use kehu_kernel::{store::Backend, time::Clock};
use serde_json::{Value, json};

use crate::{
    both_databases,
    event_feed::{listener, sequence},
    support::{
        App,
        client::Listening,
        ledger::{bank, customer, text},
        process::{Caller, Server, free_address},
        sign,
    },
};

/// Makes a test for each database with streams that give signs of life each second.
macro_rules! streaming {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use kehu_kernel::store::Backend;

            #[actix_web::test]
            async fn sqlite() {
                super::$name(super::app(Backend::Sqlite).await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                super::$name(super::app(Backend::Postgres).await).await;
            }
        })+
    };
}

streaming!(
    a_stream_tells_what_happens_and_goes_on_where_it_was,
    a_stream_passes_uncompressed_and_gives_signs_of_life,
    a_caller_has_few_streams,
    a_stream_ends_with_its_client,
    a_stream_ends_with_its_token
);

async fn app(backend: Backend) -> App {
    let heartbeat = Duration::from_secs(1);
    let settings = Settings { event_heartbeat: heartbeat, event_streams_per_caller: 2, event_streams: 3, ..App::settings() };
    App::on(backend, Clock::fixed(Clock::system().now()), settings).await
}

/// What a stream writes next; nothing when it has ended.
async fn next(stream: &mut Listening) -> Option<String> {
    let chunk = poll_fn(|context| Pin::new(&mut stream.body).poll_next(context));
    let chunk = tokio::time::timeout(Duration::from_secs(20), chunk).await.expect("a stream that writes or ends");
    chunk.map(|bytes| String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

/// The next events, past signs of life: id and content of each.
async fn events(stream: &mut Listening) -> Vec<(String, Value)> {
    loop {
        let text = next(stream).await.expect("more to come");
        let blocks = text.split("\n\n").filter_map(|block| {
            let (id, data) = block.strip_prefix("id: ")?.split_once("\ndata: ")?;
            Some((id.to_owned(), serde_json::from_str(data).unwrap()))
        });
        let found: Vec<_> = blocks.collect();
        if !found.is_empty() {
            return found;
        }
    }
}

async fn until_it_ends(stream: &mut Listening) {
    for _ in 0..10 {
        if next(stream).await.is_none() {
            return;
        }
    }
    panic!("the stream goes on");
}

async fn a_stream_tells_what_happens_and_goes_on_where_it_was(app: App) {
    let admin = app.role("administrator");
    let ids = bank(&admin).await;
    listener(&admin).await;
    sequence(&app);
    let (near, far) = (app.role_at("listener", "A"), app.role_at("listener", "B"));
    let mut stream = near.listen("/v1/events/stream?type=customer.*").await;
    let mut other = far.listen("/v1/events/stream?max_seconds=2").await;
    assert_eq!(stream.status, 200);
    assert!(next(&mut stream).await.unwrap().starts_with("retry: 3000\nid: "));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    sequence(&app);
    let found = events(&mut stream).await;
    assert_eq!((&found[0].1["type"], &found[0].1["customerid"]), (&json!("customer.created"), &json!(anna)));
    // Whoever sits in the other branch hears nothing but signs of life.
    while let Some(heard) = next(&mut other).await {
        assert!(!heard.contains("data"), "{heard}");
    }
    drop(stream);
    // What happened while nobody listened is told to whoever comes back.
    let anne = customer(&admin, "Anne", &ids["A"]).await;
    sequence(&app);
    let mut back = near.with("Last-Event-ID", &found[0].0).listen("/v1/events/stream?type=customer.*").await;
    let found = events(&mut back).await;
    assert_eq!((found.len(), &found[0].1["customerid"]), (1, &json!(anne)));
    near.with("Last-Event-ID", "x").get("/v1/events/stream").await.problem(400);
    near.with("Last-Event-ID", &found[0].0).get("/v1/events/stream?after=x").await.problem(400);
    near.get("/v1/events/stream?max_seconds=0").await.problem(400);
    app.role("teller").get("/v1/events/stream").await.problem(403);
}

async fn a_stream_passes_uncompressed_and_gives_signs_of_life(app: App) {
    let auditor = app.role("auditor").with("Accept-Encoding", "gzip, br");
    let mut stream = auditor.listen("/v1/events/stream").await;
    let header = |name: &str| stream.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("text/event-stream"));
    assert_eq!(header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(header("content-encoding").unwrap_or("identity".into()), "identity");
    assert_eq!(next(&mut stream).await.as_deref(), Some("retry: 3000\nid: 0\n\n"));
    assert_eq!(next(&mut stream).await.as_deref(), Some("id: 0\n\n"));
}

async fn a_caller_has_few_streams(app: App) {
    let (auditor, admin) = (app.role("auditor"), app.role("administrator"));
    let one = auditor.listen("/v1/events/stream").await;
    let two = auditor.listen("/v1/events/stream").await;
    let refused = auditor.get("/v1/events/stream").await;
    assert!(refused.header("retry-after").is_some());
    refused.problem(429);
    let three = admin.listen("/v1/events/stream").await;
    assert_eq!(three.status, 200);
    let refused = admin.get("/v1/events/stream").await;
    assert!(refused.header("retry-after").is_some());
    refused.problem(503);
    // A place is free again as soon as its stream is gone.
    drop((one, two));
    assert_eq!(auditor.listen("/v1/events/stream").await.status, 200);
}

async fn a_stream_ends_with_its_client(app: App) {
    let admin = app.role("administrator");
    let new = json!({ "name": "A program", "prefix": "p", "roles": ["integration"],
        "scopes": ["event.read", "branch.read", "customer.read"] });
    let made = admin.post("/v1/clients", new).await.expect(201);
    let (id, secret) = (text(&made["client"]["client_id"]), text(&made["client_secret"]));
    let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
    let issued = app.stranger().send(actix_web::http::Method::POST, "/v1/oauth/token", body).await.expect(200);
    let program = app.token(text(&issued["access_token"]));
    let mut stream = program.listen("/v1/events/stream").await;
    bank(&admin).await;
    sequence(&app);
    assert_eq!(events(&mut stream).await[0].1["type"], "branch.created");
    let path = format!("/v1/clients/{}/revoke", text(&made["client"]["id"]));
    admin.command(&path, 1, json!({})).await.expect(200);
    sequence(&app);
    until_it_ends(&mut stream).await;
}

async fn a_stream_ends_with_its_token(app: App) {
    let exp = app.store.now().seconds() + 60;
    let caller = app.token(sign(json!({ "sub": "auditor", "roles": ["auditor"], "exp": exp })));
    let mut stream = caller.listen("/v1/events/stream").await;
    assert!(next(&mut stream).await.is_some() && next(&mut stream).await.is_some());
    app.store.clock().advance(Duration::from_secs(120));
    until_it_ends(&mut stream).await;
}

both_databases!(a_server_that_stops_waits_for_no_stream);

/// Over the network, past the time limit of requests, which is a second here.
async fn a_server_that_stops_waits_for_no_stream(app: App) {
    let mut server = Server::start(&app.url, free_address(), &[]);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let token = sign(json!({ "sub": "auditor", "roles": ["auditor"] }));
    let request = format!(
        "GET /v1/events/stream HTTP/1.1\r\nHost: kehu\r\nAccept-Encoding: gzip, br, zstd\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut heard = String::new();
    let mut hear = |word: &str, heard: &mut String| {
        while !heard.contains(word) {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream ended: {heard}");
            heard.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    hear("retry: 3000", &mut heard);
    std::thread::sleep(Duration::from_millis(1_500));
    let admin = Caller::administrator(&format!("http://{}", server.address));
    admin.insist("/v1/branches", "one", &json!({ "code": "HO", "name": "Head office", "level": "head_office" }));
    hear("\"type\":\"branch.created\"", &mut heard);
    let asked = std::time::Instant::now();
    server.terminate();
    assert!(server.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}
