//! Links to files, what they open and for how long; exports that are stopped.

use std::time::Duration;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_intake::export::sweep;
use kehu_kernel::{AnyId, schema::exports, time::Clock};
use serde_json::{Value, json};

use crate::{
    both_databases,
    export::ask,
    support::{App, Client, customers::company, sign},
};

both_databases!(
    a_broken_download_goes_on_where_it_broke_off,
    a_link_opens_one_file_for_an_hour,
    a_file_is_gone_after_its_time,
    what_is_stopped_or_taken_back_is_gone,
    what_lies_on_the_disk_cannot_be_read
);

fn wish() -> Value {
    json!({ "list": "list_customers", "format": "ndjson" })
}

/// An export that is ready, and its link.
async fn ready(app: &App, client: &Client<'_>) -> (String, String) {
    let path = ask(client, wish()).await;
    app.run_jobs();
    let made = client.get(&path).await.expect(200);
    let link = made["download_url"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
    (path, link)
}

async fn a_broken_download_goes_on_where_it_broke_off(app: App) {
    let admin = app.role("administrator");
    for n in 0..5 {
        company(&admin, &format!("Company {n}")).await;
    }
    let (_, link) = ready(&app, &admin).await;
    let whole = app.stranger().get(&link).await;
    assert_eq!((whole.status, whole.header("accept-ranges").as_deref()), (200, Some("bytes")));
    assert_eq!(whole.header("content-encoding").as_deref(), Some("identity"));
    let disposition = whole.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; filename=\"list_customers-") && disposition.ends_with(".ndjson\""));
    let tag = whole.header("etag").unwrap();
    let (all, size) = (whole.bytes, whole.headers.get("content-length").map(|value| value.to_str().unwrap().to_owned()));
    assert!(all.len() > 1_000 && size.is_none_or(|size| size == all.len().to_string()));
    let range = |range: String| app.stranger().with("Range", &range);
    let mut read = Vec::new();
    while read.len() < all.len() {
        let to = (read.len() + 700).min(all.len());
        let part = range(format!("bytes={}-{}", read.len(), to - 1)).with("If-Range", &tag).get(&link).await;
        assert_eq!(part.status, 206);
        assert_eq!(part.header("content-range").unwrap(), format!("bytes {}-{}/{}", read.len(), to - 1, all.len()));
        assert_eq!(part.header("etag").unwrap(), tag);
        read.extend(part.bytes);
    }
    assert!(read == all);
    let last = range("bytes=-10".into()).get(&link).await;
    assert_eq!((last.status, last.bytes.as_slice()), (206, &all[all.len() - 10..]));
    let other = range("bytes=5-".into()).with("If-Range", "\"other\"").get(&link).await;
    assert_eq!((other.status, other.bytes.len()), (200, all.len()));
    assert_eq!(range(format!("bytes={}-", all.len())).get(&link).await.problem(416), "range_not_satisfiable");
}

async fn a_link_opens_one_file_for_an_hour(app: App) {
    let clock = Clock::fixed(Clock::system().now());
    let app = App::on(app.store.backend(), clock.clone(), App::settings()).await;
    let forever = clock.now().plus(Duration::from_secs(30 * 24 * 3600)).seconds();
    let admin = app.token(sign(json!({ "sub": "admin", "roles": ["administrator"], "exp": forever })));
    company(&admin, "One").await;
    let (first, link) = ready(&app, &admin).await;
    let (second, _) = ready(&app, &admin).await;
    assert!(!link.contains("One") && link.len() < 200);
    let get = async |link: &str| app.stranger().get(link).await;
    assert_eq!(get(&link).await.status, 200);
    let (base, query) = link.split_once('?').unwrap();
    let (expires, signature) = query.strip_prefix("expires=").unwrap().split_once("&signature=").unwrap();
    let later = expires.parse::<i64>().unwrap() + 3600;
    let twisted: String = signature.chars().rev().collect();
    for forged in [
        format!("{second}/content?{query}"),
        format!("{base}?expires={later}&signature={signature}"),
        format!("{base}?expires={expires}&signature={twisted}"),
    ] {
        assert_eq!(get(&forged).await.problem(404), "not_found", "{forged}");
    }
    for broken in [base.to_owned(), format!("{base}?expires={expires}&signature=x")] {
        assert_eq!(get(&broken).await.problem(400), "malformed_request", "{broken}");
    }
    // A token is no link.
    assert_eq!(admin.get(base).await.problem(400), "malformed_request");
    clock.advance(Duration::from_secs(3599));
    assert_eq!(get(&link).await.status, 200);
    clock.advance(Duration::from_secs(2));
    assert_eq!(get(&link).await.problem(403), "forbidden");
    let fresh = admin.get(&first).await.expect(200)["download_url"].as_str().unwrap().to_owned();
    assert_ne!(fresh, link);
    assert_eq!(get(&fresh).await.status, 200);
    // Others see neither the export nor a link to it.
    assert_eq!(
        app.token(sign(json!({ "sub": "b", "roles": ["analyst"], "exp": forever }))).get(&first).await.problem(404),
        "not_found"
    );
    let manager = app.token(sign(json!({ "sub": "root", "roles": ["administrator"], "exp": forever })));
    let seen = manager.get(&first).await.expect(200);
    assert_eq!(
        (&seen["state"], &seen["download_url"], &seen["download_expires_at"]),
        (&json!("ready"), &Value::Null, &Value::Null)
    );
    assert_eq!(manager.get("/v1/exports?include_total=true").await.expect(200)["total"], 2);
}

