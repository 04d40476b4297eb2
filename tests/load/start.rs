//! How soon a server answers, and what memory it holds then (S13).

use std::time::Duration;

use super::{
    Run,
    banks::Bank,
    caller,
    reads::mebibytes,
    report::{Row, Wanted},
    tools,
};
use crate::support::process::{Server, free_address};

/// From the start of the process to the first answer, and the memory of a server that nobody asks.
pub fn bench(run: &mut Run, bank: &Bank) {
    let (mut starts, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..run.repeat {
        let address = free_address();
        let started = std::time::Instant::now();
        let server = Server::start(&bank.url, address, &[]);
        tools::until(Duration::from_secs(20), || caller::answers(address, "/readyz"));
        starts.push((started.elapsed().as_secs_f64() * 1e3, 300.0));
        std::thread::sleep(Duration::from_secs(2));
        sizes.push((mebibytes(tools::memory(server.id()).0), 40.0));
    }
    let row = |what: &str, pairs, unit| Row {
        goal: "S13",
        what: what.to_owned(),
        backend: bank.backend,
        customers: bank.customers,
        pairs,
        unit,
        wanted: Wanted::AtMost(1.0),
        more: String::new(),
    };
    run.report.add(row("from start to ready", starts, "ms"));
    run.report.add(row("memory at rest", sizes, "MiB"));
}
