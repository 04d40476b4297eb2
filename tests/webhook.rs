//! `/v1/webhook-endpoints`: what is posted, signed by whom, told to whom, and who may set it up.

use kehu_api::settings::Settings;
use kehu_kernel::{store::Backend, time::Clock};
use serde_json::{Value, json};

use crate::support::{
    App, Client,
    ledger::{bank, customer, text},
    receiver::{Receiver, verifies},
    sign,
};

/// Makes a test for each database that may post to this machine, at a time that stands still.
#[macro_export]
macro_rules! posting {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            use kehu_kernel::store::Backend;

            #[actix_web::test]
            async fn sqlite() {
                super::$name($crate::webhook::app(Backend::Sqlite).await).await;
            }

            #[actix_web::test]
            async fn postgres() {
                super::$name($crate::webhook::app(Backend::Postgres).await).await;
            }
        })+
    };
}

posting!(
    a_signed_event_arrives,
    an_event_is_valid_by_the_schema_of_cloud_events,
    two_owners_are_told_different_things,
    what_may_not_be_told_any_more_is_withheld,
    an_erased_customer_is_posted_no_more,
    an_owner_without_rights_is_told_nothing,
    a_secret_is_shown_once_and_rotated_with_an_overlap,
    only_its_owner_changes_an_endpoint,
    a_wrong_endpoint_is_refused,
    a_test_is_posted_whatever_is_wanted,
    an_ended_endpoint_stays_ended,
    the_log_is_kept_for_a_month
);

/// An application that may post to this machine.
pub async fn app(backend: Backend) -> App {
    App::on(backend, Clock::fixed(Clock::system().now()), settings()).await
}

/// An administrator whose token outlives the days that a test lets pass.
pub fn lasting(app: &App) -> Client<'_> {
    app.token(sign(json!({ "sub": "admin", "roles": ["administrator"], "exp": 4_102_444_800_i64 })))
}

pub fn settings() -> Settings {
    let networks = vec!["127.0.0.0/8".parse().unwrap()];
    let timeout = std::time::Duration::from_secs(2);
    Settings { webhook_networks: networks, webhook_plain_http: true, webhook_timeout: timeout, ..App::settings() }
}

/// An endpoint and its secret.
pub async fn endpoint(owner: &Client<'_>, receiver: &Receiver, types: &[&str]) -> (Value, String) {
    let body = json!({ "name": "A receiver", "url": receiver.url(), "types": types });
    let made = owner.post("/v1/webhook-endpoints", body).await.expect(201);
    (made["endpoint"].clone(), text(&made["secret"]))
}

pub fn path(endpoint: &Value) -> String {
    format!("/v1/webhook-endpoints/{}", text(&endpoint["id"]))
}

pub fn version(record: &Value) -> i64 {
    record["version"].as_i64().unwrap()
}

