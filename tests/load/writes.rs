//! One contact point with its event, durably (S4).

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    CONNECTIONS, Run,
    banks::Bank,
    reads::middle,
    report::{Row, Wanted},
    shadow::{self, Beside, Written},
    tools::{self, Requests, Watched},
};
use crate::support::process::{Caller, Server, free_address};

/// Who writes to few customers measures customers with many contact points.
const CUSTOMERS: usize = 9_600;
/// The value of each request's contact point is another one.
const BODY: &str = r#"string.format('{"kind":"email","value":"bench%d.%d@example.com"}', run, n)"#;

/// The rate of writes beside that of the same rows without Kehu.
pub fn contact_point(run: &mut Run, bank: &Bank) {
    let ids = bank.some_customers(CUSTOMERS);
    let paths: Vec<String> = ids.iter().map(|id| format!("/v1/customers/{id}/contact-points")).collect();
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let mut beside = Beside::of(bank);
    let written = rows_of_one(&server, &mut beside, &paths[0]);
    let watched = Watched { server: server.id(), database: bank.process() };
    forget(bank, &mut beside, &ids);
    let requests = Requests { paths: &paths, method: "POST", body: BODY };
    let (mut pairs, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..run.repeat {
        let ours = tools::wrk(server.address, watched, CONNECTIONS, run.time, &requests);
        let limit = match &mut beside {
            Beside::Sqlite(conn) => in_sqlite(conn, run.time, &written),
            Beside::Postgres(_) => in_postgres(run, bank, &written),
        };
        pairs.push((ours.rate, limit));
        loads.push(ours);
    }
    beside.clean(&written);
    forget(bank, &mut beside, &ids);
    let tables: Vec<String> = written.iter().map(|written| format!("{} {}", written.rows, written.table)).collect();
    run.note_growth("S4", bank, &loads);
    let row = |what, pairs, unit, wanted, more| Row {
        goal: "S4",
        what,
        backend: bank.backend,
        customers: bank.customers,
        pairs,
        unit,
        wanted,
        more,
    };
    let how = if bank.backend == "postgres" { "pgbench" } else { "synchronous=NORMAL, one connection" };
    let what = format!("POST contact point; the same rows ({}), {how}", tables.join(", "));
    run.report.add(row(what, pairs, "/s", Wanted::AtLeast(0.9), middle(&loads).words()));
    let pairs = loads.iter().map(|load| (load.p99, 50.0)).collect();
    run.report.add(row("p99 of the same".to_owned(), pairs, "ms", Wanted::AtMost(1.0), String::new()));
}

/// Takes back what this and earlier runs wrote, but for the events of it: whoever measures next finds the bank as it was made.
fn forget(bank: &Bank, beside: &mut Beside, ids: &[String]) {
    beside.run("DELETE FROM contact_points WHERE value LIKE 'bench%@example.com'");
    let store = bank.store();
    for some in ids.chunks(500) {
        let some: Vec<kehu_customer::CustomerId> = some.iter().map(|id| id.parse().unwrap()).collect();
        store.write_blocking(move |tx| kehu_customer::index::refresh(tx, &some)).unwrap();
    }
}

fn rows_of_one(server: &Server, beside: &mut Beside, path: &str) -> Vec<Written> {
    let caller = Caller::administrator(&format!("http://{}", server.address));
    let post = |name: &str| {
        let value = format!("bench.{name}.{}@example.com", std::process::id());
        let body = json!({ "kind": "email", "value": value }).to_string();
        let (status, _, answer) = caller.send(path, &[("content-type", "application/json")], &body).unwrap();
        assert_eq!(status, 201, "{answer}");
    };
    // What the first write makes once is there after it.
    post("first");
    std::thread::sleep(Duration::from_secs(1));
    let before = beside.counts();
    post("second");
    let written = beside.written_since(&before);
    assert!(written.iter().any(|written| written.table == "contact_points"));
    written
}

/// Transactions a second on one connection, prepared, not waiting for the disk.
fn in_sqlite(conn: &rusqlite::Connection, time: Duration, written: &[Written]) -> f64 {
    conn.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
    let texts = shadow::again(written, "?1");
    let mut inserts: Vec<_> = texts.iter().map(|text| conn.prepare(text).unwrap()).collect();
    let (mut begin, mut commit) = (conn.prepare("BEGIN IMMEDIATE").unwrap(), conn.prepare("COMMIT").unwrap());
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < time {
        begin.execute([]).unwrap();
        // Ids grow as ours do.
        let id = started.elapsed().as_nanos().to_be_bytes();
        for insert in &mut inserts {
            if insert.parameter_count() == 0 { insert.execute([]) } else { insert.execute([&id[..]]) }.unwrap();
        }
        commit.execute([]).unwrap();
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

fn in_postgres(run: &Run, bank: &Bank, written: &[Written]) -> f64 {
    let id = "(lpad(to_hex(:client_id::bigint), 8, '0') || lpad(to_hex(:n::bigint), 24, '0'))::uuid";
    let inserts = shadow::again(written, id).join(";\n");
    let script = format!("\\set n :n + 1\nBEGIN;\n{inserts};\nCOMMIT;\n");
    tools::pgbench(&bank.url, CONNECTIONS, run.time, &[script])
}
