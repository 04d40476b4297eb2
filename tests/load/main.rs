//! Ratios between Kehu and the least that the same machine needs for the same work, measured in one run.
//!
//! `cargo bench -p kehu-tests --bench load` (`-- --quick` to try it, `-- --search 1000000` for lookup and search alone, with
//! so many customers; `--only postgres` for one database). Servers are processes of their own, so that
//! their processor time is theirs alone.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

mod caller;
mod constant;
mod search;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, sql_query};
use serde_json::json;

use caller::{Measured, measure};
use support::process::{Caller, Server, free_address, text};

const CONNECTIONS: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, address, size] = arguments.as_slice()
        && flag == "--constant"
    {
        return constant::serve(address.parse().unwrap(), size.parse().unwrap());
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let alone = arguments.iter().position(|argument| argument == "--search").map(|place| arguments[place + 1].parse().unwrap());
    let wanted = |name: &str| {
        let only = arguments.iter().position(|argument| argument == "--only").map(|place| arguments[place + 1].as_str());
        only.is_none_or(|only| only == name)
    };
    let directory = tempfile::tempdir().unwrap();
    let sqlite = |name: &str| format!("sqlite://{}/{name}.db", directory.path().display());
    if alone.is_none() {
        for (name, url) in databases(&wanted, &|| sqlite("kehu")) {
            bench(name, &url, quick);
        }
    }
    let customers = alone.unwrap_or(if quick { 2_000 } else { 1_000_000 });
    for (name, url) in databases(&wanted, &|| sqlite("search")) {
        search::bench(name, &url, customers);
    }
}

/// The databases that are wanted: their names and where they are.
fn databases(wanted: &dyn Fn(&str) -> bool, sqlite: &dyn Fn() -> String) -> impl Iterator<Item = (&'static str, String)> {
    let sqlite = wanted("sqlite").then(|| ("sqlite", sqlite()));
    let postgres = wanted("postgres").then(|| ("postgres", support::postgres::empty_database()));
    sqlite.into_iter().chain(postgres)
}

fn bench(name: &str, url: &str, quick: bool) {
    let (customers, time) = if quick { (100, Duration::from_secs(1)) } else { (5_000, Duration::from_secs(10)) };
    text(url, &["migrate"]);
    let server = Server::start(url, free_address(), &["--request-timeout", "30"]);
    let paths = fill(server.address, customers);
    reads(name, &server, &paths, time);
    writes(name, url, &server, &paths, time);
}

/// Makes customers through the API; their paths.
fn fill(address: SocketAddr, customers: usize) -> Vec<String> {
    let caller = Caller::administrator(&format!("http://{address}"));
    let make = |number: usize| {
        let body = json!({ "kind": "personal", "personal": { "full_name": format!("Customer {number}") } });
        let (status, made) = caller.post("/v1/customers", &format!("customer-{number}"), &body).unwrap();
        assert_eq!(status, 201, "{made}");
        format!("/v1/customers/{}", made["id"].as_str().unwrap())
    };
    (0..customers).map(make).collect()
}

fn reads(name: &str, server: &Server, paths: &[String], time: Duration) {
    let size = caller::size(server.address, &paths[0]);
    let requests = |number: usize| caller::get(&paths[number % paths.len()]);
    let kehu = measure(server.address, server.id(), CONNECTIONS, time, &requests);
    let constant = constant::Child::start(size);
    let least = measure(constant.address, constant.id(), CONNECTIONS, time, &requests);
    show(&format!("{name}: GET customer, {size} bytes"), &kehu, &least, "a constant answer");
}

fn writes(name: &str, url: &str, server: &Server, paths: &[String], time: Duration) {
    let requests = |number: usize| {
        let path = format!("{}/contact-points", paths[number % paths.len()]);
        caller::post(&path, &json!({ "kind": "email", "value": format!("bench{number}@example.com") }))
    };
    let kehu = measure(server.address, server.id(), CONNECTIONS, time, &requests);
    let direct = insert_directly(url, time);
    println!(
        "{name}: POST contact point  {:.0}/s, {:.0} us of processor time each; one row in one commit on one connection {direct:.0}/s; ratio {:.2}",
        kehu.rate,
        kehu.processor_micros,
        kehu.rate / direct
    );
}

/// Rows a second, each committed durably, on one connection and without Kehu.
fn insert_directly(url: &str, time: Duration) -> f64 {
    const COPY: &str = "CREATE TABLE bench_rows AS SELECT * FROM contact_points LIMIT 1";
    const INSERT: &str = "INSERT INTO bench_rows SELECT * FROM bench_rows LIMIT 1";
    let started = Instant::now();
    let mut rows = 0.0;
    let mut insert: Box<dyn FnMut()> = if let Some(path) = url.strip_prefix("sqlite://") {
        let mut conn = SqliteConnection::establish(path).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA synchronous = FULL").unwrap();
        conn.batch_execute(COPY).unwrap();
        Box::new(move || assert_eq!(sql_query(INSERT).execute(&mut conn).unwrap(), 1))
    } else {
        let mut conn = PgConnection::establish(url).unwrap();
        conn.batch_execute(COPY).unwrap();
        Box::new(move || assert_eq!(sql_query(INSERT).execute(&mut conn).unwrap(), 1))
    };
    while started.elapsed() < time {
        insert();
        rows += 1.0;
    }
    rows / started.elapsed().as_secs_f64()
}

fn show(what: &str, kehu: &Measured, least: &Measured, of: &str) {
    println!(
        "{what}  {:.0}/s, {:.0} us of processor time each; {of} {:.0}/s, {:.0} us; ratio of rates {:.2}",
        kehu.rate,
        kehu.processor_micros,
        least.rate,
        least.processor_micros,
        kehu.rate / least.rate
    );
}
