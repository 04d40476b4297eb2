//! Machine clients: `/v1/clients` and `/v1/oauth/token`.

use std::time::Duration;

use actix_web::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_kernel::{Actor, store::Backend, time::Clock};
use kehu_organization::{
    role::{self, NewRole},
    staff::{self, NewStaff},
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{Answer, App, Client, sign},
};

both_databases!(
    a_client_gets_tokens_by_its_secret,
    wrong_requests_for_tokens_are_refused_after_the_rfc,
    a_scope_is_never_exceeded,
    nobody_makes_a_client_stronger_than_themselves,
    broken_clients_are_named_field_by_field,
    a_client_acts_for_people_within_its_scope
);

async fn make(admin: &Client<'_>, scopes: Value) -> (Value, String) {
    let body = json!({ "name": "Voice response", "prefix": "ivr", "roles": ["administrator"], "scopes": scopes });
    let made = admin.post("/v1/clients", body).await.expect(201);
    (made["client"].clone(), made["client_secret"].as_str().unwrap().to_owned())
}

async fn form(client: &Client<'_>, body: &str) -> Answer {
    client.send(Method::POST, "/v1/oauth/token", Some(("application/x-www-form-urlencoded", body.as_bytes().to_vec()))).await
}

async fn token(app: &App, client: &Value, secret: &str) -> Answer {
    let id = client["client_id"].as_str().unwrap();
    form(&app.stranger(), &format!("grant_type=client_credentials&client_id={id}&client_secret={secret}")).await
}

async fn caller<'a>(app: &'a App, client: &Value, secret: &str) -> Client<'a> {
    app.token(token(app, client, secret).await.expect(200)["access_token"].as_str().unwrap().to_owned())
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{id}:{secret}")))
}

fn path(client: &Value, verb: &str) -> String {
    format!("/v1/clients/{}/{verb}", client["id"].as_str().unwrap())
}