async fn a_file_is_gone_after_its_time(app: App) {
    let clock = Clock::fixed(Clock::system().now());
    let directory = tempfile::tempdir().unwrap();
    let app = App::on(app.store.backend(), clock.clone(), App::settings()).await;
    let forever = clock.now().plus(Duration::from_secs(30 * 24 * 3600)).seconds();
    let admin = app.token(sign(json!({ "sub": "admin", "roles": ["administrator"], "exp": forever })));
    company(&admin, "One").await;
    let (path, _) = ready(&app, &admin).await;
    clock.advance(Duration::from_secs(7 * 24 * 3600 - 60));
    let made = admin.get(&path).await.expect(200);
    assert_eq!(
        made["download_expires_at"],
        made["expires_at"].as_str().unwrap().split('.').next().map(|at| format!("{}Z", at.trim_end_matches('Z'))).unwrap()
    );
    let link = made["download_url"].as_str().unwrap().to_owned();
    assert_eq!(app.stranger().get(&link).await.status, 200);
    clock.advance(Duration::from_secs(61));
    assert_eq!(app.stranger().get(&link).await.problem(403), "forbidden");
    let over = admin.get(&path).await.expect(200);
    assert_eq!((&over["state"], &over["download_url"]), (&json!("expired"), &Value::Null));
    assert_eq!(sweep(&app.store, directory.path()).unwrap(), 1);
    assert_eq!(sweep(&app.store, directory.path()).unwrap(), 0);
    assert_eq!(admin.get(&path).await.expect(200)["state"], "expired");
    assert_eq!(admin.post(&format!("{path}/cancel"), json!({})).await.problem(409), "export_ended");
}

async fn what_is_stopped_or_taken_back_is_gone(app: App) {
    let admin = app.role("administrator");
    company(&admin, "One").await;
    let (path, link) = ready(&app, &admin).await;
    let taken = admin.post(&format!("{path}/cancel"), json!({})).await.expect(200);
    assert_eq!((&taken["state"], &taken["download_url"]), (&json!("cancelled"), &Value::Null));
    assert_eq!(app.stranger().get(&link).await.problem(404), "not_found");
    assert_eq!(admin.post(&format!("{path}/cancel"), json!({})).await.problem(409), "export_ended");
    let waiting = ask(&admin, wish()).await;
    let stopped = admin.post(&format!("{waiting}/cancel"), json!({})).await.expect(200);
    assert_eq!(stopped["state"], "cancelled");
    app.run_jobs();
    assert_eq!(admin.get(&waiting).await.expect(200)["state"], "cancelled");
    // Somebody else's is not there.
    let mine = ask(&app.role("analyst"), wish()).await;
    let other = app.token(sign(json!({ "sub": "other", "roles": ["analyst"] })));
    assert_eq!(other.post(&format!("{mine}/cancel"), json!({})).await.problem(404), "not_found");
    assert_eq!(other.get("/v1/exports").await.expect(200)["items"], json!([]));
    // One whose job was stopped as a job.
    let job = app.role("analyst").get(&mine).await.expect(200)["job_id"].as_str().unwrap().to_owned();
    admin.post(&format!("/v1/jobs/{job}/cancel"), json!({})).await.expect(200);
    assert_eq!(app.role("analyst").get(&mine).await.expect(200)["state"], "cancelled");
}

async fn what_lies_on_the_disk_cannot_be_read(app: App) {
    let admin = app.role("administrator");
    company(&admin, "Recognisable Name").await;
    let (path, link) = ready(&app, &admin).await;
    let id = path.rsplit('/').next().unwrap();
    let directory = app.data_dir().join("exports").join(id);
    let files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    let mut bytes = std::fs::read(&files[0]).unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("Recognisable"));
    assert!(String::from_utf8(app.stranger().get(&link).await.bytes).unwrap().contains("Recognisable Name"));
    let parsed: AnyId = id.parse().unwrap();
    let row: Option<Vec<u8>> = app
        .store
        .read_blocking(|conn| {
            Ok(exports::table
                .filter(exports::id.eq(parsed.cast::<kehu_intake::export::Export>()))
                .select(exports::tail)
                .first(&mut conn.db)?)
        })
        .unwrap();
    assert_eq!(row, None, "nothing of the rows stays in the table");
    // Taken back, it is swept from the disk.
    bytes.reverse();
    admin.post(&format!("{path}/cancel"), json!({})).await.expect(200);
    sweep(&app.store, &app.data_dir()).unwrap();
    assert!(!directory.exists());
}
