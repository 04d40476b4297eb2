//! The faults. Each begins the work of its world, and goes on until as much is done as planned.

use std::{
    fs::File,
    io::Write,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, connection::SimpleConnection};

use super::world::World;
use crate::support::process::Caller;

/// A little time, another one each turn.
fn pause(world: &World, least: u64, more: u64) {
    let turn = u64::try_from(world.happened).unwrap();
    sleep(Duration::from_millis(least + turn.wrapping_mul(2_654_435_761) % more));
}

/// `kill -9` of the only server, wherever it is.
pub fn kills(world: &mut World) {
    world.begin(1);
    while !world.is_done() {
        pause(world, 250, 600);
        world.kill(0);
    }
}

/// Two servers on one database, now the one and then the other killed.
pub fn two_servers(world: &mut World) {
    world.begin(2);
    while !world.is_done() {
        pause(world, 150, 500);
        let number = world.happened % 2;
        world.kill(number);
    }
}

/// PostgreSQL is stopped in an orderly way, or crashes, and comes back.
pub fn database_restarts(world: &mut World) {
    world.begin(1);
    while !world.is_done() {
        pause(world, 800, 1_000);
        let how = if world.happened.is_multiple_of(2) { "fast" } else { "immediate" };
        world.cluster.as_ref().unwrap().restart(how);
        world.happened += 1;
    }
}

/// All connections to the database are cut, as a firewall would.
pub fn cut_connections(world: &mut World) {
    const CUT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'kehu'";
    world.begin(1);
    while !world.is_done() {
        pause(world, 150, 400);
        assert!(world.cluster.as_ref().unwrap().ask(CUT));
        world.happened += 1;
    }
}

/// Somebody else holds what Kehu wants to write, longer than a request may take. What needs no database answers all the while.
pub fn locked_database(world: &mut World) {
    const HELD: Duration = Duration::from_secs(4);
    world.begin(1);
    while !world.is_done() {
        pause(world, 1_500, 500);
        if let Some(path) = world.url.strip_prefix("sqlite://") {
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.busy_timeout(Duration::from_secs(20)).unwrap();
            conn.execute_batch("BEGIN IMMEDIATE").unwrap();
            stays_alive(world, HELD);
            conn.execute_batch("ROLLBACK").unwrap();
        } else {
            let mut conn = PgConnection::establish(&world.url).unwrap();
            conn.batch_execute("BEGIN; LOCK TABLE customers, contact_points IN ACCESS EXCLUSIVE MODE").unwrap();
            stays_alive(world, HELD);
            conn.batch_execute("ROLLBACK").unwrap();
        }
        world.happened += 1;
    }
}

fn stays_alive(world: &World, time: Duration) {
    let started = Instant::now();
    let caller = Caller::administrator(&format!("http://{}", world.servers[0].address));
    while started.elapsed() < time {
        let asked = Instant::now();
        assert_eq!(caller.get("/healthz").unwrap().0, 200);
        assert!(asked.elapsed() < Duration::from_secs(1), "/healthz waits for the database");
        sleep(Duration::from_millis(100));
    }
}

/// The disk of the database is full for a while.
pub fn full_disk(world: &mut World) {
    world.folder.shrink(900);
    world.begin(1);
    while !world.is_done() {
        pause(world, 1_500, 1_000);
        let ballast = world.folder.path().join("ballast");
        fill(&ballast);
        sleep(Duration::from_secs(2));
        std::fs::remove_file(&ballast).unwrap();
        if let Some(cluster) = &world.cluster {
            // PostgreSQL gives up when it cannot write its log.
            cluster.revive();
        }
        world.happened += 1;
    }
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![0_u8; 1 << 16];
    while file.write_all(&block).is_ok() {}
}

/// The clock of the server jumps back and forth by up to 25 minutes.
pub fn clock_jumps(world: &mut World) {
    let clock = world.folder.path().join("clock");
    std::fs::write(&clock, "+0").unwrap();
    let library =
        ["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];
    let library = library.into_iter().find(|path| Path::new(path).exists()).expect("apt-get install libfaketime");
    let variables = [
        ("LD_PRELOAD", library.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    world.environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    world.begin(1);
    let jumps = [-60, 600, -1_500, 0, 1_500, -10, 900, -600];
    while !world.is_done() {
        pause(world, 300, 600);
        std::fs::write(&clock, format!("{:+}", jumps[world.happened % jumps.len()])).unwrap();
        world.happened += 1;
    }
    std::fs::write(&clock, "+0").unwrap();
}
