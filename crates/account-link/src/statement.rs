//! Statements of accounts, from the sums that are kept by day and month.

use std::collections::BTreeMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Error, Money, Result,
    schema::{account_daily_totals, account_monthly_totals},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    account::{self, AccountId},
    balance::{check_range, see_amounts},
    transaction::Sums,
};

/// The most lines that one statement has.
const LINES: usize = 400;

text_enum! {
    /// Length of the periods of a statement.
    pub enum StatementPeriod {
        /// Calendar months.
        Month = "month",
        /// Days.
        Day = "day",
    }
}

/// Which statement is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StatementQuery {
    /// Length of the periods; `month` unless given.
    #[param(inline, example = "month")]
    pub period: Option<StatementPeriod>,
    /// The first day; months are taken whole. Twelve months, or thirty-one days, before the last one unless given.
    #[param(example = "2026-01-01")]
    pub from: Option<Date>,
    /// The last day; months are taken whole. Today unless given.
    #[param(example = "2026-01-31")]
    pub to: Option<Date>,
}

/// What came in and went out of an account, period by period. Balances are cumulated signed amounts of all
/// transactions that were delivered: the balance of the bank's books if they were delivered from the opening on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountStatement {
    /// The account.
    pub account_id: AccountId,
    /// Length of the periods.
    pub period: StatementPeriod,
    /// The first day.
    pub from: Date,
    /// The last day.
    pub to: Date,
    /// Cumulated signed amounts before the first day.
    pub opening: Money,
    /// Cumulated signed amounts at the end of the last day.
    pub closing: Money,
    /// Periods in which something was booked, in the order of time.
    #[schema(max_items = 400)]
    pub lines: Vec<StatementLine>,
}

/// One period of a statement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatementLine {
    /// First day of the period.
    pub from: Date,
    /// Last day of the period.
    pub to: Date,
    /// Sum of what came in.
    pub credits: Money,
    /// Sum of what went out; not negative.
    pub debits: Money,
    /// How many transactions brought money in.
    #[schema(minimum = 0)]
    pub credit_count: i64,
    /// How many transactions took money out.
    #[schema(minimum = 0)]
    pub debit_count: i64,
    /// Cumulated signed amounts at the end of the period.
    pub closing: Money,
}

/// The statement of an account.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `account.read` or without the right to see internal fields;
/// [`Error::Invalid`] when the range is reversed or too long.
pub fn get(conn: &mut Conn, actor: &Actor, id: AccountId, query: &StatementQuery) -> Result<AccountStatement> {
    let account = account::require(conn, actor, Action::AccountRead, id)?;
    see_amounts(actor)?;
    let (period, from, to) = query.range(conn.now.date())?;
    let sums = match period {
        StatementPeriod::Month => months(conn, id, to)?,
        StatementPeriod::Day => days(conn, id, from.month_start(), to)?,
    };
    let mut net = match period {
        StatementPeriod::Month => 0,
        StatementPeriod::Day => months(conn, id, from.month_start().plus_days(-1))?.values().map(Sums::net).sum(),
    };
    net += sums.range(..from).map(|(_, sums)| sums.net()).sum::<i64>();
    let money = |minor| Money::new(minor, account.currency);
    let opening = money(net);
    let mut lines = Vec::new();
    for (day, sums) in sums.range(from..) {
        net += sums.net();
        lines.push(line(period, *day, sums, net, account.currency));
    }
    Ok(AccountStatement { account_id: id, period, from, to, opening, closing: money(net), lines })
}

fn line(period: StatementPeriod, day: Date, sums: &Sums, net: i64, currency: Currency) -> StatementLine {
    StatementLine {
        from: day,
        to: if period == StatementPeriod::Month { day.month_end() } else { day },
        credits: Money::new(sums.credit_minor, currency),
        debits: Money::new(sums.debit_minor, currency),
        credit_count: sums.credit_count,
        debit_count: sums.debit_count,
        closing: Money::new(net, currency),
    }
}

impl StatementQuery {
    /// Period, first and last day.
    fn range(&self, today: Date) -> Result<(StatementPeriod, Date, Date)> {
        check_range(self.from, self.to)?;
        let to = self.to.or_else(|| self.from.filter(|from| *from > today)).unwrap_or(today);
        let (period, from, to) = match self.period.unwrap_or(StatementPeriod::Month) {
            StatementPeriod::Month => {
                let from = self.from.unwrap_or_else(|| to.month_start().plus_days(-330)).month_start();
                (StatementPeriod::Month, from, to.month_end())
            }
            StatementPeriod::Day => (StatementPeriod::Day, self.from.unwrap_or_else(|| to.plus_days(-30)), to),
        };
        let span = to.naive().signed_duration_since(from.naive()).num_days();
        let longest = if period == StatementPeriod::Month { 30 * 400 } else { 399 };
        if span > longest {
            let message = format!("A statement has at most {LINES} periods.");
            return Err(Error::invalid("?from", "range_too_long", message));
        }
        Ok((period, from, to))
    }
}

type SumRow = (Date, i64, i64, i64, i64);

fn collect(rows: Vec<SumRow>) -> BTreeMap<Date, Sums> {
    let sums = |(day, credit_minor, debit_minor, credit_count, debit_count)| {
        (day, Sums { credit_minor, debit_minor, credit_count, debit_count })
    };
    rows.into_iter().map(sums).collect()
}

/// Sums by the first day of months, from the beginning.
fn months(conn: &mut Conn, id: AccountId, to: Date) -> Result<BTreeMap<Date, Sums>> {
    use account_monthly_totals as t;
    let query = t::table.filter(t::account_id.eq(id)).filter(t::month.le(to));
    let rows = query.select((t::month, t::credit_minor, t::debit_minor, t::credit_count, t::debit_count));
    Ok(collect(rows.load::<SumRow>(&mut conn.db)?))
}

/// Sums by days.
fn days(conn: &mut Conn, id: AccountId, from: Date, to: Date) -> Result<BTreeMap<Date, Sums>> {
    use account_daily_totals as t;
    let query = t::table.filter(t::account_id.eq(id)).filter(t::day.ge(from)).filter(t::day.le(to));
    let rows = query.select((t::day, t::credit_minor, t::debit_minor, t::credit_count, t::debit_count));
    Ok(collect(rows.load::<SumRow>(&mut conn.db)?))
}