/// The deliveries to an endpoint, the oldest first.
pub async fn log(owner: &Client<'_>, endpoint: &Value) -> Vec<Value> {
    let list = format!("/v1/webhook-deliveries?limit=200&endpoint_id={}", text(&endpoint["id"]));
    let mut items = owner.get(&list).await.expect(200)["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

async fn a_signed_event_arrives(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    customer(&admin, "Before", &ids["A"]).await;
    app.deliver();
    let receiver = Receiver::start();
    let (endpoint, secret) = endpoint(&admin, &receiver, &["customer.*"]).await;
    assert_eq!((&endpoint["status"], &endpoint["owner"]), (&json!("active"), &json!("admin")));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    app.deliver();
    let received = receiver.received();
    assert_eq!(received.len(), 1, "{received:?}");
    let (one, feed) = (&received[0], admin.get("/v1/events?type=customer.*&limit=200").await.expect(200));
    assert_eq!(one.event(), *feed["items"].as_array().unwrap().last().unwrap());
    assert_eq!((one.event()["customerid"].clone(), one.path.as_str()), (json!(anna), "/hook"));
    assert_eq!(one.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    assert_eq!(one.headers["webhook-id"], text(&one.event()["id"]));
    assert!(one.verifies(&secret, app.store.now().seconds()));
    // A forged body, another secret, an old message.
    let forged = crate::support::receiver::Received { body: one.body.replace("Z", "z"), ..one.clone() };
    assert!(!forged.verifies(&secret, app.store.now().seconds()));
    assert!(!one.verifies("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", app.store.now().seconds()));
    assert!(!one.verifies(&secret, app.store.now().seconds() + 301));
    // It is told once, and the log says so.
    app.deliver();
    assert_eq!(receiver.received().len(), 1);
    let log = log(&admin, &endpoint).await;
    assert_eq!(
        (log.len(), &log[0]["state"], &log[0]["attempts"], &log[0]["last_status"]),
        (1, &json!("delivered"), &json!(1), &json!(204))
    );
    assert_eq!((&log[0]["event_type"], &log[0]["last_error"]), (&json!("customer.created"), &Value::Null));
    let now = admin.get(&path(&endpoint)).await.expect(200);
    assert!(now["last_success_at"].is_string() && now["failing_since"].is_null(), "{now}");
}

async fn an_event_is_valid_by_the_schema_of_cloud_events(app: App) {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let beside =
        ["../shared/data", "../../shared/data"].map(|place| format!("{root}/{place}/cloudevents/cloudevents.schema.json"));
    let Some(schema) = beside.into_iter().find_map(|path| std::fs::read(path).ok()) else {
        log::warn!("skipped: there is no ../shared/data/cloudevents");
        return;
    };
    let schema = jsonschema::options().should_validate_formats(true).build(&serde_json::from_slice(&schema).unwrap()).unwrap();
    let admin = lasting(&app);
    let receiver = Receiver::start();
    endpoint(&admin, &receiver, &[]).await;
    let ids = bank(&admin).await;
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    admin
        .post(&format!("/v1/customers/{anna}/contact-points"), json!({ "kind": "phone", "value": "13800138000" }))
        .await
        .expect(201);
    crate::support::ledger::account(&admin, "6222021234563456", "A", "10.00").await;
    app.deliver();
    let received = receiver.received();
    assert!(received.len() > 8, "{}", received.len());
    for one in received {
        let faults: Vec<String> = schema.iter_errors(&one.event()).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{faults:?}: {}", one.body);
        assert!(!one.body.contains("13800138000") && !one.body.contains("6222021234563456"), "{}", one.body);
    }
}

/// A role that has events of its own branch posted.
async fn poster(admin: &Client<'_>) {
    let grant = |action: &str, depth: &str| json!({ "action": action, "depth": depth });
    let role = json!({ "code": "poster", "name": "Poster", "field_classes": ["public", "internal"],
        "grants": [grant("customer.read", "unit"), grant("event.read", "unit"), grant("webhook.manage", "own")] });
    admin.post("/v1/roles", role).await.expect(201);
}

fn at<'a>(app: &'a App, who: &str, branch: &str) -> Client<'a> {
    app.token(sign(json!({ "sub": who, "roles": ["poster"], "branch": branch })))
}

async fn two_owners_are_told_different_things(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    poster(&admin).await;
    let (one, other) = (at(&app, "E-A", "A"), at(&app, "E-B", "B"));
    let (hears_a, hears_b) = (Receiver::start(), Receiver::start());
    endpoint(&one, &hears_a, &[]).await;
    endpoint(&other, &hears_b, &[]).await;
    let (anna, bert) = (customer(&admin, "Anna", &ids["A"]).await, customer(&admin, "Bert", &ids["B"]).await);
    app.deliver();
    let told = |receiver: &Receiver| -> Vec<String> { receiver.received().into_iter().map(|one| one.body).collect() };
    let (a, b) = (told(&hears_a), told(&hears_b));
    assert!(a.iter().any(|body| body.contains(&anna)) && !a.iter().any(|body| body.contains(&bert)), "{a:?}");
    assert!(b.iter().any(|body| body.contains(&bert)) && !b.iter().any(|body| body.contains(&anna)), "{b:?}");
    // Nobody sees the endpoints and deliveries of others, but who may see them all.
    for (client, endpoints) in [(&one, 1), (&other, 1), (&admin, 2)] {
        let list = client.get("/v1/webhook-endpoints?include_total=true").await.expect(200);
        assert_eq!(list["total"], endpoints);
        let receivers: std::collections::BTreeSet<String> = client.get("/v1/webhook-deliveries").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| text(&item["endpoint_id"]))
            .collect();
        assert_eq!(receivers.len(), endpoints);
    }
}

