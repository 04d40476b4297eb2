//! One customer and one view of a customer: how many a second, how long they take, what memory they need (S1, S2, S3, S13).

use std::time::{Duration, Instant};

use kehu_api::routes::customer::view;
use kehu_customer::view::Perspective;

use super::{
    CONNECTIONS, Run,
    banks::Bank,
    caller, constant,
    report::{Row, Wanted},
    statements,
    tools::{self, Load, Requests, Watched},
};
use crate::support::process::{Server, free_address};

/// How many customers are asked for in turn.
const CUSTOMERS: usize = 960;
/// How many clients pgbench is fastest with on a small machine; each has a process of the server to itself.
const CLIENTS: usize = 8;
/// How many customers pgbench asks for: each one's statements are of their own, and are prepared before it counts.
const OF_CUSTOMERS: usize = 120;
/// How many views it asks for; they have a dozen statements each.
const OF_VIEWS: usize = 40;

/// One customer by id.
pub fn customer(run: &mut Run, bank: &Bank) {
    let ids = bank.some_customers(CUSTOMERS);
    let paths: Vec<String> = ids.iter().map(|id| format!("/v1/customers/{id}")).collect();
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let size = caller::size(server.address, &paths[0]);
    let scripts = (bank.backend == "postgres").then(|| scripts(bank, &paths, &ids, OF_CUSTOMERS));
    let (mut pairs, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..run.repeat {
        let ours = load(run, bank, &server, &paths);
        let limit = match &scripts {
            Some(scripts) => tools::pgbench(&bank.url, CLIENTS, run.time, scripts),
            None => {
                let child = constant::Child::start(size);
                let watched = Watched { server: child.id(), database: None };
                tools::wrk(child.address, watched, CONNECTIONS, run.time, &get(&paths)).rate
            }
        };
        pairs.push((ours.rate, limit));
        loads.push(ours);
    }
    let (of, least) = if scripts.is_some() { ("pgbench with the same select", 0.8) } else { ("actix with constant JSON", 0.4) };
    run.note_growth("S1", bank, &loads);
    run.report.add(Row {
        goal: "S1",
        what: format!("GET customer, {size} bytes; {of}"),
        backend: bank.backend,
        customers: bank.customers,
        pairs,
        unit: "/s",
        wanted: Wanted::AtLeast(least),
        more: middle(&loads).words(),
    });
}

/// The view of a relationship manager: its rate, then its latency at half of it, and the memory after it.
pub fn view(run: &mut Run, bank: &Bank) {
    let ids = bank.some_customers(CUSTOMERS);
    let paths: Vec<String> = ids.iter().map(|id| format!("/v1/customers/{id}/view?perspective=rm")).collect();
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let size = caller::size(server.address, &paths[0]);
    let scripts = (bank.backend == "postgres").then(|| scripts(bank, &paths, &ids, OF_VIEWS));
    let (mut pairs, mut loads) = (Vec::new(), Vec::new());
    for _ in 0..run.repeat {
        let ours = load(run, bank, &server, &paths);
        let limit = scripts
            .as_ref()
            .map_or_else(|| in_process(run, bank, &ids), |scripts| tools::pgbench(&bank.url, CLIENTS, run.time, scripts));
        pairs.push((ours.rate, limit));
        loads.push(ours);
    }
    let (of, least) = if scripts.is_some() { ("pgbench with the same selects", 1.0) } else { ("a loop in process", 0.7) };
    run.note_growth("S2", bank, &loads);
    let rate = middle(&loads).rate;
    let row = |goal, what, pairs, unit, wanted, more| Row {
        goal,
        what,
        backend: bank.backend,
        customers: bank.customers,
        pairs,
        unit,
        wanted,
        more,
    };
    let what = format!("GET view (rm), {size} bytes; {of}");
    run.report.add(row("S2", what, pairs, "/s", Wanted::AtLeast(least), middle(&loads).words()));
    let (_, most) = tools::memory(server.id());
    let what = "memory at most under S2".to_owned();
    run.report.add(row("S13", what, vec![(mebibytes(most), 150.0)], "MiB", Wanted::AtMost(1.0), String::new()));
    let limit = if bank.backend == "postgres" { 20.0 } else { 10.0 };
    let calm: Vec<(f64, f64)> =
        (0..run.repeat).map(|_| tools::oha(server.address, CONNECTIONS, run.time, rate / 2.0, &paths)).collect();
    let what = format!("p99 of the view at {:.0}/s, open loop", rate / 2.0);
    let more = format!("p50 {:.2} ms", super::report::median(calm.iter().map(|times| times.0).collect()));
    let pairs = calm.iter().map(|times| (times.1, limit)).collect();
    run.report.add(row("S3", what, pairs, "ms", Wanted::AtMost(1.0), more));
}

/// Kibibytes as mebibytes.
pub fn mebibytes(kibibytes: u64) -> f64 {
    f64::from(u32::try_from(kibibytes).unwrap()) / 1024.0
}

/// GET of these paths.
pub fn get(paths: &[String]) -> Requests<'_> {
    Requests { paths, method: "GET", body: "nil" }
}

fn load(run: &Run, bank: &Bank, server: &Server, paths: &[String]) -> Load {
    let watched = Watched { server: server.id(), database: bank.process() };
    tools::wrk(server.address, watched, CONNECTIONS, run.time, &get(paths))
}

/// The one with the middle rate.
pub fn middle(loads: &[Load]) -> Load {
    let mut sorted = loads.to_vec();
    sorted.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    sorted[sorted.len() / 2]
}

/// A script for each of the first customers.
fn scripts(bank: &Bank, paths: &[String], ids: &[String], count: usize) -> Vec<String> {
    statements::of(bank, &paths[..count], &ids[..count])
}

/// Views a second that as many threads make as the machine has cores, each through the store, without HTTP.
fn in_process(run: &Run, bank: &Bank, ids: &[String]) -> f64 {
    let store = bank.store();
    let threads = std::thread::available_parallelism().unwrap().get();
    let started = Instant::now();
    let count: usize = std::thread::scope(|scope| {
        let one = |thread: usize| {
            let (store, time) = (store.clone(), run.time);
            scope.spawn(move || views(&store, ids, thread, started, time))
        };
        let all: Vec<_> = (0..threads).map(one).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    f64::from(u32::try_from(count).unwrap()) / started.elapsed().as_secs_f64()
}

fn views(store: &kehu_kernel::Store, ids: &[String], offset: usize, started: Instant, time: Duration) -> usize {
    let actor = kehu_kernel::Actor::system();
    let mut count = 0;
    while started.elapsed() < time {
        let id = ids[(count * 7 + offset * 31) % ids.len()].parse().unwrap();
        store.snapshot_blocking(|conn| view::compose(conn, &actor, id, Perspective::Rm, false)).unwrap();
        count += 1;
    }
    count
}
