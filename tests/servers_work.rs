//! Several servers on one database share the work beside the requests: each job once, events in one order, webhooks in the
//! order of each customer, streams that tell what another server wrote, and lanes that hold up nobody.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query};
use kehu_api::{settings::Settings, worker};
use kehu_kernel::{
    Actor, Error, Store,
    crypto::Keyring,
    event::{self, NewEvent},
    job::{self, Runner},
    store::StoreOptions,
    time::Clock,
};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{
        App, postgres,
        process::{Caller, Server, free_address},
        receiver::{Receiver, status},
    },
};

both_databases!(
    a_job_is_run_by_one_of_many_runners,
    a_dead_runners_job_is_taken_over_and_its_work_is_lost,
    many_sequencers_make_one_order,
);

fn open(app: &App, clock: &Clock) -> Store {
    Store::open(&StoreOptions::new(&app.url), Keyring::development().unwrap(), clock.clone()).unwrap()
}

fn ask_for_jobs(store: &Store, count: usize) {
    for number in 0..count {
        store.write_blocking(move |tx| job::enqueue(tx, &Actor::system(), "test", json!({ "number": number }))).unwrap();
    }
}

async fn a_job_is_run_by_one_of_many_runners(app: App) {
    const JOBS: usize = 40;
    ask_for_jobs(&app.store, JOBS);
    let (runs, start) = (Arc::new(Mutex::new(BTreeMap::<i64, usize>::new())), Barrier::new(4));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (store, runs, start) = (open(&app, &Clock::system()), Arc::clone(&runs), &start);
            scope.spawn(move || {
                let work = move |_: &Store, lease: &job::Lease| {
                    *runs.lock().unwrap().entry(lease.job.payload.0["number"].as_i64().unwrap()).or_default() += 1;
                    Ok(Value::Null)
                };
                let runner = Runner::default().with("test", Box::new(work));
                start.wait();
                // Who lost a race finds nothing for a moment.
                let mut idle = 0;
                while idle < 20 {
                    if runner.run_one(&store).unwrap() {
                        idle = 0;
                    } else {
                        idle += 1;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            });
        }
    });
    let runs = runs.lock().unwrap();
    assert_eq!((runs.len(), runs.values().copied().max()), (JOBS, Some(1)));
}

async fn a_dead_runners_job_is_taken_over_and_its_work_is_lost(app: App) {
    let clock = Clock::fixed(app.store.now());
    let (first, second) = (open(&app, &clock), open(&app, &clock));
    ask_for_jobs(&first, 1);
    let outcome = Arc::new(Mutex::new(Vec::new()));
    let (told, moved) = (Arc::clone(&outcome), clock);
    let slow = move |store: &Store, lease: &job::Lease| {
        let another = Runner::default().with("test", Box::new(|_, _| Ok(json!({ "by": "another" }))));
        told.lock().unwrap().push(another.run_one(&second).unwrap());
        // No sign of life for longer than a lease lasts.
        moved.advance(Duration::from_secs(61));
        told.lock().unwrap().push(another.run_one(&second).unwrap());
        let lease = lease.clone();
        let saved = store.write_blocking(move |tx| {
            tx.emit(&Actor::system(), NewEvent::new("test.done", lease.job.id, json!({})));
            lease.progress(tx, 1, None)
        });
        told.lock().unwrap().push(matches!(saved, Err(Error::Conflict { code: "lease_lost", .. })));
        Ok(json!({ "by": "the first" }))
    };
    assert!(Runner::default().with("test", Box::new(slow)).run_one(&first).unwrap());
    assert_eq!(*outcome.lock().unwrap(), [false, true, true], "not while it is leased; then by another one; then too late");
    let jobs = app.role("administrator").get("/v1/jobs").await.expect(200);
    assert_eq!((&jobs["items"][0]["result"]["by"], &jobs["items"][0]["attempts"]), (&json!("another"), &json!(2)));
    assert_eq!(event::sequence(&app.store).unwrap(), 0, "what the first one did is not saved");
}

async fn many_sequencers_make_one_order(app: App) {
    const EVENTS: usize = 60;
    let writing = AtomicUsize::new(3);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (store, writing) = (open(&app, &Clock::system()), &writing);
            scope.spawn(move || {
                for _ in 0..EVENTS {
                    let write = |tx: &mut kehu_kernel::Tx<'_>| {
                        tx.emit(&Actor::system(), NewEvent::new("test.happened", job::JobId::new(), json!({})));
                        Ok(())
                    };
                    store.write_blocking(write).unwrap();
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            });
            let store = open(&app, &Clock::system());
            scope.spawn(move || while event::sequence(&store).unwrap() > 0 || writing.load(Ordering::SeqCst) > 0 {});
        }
    });
    while event::sequence(&app.store).unwrap() > 0 {}
    let found = event::verify(&app.store).unwrap();
    assert_eq!((found.fault, found.checked), (None, i64::try_from(3 * EVENTS).unwrap()));
}

fn customer(caller: &Caller, key: &str) -> String {
    let body = json!({ "kind": "personal", "personal": { "full_name": "李娜" } });
    let (status, customer) = caller.post("/v1/customers", key, &body).unwrap();
    assert_eq!(status, 201, "{customer}");
    customer["id"].as_str().unwrap().to_owned()
}

fn email(caller: &Caller, customer: &str, name: &str) {
    let point = json!({ "kind": "email", "value": format!("{name}@example.com") });
    caller.insist(&format!("/v1/customers/{customer}/contact-points"), name, &point);
}