async fn what_may_not_be_told_any_more_is_withheld(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    poster(&admin).await;
    let owner = at(&app, "E-A", "A");
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&owner, &receiver, &["customer.*"]).await;
    receiver.answer(|_| crate::support::receiver::status(500));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    app.deliver();
    assert_eq!(receiver.take().len(), 1);
    // The customer moves to another branch before the next attempt.
    let found = admin.get(&format!("/v1/customers/{anna}")).await.expect(200);
    admin.patch(&format!("/v1/customers/{anna}"), version(&found), json!({ "home_branch_id": ids["B"] })).await.expect(200);
    receiver.answer(|_| crate::support::receiver::status(204));
    app.store.clock().advance(std::time::Duration::from_secs(60));
    app.deliver();
    assert!(receiver.received().is_empty(), "{:?}", receiver.received());
    assert_eq!(log(&owner, &endpoint).await[0]["state"], "withheld");
}

async fn an_erased_customer_is_posted_no_more(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["customer.*", "contact_point.*"]).await;
    receiver.answer(|_| crate::support::receiver::status(500));
    let anna = customer(&admin, "Anna", &ids["A"]).await;
    let point = json!({ "kind": "phone", "value": "13800138000" });
    admin.post(&format!("/v1/customers/{anna}/contact-points"), point).await.expect(201);
    app.deliver();
    receiver.take();
    receiver.answer(|_| crate::support::receiver::status(200));
    let officer = app.role("privacy_officer").with("X-Purpose", "request of the customer");
    let now = version(&admin.get(&format!("/v1/customers/{anna}")).await.expect(200));
    let reason = json!({ "reason": "request of the customer" });
    officer.command(&format!("/v1/customers/{anna}/privacy/erasure"), now, reason).await.expect(200);
    app.store.clock().advance(std::time::Duration::from_secs(3600));
    app.deliver();
    // That it is gone is told, and nothing of what it was.
    assert_eq!(receiver.types(), ["customer.erased"]);
    assert_eq!(receiver.received()[0].event()["data"], json!({}));
    let states: Vec<Value> = log(&admin, &endpoint).await.iter().map(|one| one["state"].clone()).collect();
    assert_eq!(states, ["withheld", "withheld", "delivered"]);
}

async fn an_owner_without_rights_is_told_nothing(app: App) {
    let admin = lasting(&app);
    let ids = bank(&admin).await;
    poster(&admin).await;
    let owner = at(&app, "E-A", "A");
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&owner, &receiver, &[]).await;
    let roles = admin.get("/v1/roles?limit=200").await.expect(200);
    let role = roles["items"].as_array().unwrap().iter().find(|role| role["code"] == "poster").unwrap().clone();
    let less =
        json!({ "grants": [{ "action": "customer.read", "depth": "unit" }, { "action": "webhook.manage", "depth": "own" }] });
    let role_path = format!("/v1/roles/{}", text(&role["id"]));
    admin.patch(&role_path, version(&role), less).await.expect(200);
    customer(&admin, "Anna", &ids["A"]).await;
    app.deliver();
    assert!(receiver.received().is_empty());
    let now = admin.get(&path(&endpoint)).await.expect(200);
    assert_eq!((&now["status"], &now["status_reason"]), (&json!("disabled"), &json!("owner_not_entitled")));
    // With the right again it goes on where it was, and misses nothing.
    let role = admin.get(&role_path).await.expect(200);
    let more = json!({ "grants": [{ "action": "customer.read", "depth": "unit" }, { "action": "event.read", "depth": "unit" }, { "action": "webhook.manage", "depth": "own" }] });
    admin.patch(&role_path, version(&role), more).await.expect(200);
    owner.command(&format!("{}/enable", path(&endpoint)), version(&now), json!({})).await.expect(200);
    app.deliver();
    assert!(receiver.types().contains(&"customer.created".to_owned()), "{:?}", receiver.types());
}

