//! Ratios between Kehu and the least that the same machine needs for the same work, each measured in one run.
//!
//! `make bench` runs all goals, `make bench GOAL=S2 N=10000 ONLY=sqlite` one of them. Servers are processes of their own, so
//! that their processor time is theirs alone. Banks are kept in `target/bench`, and so is the report.
#![forbid(unsafe_code)]

#[path = "../support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
mod support;

mod banks;
mod caller;
mod constant;
mod imports;
mod overload;
mod reads;
mod report;
mod search;
mod shadow;
mod start;
mod statements;
mod tools;
mod writes;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use clap::Parser;

use banks::Bank;
use report::{Report, Row, Wanted};
use tools::Load;

const CONNECTIONS: usize = 64;

#[derive(Parser)]
struct Options {
    /// Which goals: `S1`, or several with commas between.
    #[arg(long, value_delimiter = ',')]
    goal: Vec<String>,
    /// Of how many customers the banks are.
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    customers: Vec<u64>,
    /// Which database: `sqlite` or `postgres`; both without it.
    #[arg(long)]
    only: Option<String>,
    /// How often ours and the limit are measured, one after the other.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Seconds that each of them takes.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Serves answers of so many bytes at an address: the limit of S1 calls this program again.
    #[arg(long, num_args = 2, value_names = ["ADDRESS", "BYTES"])]
    constant: Vec<String>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A run: how it measures, and what came out so far.
pub struct Run {
    /// How often.
    pub repeat: usize,
    /// How long each time.
    pub time: Duration,
    /// The lines.
    pub report: Report,
    /// Milliseconds of the median answer, by goal and database, then by the size of the bank.
    medians: BTreeMap<(&'static str, &'static str), BTreeMap<u64, f64>>,
}

impl Run {
    /// Keeps the median answer for S9.
    pub fn note_growth(&mut self, goal: &'static str, bank: &Bank, loads: &[Load]) {
        let median = report::median(loads.iter().map(|load| load.p50).collect());
        self.note_median(goal, bank, median);
    }

    /// Keeps the median answer for S9, in milliseconds.
    pub fn note_median(&mut self, goal: &'static str, bank: &Bank, median: f64) {
        self.medians.entry((goal, bank.backend)).or_default().insert(bank.customers, median);
    }

    /// S9: how much slower the largest bank is than the smallest.
    fn growth(&mut self) {
        for ((goal, backend), medians) in std::mem::take(&mut self.medians) {
            let (Some((small, least)), Some((large, most))) = (medians.first_key_value(), medians.last_key_value()) else {
                continue;
            };
            if small < large {
                self.report.add(Row {
                    goal: "S9",
                    what: format!("median of {goal} beside that with {small} customers"),
                    backend,
                    customers: *large,
                    pairs: vec![(*most, *least)],
                    unit: "ms",
                    wanted: Wanted::AtMost(1.5),
                    more: String::new(),
                });
            }
        }
    }
}

/// A goal: how its lines are made.
type Goal = fn(&mut Run, &Bank);

const GOALS: &[(&str, Goal)] = &[
    ("S1", reads::customer),
    ("S2", reads::view),
    ("S4", writes::contact_point),
    ("S5", imports::customers),
    ("S6", imports::transactions),
    ("S7", search::bench),
    ("overload", overload::bench),
    ("S13", start::bench),
];

fn main() {
    let options = Options::parse();
    if let [address, size] = options.constant.as_slice() {
        let address: SocketAddr = address.parse().unwrap();
        return constant::serve(address, size.parse().unwrap());
    }
    let time = Duration::from_secs(options.seconds);
    let mut run = Run { repeat: options.repeat, time, report: Report::default(), medians: BTreeMap::new() };
    for backend in ["sqlite", "postgres"] {
        if options.only.as_deref().is_some_and(|only| only != backend) {
            continue;
        }
        for &customers in &options.customers {
            let bank = Bank::of(backend, customers);
            for (name, goal) in GOALS {
                if options.goal.is_empty() || options.goal.iter().any(|wanted| wanted == name) {
                    goal(&mut run, &bank);
                }
            }
        }
    }
    run.growth();
    run.report.close(&banks::folder().join("report.json"));
}
