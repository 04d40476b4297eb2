//! How long the matching of generated people takes, how much memory, and how right it is.
//!
//! `cargo bench -p kehu-customer --bench matching -- 10000 100000 1000000`; with `--write FILE` the first number of
//! people is only written to a file, for other programs. Each number is measured in a process of its own.
#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "a program for measuring"
)]

#[path = "../../../tests/support/people.rs"]
mod people;

use std::{io::Write, process::Command, time::Instant};

use kehu_customer::matching::{Accuracy, Record, resolve};
use people::{COLUMNS, Recipe, people, record};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--write") {
        return write(sizes[0], &arguments[at + 1]);
    }
    match (sizes.as_slice(), std::env::var("KEHU_BENCH_ALONE")) {
        ([size], Ok(_)) => measure(*size),
        ([], _) => alone(&[10_000, 100_000]),
        (sizes, _) => alone(sizes),
    }
}

fn alone(sizes: &[usize]) {
    for size in sizes {
        let program = std::env::current_exe().unwrap();
        assert!(Command::new(program).arg(size.to_string()).env("KEHU_BENCH_ALONE", "1").status().unwrap().success());
    }
}

const fn recipe(records: usize) -> Recipe {
    Recipe { records, doubled: 12, changed: 15, missing: 8, seed: 20 }
}

fn write(size: usize, file: &str) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    writeln!(out, "id,person,{}", COLUMNS.join(",")).unwrap();
    let mut id = 0;
    people(&recipe(size), |person, row| {
        writeln!(out, "{id},{person},{}", row.join(",")).unwrap();
        id += 1;
    });
}

fn measure(size: usize) {
    let model = people::model();
    let (mut records, mut truth): (Vec<Record>, Vec<u32>) = (Vec::new(), Vec::new());
    let started = Instant::now();
    people(&recipe(size), |person, row| {
        records.push(record(&model, &row));
        truth.push(person);
    });
    let prepared = started.elapsed();
    let found = resolve(&model, &records, None, 1);
    let all = started.elapsed();
    let bytes = records.iter().map(Record::size).sum::<usize>() / size;
    let right = Accuracy::of_pairs(&found.pairs, &truth, None);
    println!(
        "{size} records of {bytes} bytes: prepared in {:.2} s, all in {:.2} s; {} candidates, {} pairs; precision {:.5}, recall {:.5}, f1 {:.5}; {}",
        prepared.as_secs_f64(),
        all.as_secs_f64(),
        found.candidates,
        found.pairs.len(),
        right.precision,
        right.recall,
        right.f1,
        status()
    );
}

/// Peak memory and processor time, where the system tells.
fn status() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map_or("", str::trim);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    format!("peak memory {memory}, processor {:.2} s", ticks.iter().sum::<f64>() / 100.0)
}
