//! What came out: a line for each goal, as a table and as JSON.

use std::{fmt::Write, path::Path};

use serde_json::json;

/// Which way a goal looks.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    /// The ratio of ours to the limit is to be at least this.
    AtLeast(f64),
    /// The ratio of ours to the limit is to be at most this.
    AtMost(f64),
}

/// One goal on one database with so many customers.
pub struct Row {
    /// Its name, such as `S1`.
    pub goal: &'static str,
    /// What was measured.
    pub what: String,
    /// `sqlite` or `postgres`.
    pub backend: &'static str,
    /// How many customers the bank has.
    pub customers: u64,
    /// Ours and the limit, once for each time that both were measured, one after the other.
    pub pairs: Vec<(f64, f64)>,
    /// The unit of both.
    pub unit: &'static str,
    /// The goal.
    pub wanted: Wanted,
    /// What else is worth knowing: percentiles, processor time, memory.
    pub more: String,
}

impl Row {
    fn ratios(&self) -> Vec<f64> {
        self.pairs.iter().map(|(ours, limit)| ours / limit).collect()
    }

    fn passes(&self) -> bool {
        match self.wanted {
            Wanted::AtLeast(least) => median(self.ratios()) >= least,
            Wanted::AtMost(most) => median(self.ratios()) <= most,
        }
    }
}

/// The middle one; of an even number the upper of both.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// All lines of one run.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a line and shows it.
    pub fn add(&mut self, row: Row) {
        println!("{}", line(&row));
        self.rows.push(row);
    }

    /// Shows all lines below each other and writes them to the file.
    pub fn close(&self, file: &Path) {
        println!("\n{HEAD}");
        for row in &self.rows {
            println!("{}", line(row));
        }
        let all: Vec<_> = self.rows.iter().map(values).collect();
        std::fs::write(file, serde_json::to_string_pretty(&all).unwrap()).unwrap();
        println!("{}", file.display());
    }
}

const HEAD: &str = "goal database customers       ours      limit unit   ratio (least – most)   wanted       what";

fn line(row: &Row) -> String {
    let ratios = row.ratios();
    let (least, most) = (ratios.iter().copied().fold(f64::INFINITY, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    let (sign, wanted) = match row.wanted {
        Wanted::AtLeast(wanted) => ("≥", wanted),
        Wanted::AtMost(wanted) => ("≤", wanted),
    };
    let mut text = format!(
        "{:<4} {:<8} {:>9} {:>10.2} {:>10.2} {:<6} {:.2} ({least:.2} – {most:.2}) {sign} {wanted:.2} {:<5} {}",
        row.goal,
        row.backend,
        row.customers,
        median(row.pairs.iter().map(|pair| pair.0).collect()),
        median(row.pairs.iter().map(|pair| pair.1).collect()),
        row.unit,
        median(ratios),
        if row.passes() { "pass" } else { "short" },
        row.what,
    );
    if !row.more.is_empty() {
        write!(text, "; {}", row.more).unwrap();
    }
    text
}

fn values(row: &Row) -> serde_json::Value {
    json!({
        "goal": row.goal,
        "what": row.what,
        "backend": row.backend,
        "customers": row.customers,
        "ours": median(row.pairs.iter().map(|pair| pair.0).collect()),
        "limit": median(row.pairs.iter().map(|pair| pair.1).collect()),
        "ratio": median(row.ratios()),
        "unit": row.unit,
        "pass": row.passes(),
        "more": row.more,
    })
}
