//! What a bank's machines do to Kehu, done to the real program on both databases: it is killed, its database goes away, its
//! connections are cut, its disk fills, its clock jumps, and two servers share one database. Meanwhile callers write, an
//! import and an export run and customers are merged. Afterwards every acknowledged write has to be there once, the import
//! and the export are whole, and the chain of events holds.
//!
//! `make faults`, or `make faults ONLY=kills`.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

mod cluster;
mod faults;
mod jobs;
mod work;
mod world;

use std::time::Duration;

use clap::Parser;

use world::{Outcome, World};

#[derive(Parser)]
struct Options {
    /// Which faults, by their names, with commas between; all without it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// How many writes are acknowledged at least, for each fault and database.
    #[arg(long, default_value_t = 10_000)]
    writes: usize,
    /// How often the fault happens at least.
    #[arg(long, default_value_t = 50)]
    times: usize,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// How much is done.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Acknowledged writes at least.
    pub writes: usize,
    /// Faults at least.
    pub times: usize,
}

/// A fault: makes it happen again and again until the work is done.
type Fault = fn(&mut World);

/// Its name, the databases it concerns, what it does, and of how many times one of it counts: slow ones happen less often.
const FAULTS: &[(&str, &[&str], Fault, usize)] = &[
    ("kills", &["sqlite", "postgres"], faults::kills, 1),
    ("database-restarts", &["postgres"], faults::database_restarts, 5),
    ("cut-connections", &["postgres"], faults::cut_connections, 1),
    ("locked-database", &["sqlite", "postgres"], faults::locked_database, 10),
    ("full-disk", &["sqlite", "postgres"], faults::full_disk, 10),
    ("clock-jumps", &["sqlite", "postgres"], faults::clock_jumps, 2),
    ("two-servers", &["postgres"], faults::two_servers, 1),
];

fn main() {
    let options = Options::parse();
    let mut outcomes = Vec::new();
    for (name, databases, fault, share) in FAULTS {
        if !options.only.is_empty() && !options.only.iter().any(|only| only == name) {
            continue;
        }
        for database in *databases {
            println!("{name} on {database}");
            let plan = Plan { writes: options.writes, times: options.times.div_ceil(*share) };
            let mut world = World::new(database, plan);
            fault(&mut world);
            outcomes.push(world.judge(name));
            println!("{}", outcomes.last().map(Outcome::line).unwrap_or_default());
        }
    }
    println!("\n{}", Outcome::HEAD);
    for outcome in &outcomes {
        println!("{}", outcome.line());
    }
    if outcomes.iter().any(|outcome| !outcome.is_well()) {
        std::process::exit(1);
    }
}

/// Waits until `ready`.
fn until(limit: Duration, what: &str, mut ready: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !ready() {
        assert!(started.elapsed() < limit, "{what}: not in {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