async fn a_secret_is_shown_once_and_rotated_with_an_overlap(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    let (endpoint, old) = endpoint(&admin, &receiver, &["webhook_endpoint.*"]).await;
    let shown = admin.get(&path(&endpoint)).await.expect(200).to_string()
        + &admin.get("/v1/webhook-endpoints").await.expect(200).to_string();
    assert!(!shown.contains("whsec_") && !shown.contains(&old) && !shown.contains("sealed"), "{shown}");
    let rotated =
        admin.command(&format!("{}/rotate-secret", path(&endpoint)), 1, json!({ "grace_seconds": 3600 })).await.expect(200);
    let new = text(&rotated["secret"]);
    assert_ne!(old, new);
    app.deliver();
    let now = || app.store.now().seconds();
    let received = receiver.take();
    assert!(!received.is_empty());
    assert!(received.iter().all(|one| one.verifies(&old, now()) && one.verifies(&new, now())));
    app.store.clock().advance(std::time::Duration::from_secs(3601));
    admin.command(&format!("{}/test", path(&endpoint)), 2, json!({})).await.expect(202);
    app.deliver();
    let received = receiver.take();
    assert!(!received.is_empty());
    assert!(received.iter().all(|one| !one.verifies(&old, now()) && one.verifies(&new, now())));
    // Nothing that is told of it tells the secret.
    let feed = admin.get("/v1/events?type=webhook_endpoint.*").await.expect(200).to_string();
    assert!(feed.contains("secret_rotated") && !feed.contains("whsec_"), "{feed}");
}

async fn only_its_owner_changes_an_endpoint(app: App) {
    let admin = lasting(&app);
    bank(&admin).await;
    poster(&admin).await;
    let (owner, other) = (at(&app, "E-A", "A"), at(&app, "E-B", "B"));
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&owner, &receiver, &[]).await;
    let path = path(&endpoint);
    for verb in ["rotate-secret", "test", "replay", "enable"] {
        let body = if verb == "replay" { json!({ "after": "0" }) } else { json!({}) };
        admin.command(&format!("{path}/{verb}"), 1, body.clone()).await.problem(403);
        other.command(&format!("{path}/{verb}"), 1, body).await.problem(404);
    }
    // Whoever decides where events go would be told what the owner sees.
    let elsewhere = json!({ "url": "http://127.0.0.1:1/elsewhere" });
    admin.patch(&path, 1, elsewhere.clone()).await.problem(403);
    other.patch(&path, 1, elsewhere.clone()).await.problem(404);
    other.get(&path).await.problem(404);
    app.role("teller").get(&path).await.problem(403);
    assert_eq!(owner.patch(&path, 9, elsewhere.clone()).await.problem(412), "precondition_failed");
    assert_eq!(owner.patch(&path, 1, elsewhere).await.expect(200)["version"], 2);
    let stopped = admin.command(&format!("{path}/disable"), 2, json!({})).await.expect(200);
    assert_eq!((&stopped["status"], &stopped["status_reason"]), (&json!("disabled"), &json!("requested")));
    assert_eq!(admin.command(&format!("{path}/disable"), 3, json!({})).await.problem(409), "webhook_endpoint_disabled");
    assert_eq!(owner.command(&format!("{path}/test"), 3, json!({})).await.problem(409), "webhook_endpoint_disabled");
    owner.command(&format!("{path}/enable"), 3, json!({})).await.expect(200);
    assert_eq!(owner.command(&format!("{path}/enable"), 4, json!({})).await.problem(409), "webhook_endpoint_active");
}

async fn a_wrong_endpoint_is_refused(app: App) {
    let admin = lasting(&app);
    for url in [
        "",
        "hooks",
        "ftp://127.0.0.1/",
        "http://10.0.0.1/",
        "https://169.254.169.254/",
        "http://a:b@127.0.0.1/",
        "http://[::1]/",
    ] {
        let body = json!({ "name": "x", "url": url });
        assert_eq!(admin.post("/v1/webhook-endpoints", body).await.pointers(422), ["/url"], "{url}");
    }
    let sound = json!({ "name": "x", "url": "https://hooks.bank.example/" });
    for (field, value, pointer) in [
        ("types", json!(["customer.*", "nobody.knows"]), "/types/1"),
        ("types", json!(["x"]), "/types/0"),
        ("after", json!("x"), "/after"),
        ("name", json!(""), "/name"),
        ("secret", json!("mine"), "/secret"),
    ] {
        let mut body = sound.clone();
        body[field] = value;
        assert_eq!(admin.post("/v1/webhook-endpoints", body).await.pointers(422), [pointer]);
    }
    admin.post("/v1/webhook-endpoints", sound).await.expect(201);
}

