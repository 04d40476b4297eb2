//! Lists of transactions.

use diesel::{
    BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
    dsl::sql,
    sql_types::{BigInt, Nullable},
};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Instant, Page, PageParams, Result,
    schema::{account_monthly_totals, transactions},
    store::heads,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Channel, Direction, Transaction, TransactionId, TransactionRow};
use crate::{
    account::{self, AccountId},
    balance::{check_range, see_amounts},
    own_links::of_held,
};

/// How many accounts one statement asks.
const ARMS: usize = 100;

/// Filters of the list of transactions.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TransactionFilter {
    /// Only transactions booked on this day and later.
    #[param(example = "2026-01-01")]
    pub from: Option<Date>,
    /// Only transactions booked on this day and earlier.
    #[param(example = "2026-01-31")]
    pub to: Option<Date>,
    /// Only money that came in, or went out.
    #[param(inline, example = "debit")]
    pub direction: Option<Direction>,
    /// Only this channel.
    #[param(inline, example = "atm")]
    pub channel: Option<Channel>,
}

/// The transactions of an account, latest first.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`]; [`kehu_kernel::Error::Forbidden`] without `account.read` or without the right to see
/// internal fields.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    id: AccountId,
    filter: &TransactionFilter,
    params: &PageParams,
) -> Result<Page<Transaction>> {
    account::require(conn, actor, Action::AccountRead, id)?;
    see_amounts(actor)?;
    check_range(filter.from, filter.to)?;
    let window = params.window::<(Instant, TransactionId)>(&conn.keys, &format!("accounts/{id}/transactions?{filter:?}"))?;
    let matching = || {
        let mut query = transactions::table.filter(transactions::account_id.eq(id)).into_boxed();
        if let Some(from) = filter.from {
            query = query.filter(transactions::booked_on.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter(transactions::booked_on.le(to));
        }
        if let Some(direction) = filter.direction {
            query = query.filter(transactions::direction.eq(direction));
        }
        if let Some(channel) = filter.channel {
            query = query.filter(transactions::channel.eq(channel));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching()
        .order((transactions::booked_at.desc(), transactions::id.desc()))
        .limit(window.fetch())
        .select(TransactionRow::as_select());
    if let Some((at, last)) = window.after {
        query = query.filter(transactions::booked_at.le(at).and(transactions::booked_at.lt(at).or(transactions::id.lt(last))));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &TransactionRow| (row.booked_at, row.id))?;
    Ok(page.map(Transaction::from))
}

/// The latest transactions of some accounts together; the caller has checked the right to see them.
pub(crate) fn latest(conn: &mut Conn, accounts: &[AccountId], limit: i64) -> Result<Vec<Transaction>> {
    let mut rows: Vec<TransactionRow> = Vec::new();
    for chunk in accounts.chunks(ARMS) {
        let arm = |account: &AccountId| {
            transactions::table
                .filter(transactions::account_id.eq(*account))
                .order((transactions::booked_at.desc(), transactions::id.desc()))
                .limit(limit)
                .select(TransactionRow::as_select())
        };
        // By their places: `booked_at` and `id`.
        let newest = heads(chunk.iter().map(arm).collect(), "5 DESC, 1 DESC", limit);
        rows.extend(newest.load::<TransactionRow>(&mut conn.db)?);
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.booked_at, row.id)));
    rows.truncate(usize::try_from(limit).map_err(Error::internal)?);
    Ok(rows.into_iter().map(Transaction::from).collect())
}

/// How many transactions the accounts have to which a customer is linked on a day; `accounts` are those accounts.
pub(crate) fn count_of_customer(conn: &mut Conn, ids: &[CustomerId], day: Date, accounts: &[AccountId]) -> Result<i64> {
    let sum = || sql::<Nullable<BigInt>>("CAST(SUM(credit_count + debit_count) AS BIGINT)");
    let counts: Option<i64> =
        of_held!(account_monthly_totals, ids, day, accounts, rows => rows().select(sum()).first(&mut conn.db)?);
    Ok(counts.unwrap_or(0))
}
