//! Lists of transactions.

use diesel::{BoolExpressionMethods, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Date, Instant, Page, PageParams, Result, schema::transactions};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Channel, Direction, Transaction, TransactionId, TransactionRow};
use crate::{
    account::{self, AccountId},
    balance::{check_range, see_amounts},
};

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
    let rows: Vec<TransactionRow> = transactions::table
        .filter(transactions::account_id.eq_any(accounts))
        .order((transactions::booked_at.desc(), transactions::id.desc()))
        .limit(limit)
        .select(TransactionRow::as_select())
        .load(&mut conn.db)?;
    Ok(rows.into_iter().map(Transaction::from).collect())
}
