//! Sums per account and day, and per account and month, kept in the transaction that books.

use std::collections::BTreeMap;

use diesel::RunQueryDsl;
use kehu_kernel::{
    Date, Result, Tx,
    store::{Value, given, places, together},
};

use super::Direction;
use crate::account::AccountId;

/// What came in and what went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub credit_minor: i64,
    pub debit_minor: i64,
    pub credit_count: i64,
    pub debit_count: i64,
}

impl Sums {
    /// Counts one transaction.
    pub const fn count(&mut self, direction: Direction, amount_minor: i64) {
        match direction {
            Direction::Credit => {
                self.credit_minor = self.credit_minor.saturating_add(amount_minor);
                self.credit_count += 1;
            }
            Direction::Debit => {
                self.debit_minor = self.debit_minor.saturating_add(amount_minor);
                self.debit_count += 1;
            }
        }
    }

    /// Adds other sums.
    pub const fn merge(&mut self, other: &Self) {
        self.credit_minor = self.credit_minor.saturating_add(other.credit_minor);
        self.debit_minor = self.debit_minor.saturating_add(other.debit_minor);
        self.credit_count += other.credit_count;
        self.debit_count += other.debit_count;
    }

    /// What remains: in minus out.
    pub const fn net(&self) -> i64 {
        self.credit_minor.saturating_sub(self.debit_minor)
    }
}

/// An account, and a day or the first day of a month.
type Key = (AccountId, Date);

/// Adds the sums of days to those that are kept, for days and for months.
pub(crate) fn add(tx: &mut Tx<'_>, days: &BTreeMap<Key, Sums>) -> Result<()> {
    let mut months: BTreeMap<Key, Sums> = BTreeMap::new();
    for ((account, day), sums) in days {
        months.entry((*account, day.month_start())).or_default().merge(sums);
    }
    add_rows(tx, "account_daily_totals", "day", days)?;
    add_rows(tx, "account_monthly_totals", "month", &months)
}

/// In the order of their keys, so that two writers wait for each other instead of dead-locking.
fn add_rows(tx: &mut Tx<'_>, table: &'static str, key: &'static str, rows: &BTreeMap<Key, Sums>) -> Result<()> {
    const SUMS: [&str; 4] = ["credit_minor", "debit_minor", "credit_count", "debit_count"];
    let sets = SUMS.map(|sum| format!("{sum} = {table}.{sum} + excluded.{sum}")).join(", ");
    let into = format!("INSERT INTO {table} (account_id, {key}, {}) VALUES", SUMS.join(", "));
    let upsert = |rows| format!("{into} {} ON CONFLICT (account_id, {key}) DO UPDATE SET {sets}", places(rows, 6));
    let rows: Vec<[Value; 6]> = rows.iter().map(row).collect();
    for chunk in rows.chunks(together(tx)) {
        given::<()>(upsert(chunk.len()), chunk.as_flattened().to_vec()).execute(&mut tx.db)?;
    }
    Ok(())
}

fn row(((account_id, date), sums): (&Key, &Sums)) -> [Value; 6] {
    let Sums { credit_minor, debit_minor, credit_count, debit_count } = *sums;
    [(*account_id).into(), (*date).into(), credit_minor.into(), debit_minor.into(), credit_count.into(), debit_count.into()]
}
