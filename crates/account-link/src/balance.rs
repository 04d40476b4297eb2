//! Balances at the end of days.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper, upsert::excluded};
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Error, FieldError, Instant, Kind, Money, Page, PageParams, Result, Tx,
    access::FieldClass,
    each,
    schema::{account_balances, accounts},
    store::{given, places},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::account::{self, AccountId};

/// The balance of an account at the end of a day.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountBalance {
    /// The day.
    pub day: Date,
    /// The balance; negative for debts.
    pub balance: Money,
    /// When the source told it.
    pub recorded_at: Instant,
}

/// Filters of the list of balances.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BalanceFilter {
    /// Only balances of this day and later.
    #[param(example = "2026-01-01")]
    pub from: Option<Date>,
    /// Only balances of this day and earlier.
    #[param(example = "2026-01-31")]
    pub to: Option<Date>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = account_balances, treat_none_as_default_value = false)]
pub(crate) struct Snapshot {
    pub account_id: AccountId,
    pub day: Date,
    pub balance_minor: i64,
    pub recorded_at: Instant,
}

/// The balances of an account, latest day first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `account.read` or without the right to see internal fields.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    id: AccountId,
    filter: &BalanceFilter,
    params: &PageParams,
) -> Result<Page<AccountBalance>> {
    let account = account::require(conn, actor, Action::AccountRead, id)?;
    see_amounts(actor)?;
    check_range(filter.from, filter.to)?;
    let window = params.window::<Date>(&conn.keys, &format!("accounts/{id}/balances?{filter:?}"))?;
    let matching = || {
        let mut query = account_balances::table.filter(account_balances::account_id.eq(id)).into_boxed();
        if let Some(from) = filter.from {
            query = query.filter(account_balances::day.ge(from));
        }
        if let Some(to) = filter.to {
            query = query.filter(account_balances::day.le(to));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(account_balances::day.desc()).limit(window.fetch()).select(Snapshot::as_select());
    if let Some(before) = window.after {
        query = query.filter(account_balances::day.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Snapshot| row.day)?;
    Ok(page.map(|row| row.shown(account.currency)))
}

impl Snapshot {
    fn shown(self, currency: Currency) -> AccountBalance {
        AccountBalance { day: self.day, balance: Money::new(self.balance_minor, currency), recorded_at: self.recorded_at }
    }
}

/// The last moment of a day: what is booked on the next one, even without a time, comes after it.
pub(crate) fn end_of(day: Date) -> Instant {
    Instant::from_micros(day.next().start().micros() - 1)
}

/// Amounts are internal: whoever may not see them is refused instead of getting an answer without content.
pub(crate) fn see_amounts(actor: &Actor) -> Result<()> {
    if actor.sees(FieldClass::Internal) {
        return Ok(());
    }
    Err(Error::Forbidden("This needs a role that may see internal fields.".into()))
}

pub(crate) fn check_range(from: Option<Date>, to: Option<Date>) -> Result<()> {
    if from.zip(to).is_some_and(|(from, to)| to < from) {
        let error = FieldError::new("?to", "before_start", "The last day cannot lie before the first.");
        return Err(Error::Invalid(vec![error]));
    }
    Ok(())
}

/// Locks accounts, so that what is read of them and of what hangs on them stays true until it is written.
/// In the order of their ids: two writers wait for each other instead of dead-locking.
pub(crate) fn hold(tx: &mut Tx<'_>, ids: impl Iterator<Item = AccountId>) -> Result<()> {
    let ids: BTreeSet<AccountId> = ids.collect();
    let (spread, of) = (tx.distributed, accounts::table.filter(accounts::id.eq_any(ids)));
    match &mut tx.db.kind {
        // There is one writer.
        Kind::Sqlite(_) => {}
        // Rows of several machines are only locked by a change of them; here it is none.
        Kind::Postgres(conn) if spread => {
            diesel::update(of).set(accounts::version.eq(accounts::version)).execute(conn)?;
        }
        Kind::Postgres(conn) => {
            of.order(accounts::id).select(accounts::id).for_no_key_update().load::<AccountId>(conn)?;
        }
    }
    Ok(())
}

/// Sets what accounts hold at the latest moment that is known of each.
pub(crate) fn move_on(tx: &mut Tx<'_>, latest: &BTreeMap<AccountId, (Instant, i64)>) -> Result<()> {
    hold(tx, latest.keys().copied())?;
    let rows: Vec<_> = latest.iter().collect();
    for chunk in rows.chunks(1_000) {
        let set = "UPDATE accounts SET balance_as_of = v.column2, balance_minor = v.column3, version = version + 1";
        let of = format!("FROM (VALUES {}) AS v WHERE accounts.id = v.column1", places(chunk.len(), 3));
        let values = chunk.iter().flat_map(|(id, (moment, minor))| [(**id).into(), (*moment).into(), (*minor).into()]);
        given::<()>(format!("{set} {of}"), values.collect()).execute(&mut tx.db)?;
    }
    Ok(())
}

/// Writes balances; the latest word about a day counts.
pub(crate) fn record(tx: &mut Tx<'_>, snapshots: &[Snapshot]) -> Result<()> {
    // One statement may not write a row twice.
    let latest: BTreeMap<_, _> = snapshots.iter().map(|row| ((row.account_id, row.day), row)).collect();
    let rows: Vec<&Snapshot> = latest.into_values().collect();
    for chunk in rows.chunks(1_000) {
        each!(&mut tx.db, c => {
            diesel::insert_into(account_balances::table)
                .values(chunk.to_vec())
                .on_conflict((account_balances::account_id, account_balances::day))
                .do_update()
                .set((
                    account_balances::balance_minor.eq(excluded(account_balances::balance_minor)),
                    account_balances::recorded_at.eq(excluded(account_balances::recorded_at)),
                ))
                .execute(c)
        })?;
    }
    Ok(())
}
