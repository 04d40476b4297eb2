//! `/v1/jobs`, and the workers behind it.

use std::time::Duration;

use kehu_api::worker::Workers;
use kehu_kernel::{
    Actor, Error,
    job::{self, JobId, Runner},
};
use serde_json::json;

use crate::{both_databases, support::App};

both_databases!(
    everybody_sees_their_own_jobs,
    a_waiting_job_is_cancelled_at_once,
    workers_run_jobs_until_they_are_stopped,
    a_job_outlives_however_many_failures_of_the_database
);

fn enqueue(app: &App, by: &str, kind: &'static str) -> JobId {
    let actor = Actor { subject: by.to_owned(), ..Actor::system() };
    app.store.write_blocking(move |tx| job::enqueue(tx, &actor, kind, json!({ "secret": "of the payload" }))).unwrap()
}

async fn everybody_sees_their_own_jobs(app: App) {
    let (mine, other) = (enqueue(&app, "test-teller", "test"), enqueue(&app, "somebody", "test"));
    let teller = app.role("teller");
    let list = teller.get("/v1/jobs?include_total=true").await.expect(200);
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &json!(mine.to_string())));
    assert!(!list.to_string().contains("of the payload"));
    let one = teller.get(&format!("/v1/jobs/{mine}")).await;
    assert_eq!(one.header("etag").as_deref(), Some("\"1\""));
    assert_eq!(one.expect(200)["state"], "queued");
    assert_eq!(teller.get(&format!("/v1/jobs/{other}")).await.problem(404), "not_found");
    assert_eq!(teller.post(&format!("/v1/jobs/{other}/cancel"), json!({})).await.problem(404), "not_found");
    let all = app.role("administrator").get("/v1/jobs?limit=1").await.expect(200);
    assert_eq!(all["items"][0]["id"], json!(other.to_string()), "newest first");
    let next = all["next_cursor"].as_str().unwrap();
    let rest = app.role("administrator").get(&format!("/v1/jobs?limit=1&cursor={next}")).await.expect(200);
    assert_eq!((&rest["items"][0]["id"], &rest["next_cursor"]), (&json!(mine.to_string()), &json!(null)));
    assert_eq!(teller.get("/v1/jobs?colour=red").await.pointers(400), ["?colour"]);
}

async fn a_waiting_job_is_cancelled_at_once(app: App) {
    let id = enqueue(&app, "test-teller", "test");
    let teller = app.role("teller");
    assert_eq!(teller.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await.expect(200)["state"], "cancelled");
    assert_eq!(teller.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await.problem(409), "job_ended");
}

async fn workers_run_jobs_until_they_are_stopped(app: App) {
    let (good, bad) = (enqueue(&app, "test-teller", "good"), enqueue(&app, "test-teller", "bad"));
    let runner = Runner::default()
        .with("good", Box::new(|_, _| Ok(json!({ "made": 3 }))))
        .with("bad", Box::new(|_, _| Err(Error::conflict("no_luck", "It cannot be done."))));
    let workers = Workers::start(&app.store, vec![("test", runner)], App::settings().data_dir).unwrap();
    let teller = app.role("teller");
    for id in [good, bad] {
        let mut state = json!("queued");
        for _ in 0..200 {
            state = teller.get(&format!("/v1/jobs/{id}")).await.expect(200)["state"].clone();
            if state == "done" || state == "failed" {
                break;
            }
            actix_web::rt::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(state, if id == good { "done" } else { "failed" });
    }
    assert_eq!(teller.get(&format!("/v1/jobs/{good}")).await.expect(200)["result"], json!({ "made": 3 }));
    actix_web::rt::task::spawn_blocking(|| workers.stop()).await.unwrap();
    let late = enqueue(&app, "test-teller", "good");
    actix_web::rt::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(teller.get(&format!("/v1/jobs/{late}")).await.expect(200)["state"], "queued");
}

async fn a_job_outlives_however_many_failures_of_the_database(app: App) {
    const FAILURES: i64 = 9;
    let id = enqueue(&app, "test-teller", "patient");
    let runner = Runner::default().with(
        "patient",
        Box::new(|store, lease| {
            let (own, done) = (lease.clone(), lease.job.progress_done + 1);
            store.write_blocking(move |tx| own.progress(tx, done, Some(FAILURES)))?;
            if done <= FAILURES { Err(Error::Unavailable("it went away".into())) } else { Ok(json!({ "done": done })) }
        }),
    );
    let workers = Workers::start(&app.store, vec![("test", runner)], App::settings().data_dir).unwrap();
    let teller = app.role("teller");
    let mut job = json!(null);
    for _ in 0..400 {
        job = teller.get(&format!("/v1/jobs/{id}")).await.expect(200);
        if job["state"] == "done" || job["state"] == "failed" {
            break;
        }
        actix_web::rt::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!((&job["state"], &job["attempts"], &job["error"]), (&json!("done"), &json!(FAILURES + 1), &json!(null)), "{job}");
    actix_web::rt::task::spawn_blocking(|| workers.stop()).await.unwrap();
}
