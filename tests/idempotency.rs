//! `Idempotency-Key`: carried out once, answered alike.

use std::{sync::Arc, time::Duration};

use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary},
};
use futures_util::future::join_all;
use kehu_kernel::{
    Actor, AnyId, Error,
    event::NewEvent,
    store::{self, Backend},
    time::Clock,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{Answer, App, Client, sign},
};

both_databases!(
    a_repetition_gets_the_first_answer,
    another_request_with_the_same_key_is_refused,
    keys_belong_to_caller_and_path,
    many_at_once_are_carried_out_once,
    problems_are_kept_and_faults_are_not,
    keys_are_short_and_plain,
    answers_are_sealed_at_rest,
    a_request_that_was_taken_over_cannot_write
);

fn branch(code: &str) -> Value {
    json!({ "code": code, "name": "The Wayfarers' Branch", "level": "head_office" })
}

async fn open(client: &Client<'_>, key: &str, code: &str) -> Answer {
    client.with("Idempotency-Key", key).post("/v1/branches", branch(code)).await
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed").as_deref() == Some("true")
}

async fn branches(app: &App) -> i64 {
    app.role("administrator").get("/v1/branches?include_total=true").await.expect(200)["total"].as_i64().unwrap()
}

fn alter(app: &App, sql: &'static str) {
    app.store.write_blocking(move |tx| Ok(sql_query(sql).execute(&mut tx.db)?)).unwrap();
}

async fn a_repetition_gets_the_first_answer(app: App) {
    let admin = app.role("administrator");
    let first = open(&admin, "k-1", "HO").await;
    let again = open(&admin, "k-1", "HO").await;
    assert!(!replayed(&first) && replayed(&again));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
        assert!(first.header(name).is_some(), "{name}");
    }
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(branches(&app).await, 1);
}

async fn another_request_with_the_same_key_is_refused(app: App) {
    let admin = app.role("administrator");
    open(&admin, "k-1", "HO").await.expect(201);
    assert_eq!(open(&admin, "k-1", "XX").await.problem(422), "idempotency_key_reused");
    let conditional = admin.with("If-Match", "\"7\"");
    assert_eq!(open(&conditional, "k-1", "HO").await.problem(422), "idempotency_key_reused");
    assert_eq!(branches(&app).await, 1);
}

async fn keys_belong_to_caller_and_path(app: App) {
    open(&app.role("administrator"), "k-1", "HO").await.expect(201);
    let other = app.token(sign(json!({ "sub": "another", "roles": ["administrator"] })));
    let theirs = open(&other, "k-1", "XX").await;
    assert!(!replayed(&theirs));
    theirs.expect(201);
    // A stranger learns nothing of it.
    assert_eq!(open(&app.stranger(), "k-1", "HO").await.problem(401), "unauthenticated");
}

async fn many_at_once_are_carried_out_once(app: App) {
    let admin = app.role("administrator");
    let answers = join_all((0..8).map(|_| open(&admin, "k-1", "HO"))).await;
    let mut done = 0;
    for answer in answers {
        if answer.status == 201 {
            done += u32::from(!replayed(&answer));
        } else {
            assert!(answer.header("retry-after").is_some());
            assert_eq!(answer.problem(409), "idempotency_key_running");
        }
    }
    assert_eq!((done, branches(&app).await), (1, 1));
    assert!(replayed(&open(&admin, "k-1", "HO").await));
}

async fn problems_are_kept_and_faults_are_not(app: App) {
    let admin = app.role("administrator");
    open(&admin, "k-1", "HO").await.expect(201);
    assert_eq!(open(&admin, "k-2", "HO").await.problem(409), "branch_code_taken");
    alter(&app, "UPDATE branches SET code = 'OLD'");
    let again = open(&admin, "k-2", "HO").await;
    assert!(replayed(&again));
    let id = again.header("x-request-id");
    let body = again.expect(409);
    assert_eq!((&body["code"], body["request_id"].as_str()), (&json!("branch_code_taken"), id.as_deref()));
    // A fault of the server is no answer to keep.
    alter(&app, "ALTER TABLE branches RENAME TO elsewhere");
    assert_eq!(open(&admin, "k-3", "NEW").await.status, 500);
    alter(&app, "ALTER TABLE elsewhere RENAME TO branches");
    let repaired = open(&admin, "k-3", "NEW").await;
    assert!(!replayed(&repaired), "{repaired:?}");
}