async fn a_client_gets_tokens_by_its_secret(app: App) {
    let admin = app.role("administrator");
    let (client, secret) = make(&admin, json!(["branch.read", "job.manage"])).await;
    assert!(client["client_id"].as_str().unwrap().starts_with("ivr-") && secret.len() > 40);
    let answer = token(&app, &client, &secret).await;
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let issued = answer.expect(200);
    assert_eq!((&issued["token_type"], &issued["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(issued["scope"], "branch.read job.manage");
    let id = client["client_id"].as_str().unwrap();
    let by_header = app.stranger().with("Authorization", &basic(id, &secret));
    form(&by_header, "grant_type=client_credentials").await.expect(200);
    assert_eq!(caller(&app, &client, &secret).await.get("/v1/branches").await.status, 200);
    // No list, no event and no column ever shows the secret or its hash.
    let list = admin.get("/v1/clients?include_total=true").await.expect(200);
    assert_eq!(list["total"], 1);
    assert!(!list.to_string().contains("argon2") && !list.to_string().contains("secret_hash"));
    let kept = text(&app, "SELECT secret_hash AS text FROM clients");
    assert!(kept.starts_with("$argon2id$") && !kept.contains(&secret));
    assert_eq!(app.role("teller").get("/v1/clients").await.problem(403), "forbidden");
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

fn text(app: &App, sql: &'static str) -> String {
    app.store.read_blocking(move |conn| Ok(sql_query(sql).get_result::<Row>(&mut conn.db)?.text)).unwrap()
}

async fn wrong_requests_for_tokens_are_refused_after_the_rfc(app: App) {
    let (client, secret) = make(&app.role("administrator"), json!(["branch.read"])).await;
    let id = client["client_id"].as_str().unwrap();
    let credentials = format!("client_id={id}&client_secret={secret}");
    let cases = [
        (401, "invalid_client", format!("grant_type=client_credentials&client_id={id}&client_secret=wrong")),
        (401, "invalid_client", format!("grant_type=client_credentials&client_id=nobody&client_secret={secret}")),
        (401, "invalid_client", "grant_type=client_credentials".to_owned()),
        (401, "invalid_client", format!("grant_type=client_credentials&client_id={id}&client_secret=")),
        (400, "invalid_request", credentials.clone()),
        (400, "invalid_request", format!("grant_type=client_credentials&grant_type=client_credentials&{credentials}")),
        (400, "unsupported_grant_type", format!("grant_type=password&{credentials}")),
        (400, "invalid_scope", format!("grant_type=client_credentials&scope=branch.manage&{credentials}")),
    ];
    for (status, error, body) in cases {
        let answer = form(&app.stranger(), &body).await;
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{body}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"), "{body}");
        assert_eq!(answer.expect(status)["error"], error, "{body}");
    }
    let both = app.stranger().with("Authorization", &basic(id, &secret));
    assert_eq!(
        form(&both, &format!("grant_type=client_credentials&{credentials}")).await.expect(400)["error"],
        "invalid_request"
    );
    let wrong = app.stranger().with("Authorization", &basic(id, "wrong"));
    let answer = form(&wrong, "grant_type=client_credentials").await;
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic"));
    assert_eq!(answer.expect(401)["error"], "invalid_client");
    let json = app.stranger().post("/v1/oauth/token", json!({ "grant_type": "client_credentials" })).await;
    assert_eq!(json.expect(400)["error"], "invalid_request");
}

async fn a_scope_is_never_exceeded(app: App) {
    let (client, secret) = make(&app.role("administrator"), json!(["branch.read", "branch.manage"])).await;
    let branch = json!({ "code": "HO", "name": "Head office", "level": "head_office" });
    let id = client["client_id"].as_str().unwrap();
    let narrow = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=branch.read");
    let narrow = form(&app.stranger(), &narrow).await.expect(200);
    let narrow = app.token(narrow["access_token"].as_str().unwrap().to_owned());
    assert_eq!(narrow.get("/v1/branches").await.status, 200);
    assert_eq!(narrow.post("/v1/branches", branch.clone()).await.problem(403), "forbidden");
    let wide = caller(&app, &client, &secret).await;
    assert_eq!(wide.post("/v1/branches", branch).await.status, 201);
    // Its role could do this, its scopes cannot.
    assert_eq!(wide.get("/v1/clients").await.problem(403), "forbidden");
}

fn new_role(app: &App, grants: Value) {
    let role: NewRole = serde_json::from_value(
        json!({ "code": "vendor", "name": "Vendor", "grants": grants, "field_classes": ["public", "internal"] }),
    )
    .unwrap();
    app.store.write_blocking(move |tx| role::create(tx, &Actor::system(), role.clone())).unwrap();
}

async fn nobody_makes_a_client_stronger_than_themselves(app: App) {
    new_role(&app, json!([{ "action": "client.manage", "depth": "all" }, { "action": "branch.read", "depth": "all" }]));
    let vendor = app.role("vendor");
    let body = |scopes: Value| json!({ "name": "x", "prefix": "x", "roles": ["administrator"], "scopes": scopes });
    assert_eq!(vendor.post("/v1/clients", body(json!(["branch.read", "customer.read"]))).await.problem(403), "forbidden");
    vendor.post("/v1/clients", body(json!(["branch.read"]))).await.expect(201);
}

async fn broken_clients_are_named_field_by_field(app: App) {
    let admin = app.role("administrator");
    let base = json!({ "name": "x", "prefix": "x", "roles": ["administrator"], "scopes": ["branch.read"] });
    let with = |change: Value| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    let cases = [
        (json!({ "name": "", "prefix": "a b", "roles": [], "scopes": ["fly"] }), vec!["/name", "/prefix", "/roles", "/scopes"]),
        (json!({ "roles": ["administrator", "pilot", "customer_self"] }), vec!["/roles/1", "/roles/2"]),
        (json!({ "branch_id": "01890a5d-ac96-774b-bcce-b302099a8057" }), vec!["/branch_id"]),
        (json!({ "secret": "of my own" }), vec!["/secret"]),
    ];
    for (change, pointers) in cases {
        assert_eq!(admin.post("/v1/clients", with(change)).await.pointers(422), pointers);
    }
    let (client, _) = make(&admin, json!(["branch.read"])).await;
    let too_long = admin.command(&path(&client, "rotate-secret"), 1, json!({ "grace_seconds": 604_801 })).await;
    assert_eq!(too_long.pointers(422), ["/grace_seconds"]);
    assert_eq!(admin.command(&path(&client, "rotate-secret"), 7, json!({})).await.problem(412), "precondition_failed");
    assert_eq!(admin.post(&path(&client, "revoke"), json!({})).await.problem(428), "precondition_required");
}

fn hire(app: &App, number: &str, branch: &Value, roles: Value) {
    let person = json!({ "employee_no": number, "name": "Li Wei", "branch_id": branch, "roles": roles });
    let person: NewStaff = serde_json::from_value(person).unwrap();
    app.store.write_blocking(move |tx| staff::create(tx, &Actor::system(), person.clone())).unwrap();
}

async fn a_client_acts_for_people_within_its_scope(app: App) {
    let admin = app.role("administrator");
    let branch = json!({ "code": "HO", "name": "Head office", "level": "head_office" });
    let office = admin.post("/v1/branches", branch).await.expect(201)["id"].clone();
    hire(&app, "E1", &office, json!(["administrator"]));
    hire(&app, "E2", &office, json!(["teller"]));
    let (client, secret) = make(&admin, json!(["branch.read", "branch.manage", "on_behalf_of"])).await;
    let machine = caller(&app, &client, &secret).await;
    let below = |code: &str| json!({ "code": code, "name": code, "level": "outlet", "parent_id": office });
    machine.with("X-On-Behalf-Of", "E1").post("/v1/branches", below("A")).await.expect(201);
    let sql = "SELECT actor || ' ' || on_behalf_by AS text FROM events WHERE on_behalf_by IS NOT NULL";
    assert_eq!(text(&app, sql), format!("E1 {}", client["client_id"].as_str().unwrap()));
    // What the person may not do, the client may not do for them; what the client may not do, neither.
    assert_eq!(machine.with("X-On-Behalf-Of", "E2").post("/v1/branches", below("B")).await.problem(403), "forbidden");
    assert_eq!(machine.with("X-On-Behalf-Of", "E1").get("/v1/clients").await.problem(403), "forbidden");
    assert_eq!(machine.with("X-On-Behalf-Of", "nobody").get("/v1/branches").await.problem(403), "forbidden");
    assert_eq!(machine.with("X-On-Behalf-Of", " ").get("/v1/branches").await.problem(400), "malformed_request");
    assert_eq!(admin.with("X-On-Behalf-Of", "E2").get("/v1/branches").await.problem(403), "forbidden");
    let (plain, secret) = make(&admin, json!(["branch.read"])).await;
    let plain = caller(&app, &plain, &secret).await;
    assert_eq!(plain.with("X-On-Behalf-Of", "E1").get("/v1/branches").await.problem(403), "forbidden");
}

async fn over_time(backend: Backend) {
    let clock = Clock::fixed(Clock::system().now());
    let app = App::remembering(Duration::from_secs(5), backend, clock.clone(), App::settings()).await;
    let admin = app.token(sign(json!({ "roles": ["administrator"], "exp": 4_000_000_000_u64 })));
    let (client, old) = make(&admin, json!(["branch.read"])).await;
    let rotated = admin.command(&path(&client, "rotate-secret"), 1, json!({ "grace_seconds": 60 })).await.expect(200);
    let new = rotated["client_secret"].as_str().unwrap();
    assert_eq!((token(&app, &client, &old).await.status, token(&app, &client, new).await.status), (200, 200));
    clock.advance(Duration::from_secs(61));
    assert_eq!((token(&app, &client, &old).await.status, token(&app, &client, new).await.status), (401, 200));
    // A token ends with its client, as soon as the caller is forgotten, and a client's token ends by itself.
    let machine = caller(&app, &client, new).await;
    assert_eq!(machine.get("/v1/branches").await.status, 200);
    admin.command(&path(&client, "revoke"), 2, json!({})).await.expect(200);
    clock.advance(Duration::from_secs(6));
    assert_eq!(machine.get("/v1/branches").await.problem(401), "unauthenticated");
    assert_eq!(token(&app, &client, new).await.expect(401)["error"], "invalid_client");
    assert_eq!(admin.command(&path(&client, "revoke"), 3, json!({})).await.problem(409), "client_revoked");
    let (other, secret) = make(&admin, json!(["branch.read"])).await;
    let machine = caller(&app, &other, &secret).await;
    clock.advance(Duration::from_secs(3600 + 31));
    assert_eq!(machine.get("/v1/branches").await.problem(401), "unauthenticated");
}

#[actix_web::test]
async fn secrets_and_tokens_end_sqlite() {
    over_time(Backend::Sqlite).await;
}

#[actix_web::test]
async fn secrets_and_tokens_end_postgres() {
    over_time(Backend::Postgres).await;
}
