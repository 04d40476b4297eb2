//! A read replica that lags: it answers, but nobody misses there what they wrote; and nobody misses the replica.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    postgres,
    process::{Caller, Server, free_address, kehu, text},
};

/// Seconds that the replica lags by.
const LAG: u32 = 4;

fn server(database: &postgres::Replicated) -> Server {
    let address = free_address();
    let mut command: Command = kehu(&database.primary, &["serve", "--listen", &address.to_string(), "--rate-limit", "0/1"]);
    command.env("DATABASE_READ_URL", &database.replica).env("KEHU_REQUEST_TIMEOUT", "10");
    Server::of(command, address)
}

fn base(server: &Server) -> String {
    format!("http://{}", server.address)
}

fn status(caller: &Caller, path: &str) -> u16 {
    caller.get(path).unwrap().0
}

#[test]
fn callers_find_what_they_wrote_and_the_rest_a_little_later() {
    let database = postgres::Replicated::start(LAG);
    text(&database.primary, &["migrate"]);
    std::thread::sleep(Duration::from_secs(u64::from(LAG) + 2));
    let (one, two) = (server(&database), server(&database));
    let (writer, reader) = (Caller::named(&base(&one), "writer"), Caller::named(&base(&one), "reader"));
    let body = json!({ "kind": "personal", "personal": { "full_name": "李娜" } });
    let (created, headers, customer) =
        writer.send("/v1/customers", &[("content-type", "application/json")], &body.to_string()).unwrap();
    assert_eq!(created, 201, "{customer}");
    let path = format!("/v1/customers/{}", customer["id"].as_str().unwrap());
    assert_eq!(status(&writer, &path), 200, "who wrote it sees it");
    assert_eq!(status(&reader, &path), 404, "others are answered by the replica");

    let elsewhere = Caller::named(&base(&two), "writer");
    let bookmark = headers["kehu-bookmark"].to_str().unwrap();
    assert_eq!(elsewhere.get_with(&path, "kehu-bookmark", bookmark).unwrap().0, 200, "the bookmark holds at any server");
    assert_eq!(elsewhere.get_with(&path, "kehu-bookmark", "x").unwrap().1["code"], "malformed_request");

    let written = Instant::now();
    while status(&reader, &path) != 200 {
        assert!(written.elapsed() < Duration::from_secs(20), "the replica does not follow");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(status(&elsewhere, &path), 200);

    database.end_replica();
    let gone = Instant::now();
    for _ in 0..20 {
        assert_eq!(status(&reader, &path), 200, "without a replica the primary answers");
    }
    assert!(gone.elapsed() < Duration::from_secs(5), "callers waited for the replica: {:?}", gone.elapsed());
}