async fn keys_are_short_and_plain(app: App) {
    let admin = app.role("administrator");
    for wrong in ["", "two words", &"x".repeat(256)] {
        assert_eq!(open(&admin, wrong, "HO").await.problem(400), "invalid_idempotency_key");
    }
    let twice = admin.with("Idempotency-Key", "a");
    assert_eq!(open(&twice, "b", "HO").await.problem(400), "invalid_idempotency_key");
    open(&admin, &"x".repeat(255), "HO").await.expect(201);
    // Where it means nothing, it is no mistake either.
    assert_eq!(admin.with("Idempotency-Key", "").get("/v1/branches").await.status, 200);
}

#[derive(QueryableByName)]
struct Sealed {
    #[diesel(sql_type = Binary)]
    body_sealed: Vec<u8>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(app: &App, sql: &'static str) -> i64 {
    app.store.read_blocking(move |conn| Ok(sql_query(sql).get_result::<Count>(&mut conn.db)?.count)).unwrap()
}

async fn answers_are_sealed_at_rest(app: App) {
    open(&app.role("administrator"), "k-1", "HO").await.expect(201);
    let rows: Vec<Sealed> =
        app.store.read_blocking(|conn| Ok(sql_query("SELECT body_sealed FROM idempotency_keys").load(&mut conn.db)?)).unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!String::from_utf8_lossy(&rows[0].body_sealed).contains("Wayfarers"));
}

async fn a_request_that_was_taken_over_cannot_write(app: App) {
    let lost = Arc::new(|_: &mut kehu_kernel::Tx<'_>| Err(Error::conflict("idempotency_key_lost", "taken over")));
    let write = app.store.write(|tx| {
        tx.emit(&Actor::system(), NewEvent::new("test.happened", AnyId::new(), json!({})));
        Ok(())
    });
    let outcome = store::with_each_write(lost, write).await;
    assert!(matches!(outcome, Err(Error::Conflict { code: "idempotency_key_lost", .. })), "{outcome:?}");
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM events"), 0);
}

async fn after_a_crash(backend: Backend) {
    let clock = Clock::fixed(Clock::system().now());
    let app = App::on(backend, clock.clone(), App::settings()).await;
    let admin = app.token(sign(json!({ "roles": ["administrator"], "exp": 4_000_000_000_u64 })));
    open(&admin, "k-1", "HO").await.expect(201);
    assert_eq!(count(&app, "SELECT COUNT(*) AS count FROM idempotency_keys WHERE state = 'answered'"), 1);
    // Died after the commit, before the answer was kept.
    alter(&app, "UPDATE idempotency_keys SET state = 'written', status = NULL, body_sealed = NULL");
    assert_eq!(open(&admin, "k-1", "HO").await.problem(409), "idempotency_key_running");
    clock.advance(Duration::from_secs(40));
    assert_eq!(open(&admin, "k-1", "HO").await.problem(409), "idempotency_answer_lost");
    // Died before anything was committed.
    alter(&app, "UPDATE idempotency_keys SET state = 'running'");
    alter(&app, "DELETE FROM branches");
    let second = open(&admin, "k-1", "HO").await;
    assert!(!replayed(&second));
    second.expect(201);
    assert!(replayed(&open(&admin, "k-1", "HO").await));
    // After a day the key is free, and swept out.
    clock.advance(Duration::from_secs(24 * 3600 + 60));
    assert_eq!(open(&admin, "k-1", "HO").await.problem(409), "branch_code_taken");
    clock.advance(Duration::from_secs(24 * 3600 + 60));
    let gone = actix_web::rt::task::spawn_blocking({
        let store = app.store.clone();
        move || kehu_api::idempotency::sweep(&store).unwrap()
    });
    assert_eq!(gone.await.unwrap(), 1);
}

#[actix_web::test]
async fn after_a_crash_sqlite() {
    after_a_crash(Backend::Sqlite).await;
}

#[actix_web::test]
async fn after_a_crash_postgres() {
    after_a_crash(Backend::Postgres).await;
}
