//! A server that is killed while it makes an export, and another one that goes on.

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use diesel::{RunQueryDsl, sql_query};
use kehu_kernel::{Store, crypto::Keyring, store::StoreOptions, time::Clock};
use serde_json::{Value, json};

use crate::support::{
    postgres,
    process::{Caller, Server, free_address, text},
};

const CUSTOMERS: usize = 7_000;

#[test]
fn sqlite() {
    let directory = tempfile::tempdir().unwrap();
    a_killed_export_ends_as_an_undisturbed_one(&format!("sqlite://{}/kehu.db", directory.path().display()));
}

#[test]
fn postgres() {
    a_killed_export_ends_as_an_undisturbed_one(&postgres::empty_database());
}

/// Customers with a name each.
fn import(url: &str, directory: &Path) {
    let mut rows = String::from("id,name\n");
    for n in 0..CUSTOMERS {
        writeln!(rows, "{n},\"Person, {n} 王\"").unwrap();
    }
    let files = directory.join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("clients.csv"), rows).unwrap();
    let fields = json!({ "source_id": "id", "full_name": "name", "branch_code": { "constant": "HO" } });
    let mapping = json!({ "code": "many", "name": "Many rows", "document": {
        "version": 1,
        "records": [{ "feed": "branches", "record": { "code": "HO", "name": "Head office", "level": "head_office" } }],
        "files": [{ "pattern": "*.csv", "feeds": [{ "feed": "customers", "fields": fields }] }],
    } });
    let document = directory.join("mapping.json");
    fs::write(&document, mapping.to_string()).unwrap();
    text(url, &["import", "--source", "many", "--mapping", document.to_str().unwrap(), files.to_str().unwrap()]);
}

/// Asks again while the server is too busy to answer.
fn insist(what: &str, call: impl Fn() -> Result<(u16, Value), ureq::Error>) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match call() {
            Ok((200 | 202, body)) => return body,
            Ok((409 | 503, _)) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            other => panic!("{what}: {other:?}"),
        }
    }
}

fn ask(caller: &Caller, key: &str, format: &str) -> String {
    let wish = json!({ "list": "list_customers", "format": format, "purpose": "report" });
    let asked = insist(format, || caller.post("/v1/exports", key, &wish));
    format!("/v1/exports/{}", asked["id"].as_str().unwrap())
}

fn wait(caller: &Caller, path: &str, until: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let export = insist(path, || caller.get(path));
        if until(&export) {
            return export;
        }
        assert!(!["failed", "cancelled"].contains(&export["state"].as_str().unwrap()), "{export}");
        assert!(Instant::now() < deadline, "the export does not come on: {export}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The lease of the dead server's job runs out.
fn lose_leases(url: &str) {
    let store = Store::open(&StoreOptions::new(url), Keyring::development().unwrap(), Clock::system()).unwrap();
    let lost = "UPDATE jobs SET lease_until = created_at WHERE state = 'running'";
    store.write_blocking(move |tx| Ok(sql_query(lost).execute(&mut tx.db)?)).unwrap();
}

fn fetch(server: &Server, link: &str) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match ureq::get(format!("http://{}{link}", server.address)).call() {
            Ok(mut answer) => return answer.body_mut().with_config().limit(100_000_000).read_to_vec().unwrap(),
            Err(ureq::Error::StatusCode(503)) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(100)),
            Err(error) => panic!("{link}: {error}"),
        }
    }
}

fn a_killed_export_ends_as_an_undisturbed_one(url: &str) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let options = ["--data-dir", data.to_str().unwrap()];
    text(url, &["migrate"]);
    import(url, directory.path());
    let start = || Server::start(url, free_address(), &options);
    let mut server = start();
    let mut caller = Caller::administrator(&format!("http://{}", server.address));
    let mut kills = 0;
    let mut finished = Vec::new();
    for format in ["ndjson", "csv", "parquet"] {
        let path = ask(&caller, format, format);
        for after in [1, 4_000] {
            let export = wait(&caller, &path, |export| export["rows_done"].as_i64().unwrap() >= after);
            if export["state"] == "ready" {
                break;
            }
            server.kill();
            kills += 1;
            lose_leases(url);
            server = start();
            caller = Caller::administrator(&format!("http://{}", server.address));
        }
        let export = wait(&caller, &path, |export| export["state"] == "ready");
        assert_eq!((&export["rows_done"], &export["rows_total"]), (&json!(CUSTOMERS), &export["rows_done"]), "{format}");
        finished.push(fetch(&server, export["download_url"].as_str().unwrap()));
    }
    assert!(kills >= 3, "{kills} kills in the middle");
    for (format, killed) in ["ndjson", "csv", "parquet"].into_iter().zip(finished) {
        let path = ask(&caller, &format!("again-{format}"), format);
        let export = wait(&caller, &path, |export| export["state"] == "ready");
        let undisturbed = fetch(&server, export["download_url"].as_str().unwrap());
        assert!(killed == undisturbed, "{format}: {} bytes, undisturbed {}", killed.len(), undisturbed.len());
    }
}
