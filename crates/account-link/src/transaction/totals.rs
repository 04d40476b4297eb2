//! Sums per account and day, and per account and month, kept in the transaction that books.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, Insertable, RunQueryDsl, upsert::excluded};
use kehu_kernel::{
    Date, Kind, Result, Tx,
    schema::{account_daily_totals, account_monthly_totals},
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

#[derive(Clone, Insertable)]
#[diesel(table_name = account_daily_totals, treat_none_as_default_value = false)]
struct DayRow {
    account_id: AccountId,
    day: Date,
    credit_minor: i64,
    debit_minor: i64,
    credit_count: i64,
    debit_count: i64,
}

#[derive(Clone, Insertable)]
#[diesel(table_name = account_monthly_totals, treat_none_as_default_value = false)]
struct MonthRow {
    account_id: AccountId,
    month: Date,
    credit_minor: i64,
    debit_minor: i64,
    credit_count: i64,
    debit_count: i64,
}

/// Adds the sums of days to those that are kept, for days and for months.
pub(crate) fn add(tx: &mut Tx<'_>, days: &BTreeMap<(AccountId, Date), Sums>) -> Result<()> {
    let mut months: BTreeMap<(AccountId, Date), Sums> = BTreeMap::new();
    for ((account, day), sums) in days {
        months.entry((*account, day.month_start())).or_default().merge(sums);
    }
    // In the order of their keys, so that two writers wait for each other instead of dead-locking.
    let days: Vec<DayRow> = days.iter().map(|(key, sums)| day_row(*key, *sums)).collect();
    let months: Vec<MonthRow> = months.iter().map(|(key, sums)| month_row(*key, *sums)).collect();
    add_days(tx, &days)?;
    add_months(tx, &months)
}

fn day_row((account_id, day): (AccountId, Date), sums: Sums) -> DayRow {
    let Sums { credit_minor, debit_minor, credit_count, debit_count } = sums;
    DayRow { account_id, day, credit_minor, debit_minor, credit_count, debit_count }
}

fn month_row((account_id, month): (AccountId, Date), sums: Sums) -> MonthRow {
    let Sums { credit_minor, debit_minor, credit_count, debit_count } = sums;
    MonthRow { account_id, month, credit_minor, debit_minor, credit_count, debit_count }
}

/// Adds rows to the sums that are there. SQLite takes them one by one, as [`kehu_kernel::bulk_insert`] has it.
macro_rules! add_rows {
    ($tx:expr, $sums:ident, $key:ident, $rows:expr) => {{
        use $sums as t;
        macro_rules! upsert {
            ($values:expr, $conn:expr) => {
                diesel::insert_into(t::table)
                    .values($values)
                    .on_conflict((t::account_id, t::$key))
                    .do_update()
                    .set((
                        t::credit_minor.eq(t::credit_minor + excluded(t::credit_minor)),
                        t::debit_minor.eq(t::debit_minor + excluded(t::debit_minor)),
                        t::credit_count.eq(t::credit_count + excluded(t::credit_count)),
                        t::debit_count.eq(t::debit_count + excluded(t::debit_count)),
                    ))
                    .execute($conn)?
            };
        }
        match &mut $tx.db.kind {
            Kind::Sqlite(conn) => {
                for row in $rows {
                    upsert!(row, conn);
                }
            }
            Kind::Postgres(conn) => {
                for chunk in $rows.chunks(1_000) {
                    upsert!(chunk, conn);
                }
            }
        }
        Ok(())
    }};
}

fn add_days(tx: &mut Tx<'_>, rows: &[DayRow]) -> Result<()> {
    add_rows!(tx, account_daily_totals, day, rows)
}

fn add_months(tx: &mut Tx<'_>, rows: &[MonthRow]) -> Result<()> {
    add_rows!(tx, account_monthly_totals, month, rows)
}