async fn a_test_is_posted_whatever_is_wanted(app: App) {
    let admin = lasting(&app);
    bank(&admin).await;
    poster(&admin).await;
    let owner = at(&app, "E-A", "A");
    let receiver = Receiver::start();
    let (endpoint, secret) = endpoint(&owner, &receiver, &["customer.created"]).await;
    let answer = owner.command(&format!("{}/test", path(&endpoint)), 1, json!({})).await;
    let place = answer.header("location").unwrap();
    assert_eq!(answer.expect(202)["state"], "pending");
    app.deliver();
    let received = receiver.received();
    assert_eq!((received.len(), receiver.types()), (1, vec!["webhook_endpoint.tested".to_owned()]));
    assert!(received[0].verifies(&secret, app.store.now().seconds()));
    assert_eq!(received[0].event()["subject"], endpoint["id"]);
    assert_eq!(owner.get(&place).await.expect(200)["state"], "delivered");
}

async fn an_ended_endpoint_stays_ended(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &[]).await;
    let ids = bank(&admin).await;
    admin.command(&format!("{}/test", path(&endpoint)), 1, json!({})).await.expect(202);
    let ended = admin.command(&format!("{}/end", path(&endpoint)), 1, json!({})).await.expect(200);
    assert_eq!(ended["status"], "ended");
    customer(&admin, "Anna", &ids["A"]).await;
    app.deliver();
    assert!(receiver.received().is_empty());
    assert_eq!(log(&admin, &endpoint).await[0]["state"], "withheld");
    for verb in ["enable", "end", "test"] {
        assert_eq!(
            admin.command(&format!("{}/{verb}", path(&endpoint)), 2, json!({})).await.problem(409),
            "webhook_endpoint_ended"
        );
    }
    assert_eq!(admin.get("/v1/webhook-endpoints?status=active").await.expect(200)["items"], json!([]));
}

async fn the_log_is_kept_for_a_month(app: App) {
    let admin = lasting(&app);
    let receiver = Receiver::start();
    let (endpoint, _) = endpoint(&admin, &receiver, &["branch.*"]).await;
    bank(&admin).await;
    app.deliver();
    assert_eq!(log(&admin, &endpoint).await.len(), 3);
    app.store.clock().advance(std::time::Duration::from_secs(29 * 86_400));
    assert_eq!(kehu_api::webhook::sweep(&app.store).unwrap(), 0);
    app.store.clock().advance(std::time::Duration::from_secs(2 * 86_400));
    assert_eq!(kehu_api::webhook::sweep(&app.store).unwrap(), 3);
    assert!(log(&admin, &endpoint).await.is_empty());
}

/// The vectors of the standard's own libraries: what is accepted, and why not.
#[test]
fn the_vectors_of_the_standard_are_judged_alike() {
    let (secret, id, at, body) =
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "{\"test\": 2432232314}");
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let several =
        format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {right}");
    let now = 1_614_265_330;
    for (why, sound, body, signatures, now) in [
        ("as signed", true, body, right, now),
        ("one of several fits", true, body, several.as_str(), now),
        ("wrong signature", false, body, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", now),
        ("too old", false, body, right, now + 301),
        ("of the future", false, body, right, now - 301),
        ("another body", false, "{\"test\":2432232314}", right, now),
    ] {
        assert_eq!(verifies(secret, id, at, body, signatures, now), sound, "{why}");
    }
}

/// What is posted is documented: every type of event, and nothing else.
#[test]
fn every_type_of_event_stands_in_the_document() {
    let document = kehu_api::openapi::document();
    let listed: Vec<&String> = document["webhooks"].as_object().unwrap().keys().collect();
    assert_eq!(listed, kehu_api::events::kinds::all().keys().collect::<Vec<_>>());
    for (kind, item) in document["webhooks"].as_object().unwrap() {
        let body = &item["post"]["requestBody"]["content"]["application/cloudevents+json"];
        let schema = body["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
        let (schema, example) = (document.pointer(schema).unwrap(), &body["example"]);
        assert_eq!(example["type"], kind.as_str());
        for name in schema["required"].as_array().unwrap() {
            assert!(example.get(name.as_str().unwrap()).is_some(), "{kind}: {name}");
        }
    }
}