#[test]
fn webhooks_of_two_servers_come_once_and_in_the_order_of_each_customer() {
    const CUSTOMERS: usize = 4;
    const EACH: usize = 15;
    let url = postgres::fresh_database();
    let options = ["--webhook-networks", "127.0.0.0/8", "--webhook-plain-http"];
    let servers = [(); 2].map(|()| Server::start(&url, free_address(), &options));
    let callers = servers.each_ref().map(|server| Caller::administrator(&server.base()));
    let receiver = Receiver::start();
    receiver.answer(|_| {
        std::thread::sleep(Duration::from_millis(15));
        status(200)
    });
    let body = json!({ "name": "x", "url": receiver.url(), "types": ["customer.created", "contact_point.created"] });
    let (made, answer) = callers[0].post("/v1/webhook-endpoints", "endpoint", &body).unwrap();
    assert_eq!(made, 201, "{answer}");
    let customers: Vec<String> = (0..CUSTOMERS).map(|n| customer(&callers[n % 2], &format!("customer-{n}"))).collect();
    for turn in 0..EACH {
        for (n, customer) in customers.iter().enumerate() {
            email(&callers[(turn + n) % 2], customer, &format!("c{n}-{turn}"));
        }
    }
    receiver.wait(CUSTOMERS * (EACH + 1));
    // Whoever posts twice does so soon.
    std::thread::sleep(Duration::from_secs(1));
    let (mut last, mut came) = (BTreeMap::new(), 0);
    for one in receiver.received() {
        let event = one.event();
        let sequence: i64 = event["sequence"].as_str().unwrap().parse().unwrap();
        let before = last.insert(event["customerid"].as_str().unwrap().to_owned(), sequence);
        assert!(before < Some(sequence), "{event} came after {before:?}");
        came += 1;
    }
    assert_eq!((last.len(), came), (CUSTOMERS, CUSTOMERS * (EACH + 1)));
}

#[test]
fn a_stream_of_one_server_tells_what_another_wrote() {
    let url = postgres::fresh_database();
    let servers = [(); 2].map(|()| Server::start(&url, free_address(), &["--request-timeout", "20"]));
    let token = crate::support::sign(json!({ "roles": ["administrator"] }));
    let mut stream = TcpStream::connect(servers[1].address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = "GET /v1/events/stream?type=customer.* HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n";
    stream.write_all(format!("{head}Authorization: Bearer {token}\r\n\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("retry:")), "the stream is open");
    let written = Instant::now();
    let id = customer(&Caller::administrator(&servers[0].base()), "the-customer");
    assert!(lines.any(|line| line.starts_with("data:") && line.contains(&id)));
    assert!(written.elapsed() < Duration::from_secs(5), "{:?}", written.elapsed());
}

#[test]
fn every_kind_of_job_that_takes_long_has_a_lane_of_its_own() {
    let settings = Settings { imports_at_once: 2, exports_at_once: 3, ..App::settings() };
    let mut lanes = BTreeMap::<Vec<&str>, usize>::new();
    for (_, runner) in worker::lanes(&settings) {
        *lanes.entry(runner.kinds().collect()).or_default() += 1;
    }
    let of = |kind: &'static str| lanes.get(&vec![kind]).copied();
    assert_eq!((of("import"), of("export")), (Some(2), Some(3)), "{lanes:?}");
    assert!(lanes.keys().all(|kinds| kinds.len() == 1) && lanes.len() == 8, "{lanes:?}");
}

/// An export that hangs, as in a list without end, and other work that is asked for after it.
#[test]
fn a_long_export_holds_up_no_other_job() {
    let url = postgres::fresh_database();
    let directory = tempfile::tempdir().unwrap();
    let options = ["--data-dir", directory.path().to_str().unwrap(), "--request-timeout", "9"];
    let server = Server::start(&url, free_address(), &options);
    let caller = Caller::administrator(&server.base());
    let mut blocker = PgConnection::establish(&url).unwrap();
    let mut watcher = PgConnection::establish(&url).unwrap();
    let until = |what: &str, done: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let export = |number: usize| {
        let wish = json!({ "list": "list_products", "format": "csv", "purpose": "report" });
        let (status, export) = caller.post("/v1/exports", &format!("export-{number}"), &wish).unwrap();
        assert_eq!(status, 202, "{export}");
        format!("/v1/exports/{}", export["id"].as_str().unwrap())
    };
    // Asking for an export looks at the list as well, so the list is locked thereafter. An export may be faster than that.
    let path = (0..10).find_map(|number| {
        let path = export(number);
        blocker.batch_execute("BEGIN; LOCK TABLE products IN ACCESS EXCLUSIVE MODE").unwrap();
        let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'products'::regclass";
        loop {
            if sql_query(waiting).execute(&mut watcher).unwrap() > 0 {
                return Some(path);
            }
            if caller.get(&path).unwrap().1["state"] == "ready" {
                blocker.batch_execute("COMMIT").unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let path = path.expect("an export that hangs");
    let (status, job) = caller.post("/v1/match-runs", "run", &json!({})).unwrap();
    assert_eq!(status, 202, "{job}");
    let job = format!("/v1/jobs/{}", job["id"].as_str().unwrap());
    until("a run waits for the export", &|| caller.get(&job).unwrap().1["state"] == "done");
    assert_ne!(caller.get(&path).unwrap().1["state"], "ready");
    blocker.batch_execute("COMMIT").unwrap();
    until("the export does not go on", &|| caller.get(&path).unwrap().1["state"] == "ready");
}
