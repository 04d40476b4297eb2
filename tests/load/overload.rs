//! More than the server can do: whom it takes is answered about as soon as ever, the others are told at once.

use super::{
    CONNECTIONS, Run,
    banks::Bank,
    reads,
    report::{Row, Wanted},
    tools::{self, Watched},
};
use crate::support::process::{Server, free_address};

/// How many customers are asked for in turn.
const CUSTOMERS: usize = 960;
/// How many callers there are at most while there are too many.
const CROWD: usize = 512;

/// Views at twice the rate that the server can do: how long the accepted ones take, beside callers that wait for each other
/// and beside half that rate.
pub fn bench(run: &mut Run, bank: &Bank) {
    let paths: Vec<String> =
        bank.some_customers(CUSTOMERS).iter().map(|id| format!("/v1/customers/{id}/view?perspective=rm")).collect();
    let server = Server::start(&bank.url, free_address(), &["--request-timeout", "30"]);
    let watched = Watched { server: server.id(), database: bank.process() };
    let (mut busy, mut calm, mut shares) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.repeat {
        let most = tools::wrk(server.address, watched, CONNECTIONS, run.time, &reads::get(&paths));
        let half = tools::oha(server.address, CONNECTIONS, run.time, most.rate / 2.0, &paths).1;
        let (accepted, share) = tools::crowd(server.address, CROWD, run.time, most.rate * 2.0, &paths);
        busy.push((accepted, most.p99));
        calm.push((accepted, half));
        shares.push(share * 100.0);
    }
    let share = super::report::median(shares);
    let row = |beside: &str, pairs| Row {
        goal: "overload",
        what: format!("p99 of accepted views at twice the greatest rate, beside {beside}"),
        backend: bank.backend,
        customers: bank.customers,
        pairs,
        unit: "ms",
        wanted: Wanted::AtMost(3.0),
        more: format!("{share:.0} % accepted, the others 503"),
    };
    run.report.add(row("64 callers at the greatest rate", busy));
    run.report.add(row("half the rate", calm));
}
