//! Sums over many accounts, from what is kept by day and month.

use diesel::{
    ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl,
    dsl::sql,
    sql_types::{BigInt, Text},
};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Money, Result,
    schema::{account_daily_totals, account_monthly_totals, accounts},
    store::within,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{balance::see_amounts, scope};

/// The day for which sums are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TotalsQuery {
    /// The day at whose end; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// Cumulated amounts over all accounts within reach.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountTotals {
    /// The day at whose end.
    pub as_of: Date,
    /// One line a currency.
    #[schema(max_items = 200)]
    pub items: Vec<CurrencyTotals>,
}

/// Cumulated amounts in one currency.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CurrencyTotals {
    /// Sum of what ever came in.
    pub credits: Money,
    /// Sum of what ever went out; not negative.
    pub debits: Money,
    /// What came in minus what went out: the balances of all accounts together.
    pub balance: Money,
    /// How many transactions brought money in.
    #[schema(minimum = 0)]
    pub credit_count: i64,
    /// How many transactions took money out.
    #[schema(minimum = 0)]
    pub debit_count: i64,
}

type Row = (Currency, i64, i64, i64, i64);

/// Cumulated signed amounts of all transactions up to a day, over all accounts within reach.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `account.read` or without the right to see internal fields.
pub fn totals(conn: &mut Conn, actor: &Actor, query: &TotalsQuery) -> Result<AccountTotals> {
    let reach = actor.allow(Action::AccountRead)?;
    see_amounts(actor)?;
    let as_of = query.as_of.unwrap_or_else(|| conn.now.date());
    let columns = (
        sql::<Text>("accounts.currency"),
        sql::<BigInt>("CAST(SUM(credit_minor) AS BIGINT)"),
        sql::<BigInt>("CAST(SUM(debit_minor) AS BIGINT)"),
        sql::<BigInt>("CAST(SUM(credit_count) AS BIGINT)"),
        sql::<BigInt>("CAST(SUM(debit_count) AS BIGINT)"),
    );
    let visible = |conn: &Conn| accounts::table.filter(scope::visible_to(conn, &reach)).select(accounts::id).into_boxed();
    // Whole months, then the days of the last one.
    let months: Vec<Row> = accounts::table
        .inner_join(account_monthly_totals::table.on(account_monthly_totals::account_id.eq(accounts::id)))
        .filter(account_monthly_totals::month.lt(as_of.month_start()))
        .filter(within(accounts::id, visible(conn)))
        .group_by(accounts::currency)
        .select(columns.clone())
        .load(&mut conn.db)?;
    let days: Vec<Row> = accounts::table
        .inner_join(account_daily_totals::table.on(account_daily_totals::account_id.eq(accounts::id)))
        .filter(account_daily_totals::day.ge(as_of.month_start()))
        .filter(account_daily_totals::day.le(as_of))
        .filter(within(accounts::id, visible(conn)))
        .group_by(accounts::currency)
        .select(columns)
        .load(&mut conn.db)?;
    let mut sums = std::collections::BTreeMap::<Currency, [i64; 4]>::new();
    for (currency, credit, debit, credits, debits) in months.into_iter().chain(days) {
        let entry = sums.entry(currency).or_default();
        entry.iter_mut().zip([credit, debit, credits, debits]).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }
    let line = |(currency, [credit, debit, credit_count, debit_count]): (Currency, [i64; 4])| CurrencyTotals {
        credits: Money::new(credit, currency),
        debits: Money::new(debit, currency),
        balance: Money::new(credit.saturating_sub(debit), currency),
        credit_count,
        debit_count,
    };
    Ok(AccountTotals { as_of, items: sums.into_iter().map(line).collect() })
}
