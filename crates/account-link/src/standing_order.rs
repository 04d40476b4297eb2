//! Standing orders: what an account pays again and again.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable,
    RunQueryDsl, Selectable, SelectableHelper,
    dsl::sql,
    sql_types::{BigInt, Bool, Text},
};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, Conn, Currency, Date, Id, Instant, Money, PageParams, Reference, Result, page::counted,
    schema::standing_orders, store::MultiBackend, text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    account::{Account, AccountId, labels},
    balance::see_amounts,
    own_links::of_held,
    scope,
};

/// Identifier of a standing order.
pub type StandingOrderId = Id<StandingOrder>;

text_enum! {
    /// Whether a standing order is carried out.
    pub enum StandingOrderStatus {
        /// Carried out.
        Active = "active",
        /// Halted for a while.
        Suspended = "suspended",
        /// No longer carried out.
        Ended = "ended",
    }
}

/// A standing order.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StandingOrder {
    /// Identifier of the standing order.
    pub id: StandingOrderId,
    /// The account that pays, by its masked number.
    pub account: Reference,
    /// Code of the system that keeps it.
    #[schema(example = "core", max_length = 32)]
    pub source_system: String,
    /// Its id in that system.
    #[schema(example = "29401", max_length = 128)]
    pub source_id: String,
    /// What is paid each time.
    pub amount: Money,
    /// What for.
    #[schema(max_length = 200)]
    pub purpose: Option<String>,
    /// Bank of the receiver.
    #[schema(max_length = 64)]
    pub counterparty_bank: Option<String>,
    /// Account of the receiver, masked.
    #[schema(example = "****4583", max_length = 32)]
    pub counterparty: Option<String>,
    /// How often, in the source system's words.
    #[schema(example = "monthly", max_length = 32)]
    pub frequency: Option<String>,
    /// Whether it is carried out.
    pub status: StandingOrderStatus,
    /// The first day.
    pub valid_from: Option<Date>,
    /// The day from which it is no longer carried out.
    pub valid_to: Option<Date>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
}

/// A page of standing orders.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StandingOrderPage {
    /// The standing orders of this page, in the order of the list.
    #[schema(max_items = 200)]
    pub items: Vec<StandingOrder>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[schema(max_length = 1024)]
    pub next_cursor: Option<String>,
    /// How many standing orders the whole list has; null unless `include_total=true` was asked for.
    #[schema(minimum = 0)]
    pub total: Option<i64>,
    /// What all standing orders of the whole list pay together each time, one sum a currency; null unless
    /// `include_total=true` was asked for.
    #[schema(max_items = 200)]
    pub sums: Option<Vec<Money>>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = standing_orders, treat_none_as_default_value = false)]
pub(crate) struct StandingOrderRow {
    pub id: StandingOrderId,
    pub account_id: AccountId,
    pub source_system: String,
    pub source_id: String,
    pub amount_minor: i64,
    pub currency: Currency,
    pub purpose: Option<String>,
    pub counterparty_bank: Option<String>,
    pub counterparty_masked: Option<String>,
    pub counterparty_hash: Option<Vec<u8>>,
    pub frequency: Option<String>,
    pub status: StandingOrderStatus,
    pub valid_from: Option<Date>,
    pub valid_to: Option<Date>,
    pub content_hash: Vec<u8>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

/// Filters of the list of standing orders.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StandingOrderFilter {
    /// Only standing orders that this account pays.
    pub account_id: Option<AccountId>,
    /// Only this status.
    #[param(inline, example = "active")]
    pub status: Option<StandingOrderStatus>,
}

type Condition = Box<dyn BoxableExpression<standing_orders::table, MultiBackend, SqlType = Bool>>;

/// Standing orders of the accounts within reach, oldest record first.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `account.read` or without the right to see internal fields;
/// [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &StandingOrderFilter, params: &PageParams) -> Result<StandingOrderPage> {
    let reach = actor.allow(Action::AccountRead)?;
    see_amounts(actor)?;
    let window = params.window::<StandingOrderId>(&conn.keys, &format!("standing-orders?{filter:?}"))?;
    let matching = |conn: &Conn| {
        let mut condition: Condition = Box::new(scope::of_visible(conn, standing_orders::account_id, &reach));
        if let Some(account) = filter.account_id {
            condition = Box::new(condition.and(standing_orders::account_id.eq(account)));
        }
        if let Some(status) = filter.status {
            condition = Box::new(condition.and(standing_orders::status.eq(status)));
        }
        standing_orders::table.filter(condition)
    };
    let (mut total, mut sums) = (None, None);
    if window.include_total {
        total = Some(matching(conn).count().get_result(&mut conn.db)?);
        let rows: Vec<(Currency, i64)> = matching(conn)
            .group_by(standing_orders::currency)
            .order(standing_orders::currency)
            .select((sql::<Text>("standing_orders.currency"), sql::<BigInt>("CAST(SUM(amount_minor) AS BIGINT)")))
            .load(&mut conn.db)?;
        sums = Some(rows.into_iter().map(|(currency, minor)| Money::new(minor, currency)).collect());
    }
    let mut query =
        matching(conn).into_boxed().order(standing_orders::id).limit(window.fetch()).select(StandingOrderRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(standing_orders::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &StandingOrderRow| row.id)?;
    let items = present(conn, page.items)?;
    Ok(StandingOrderPage { items, next_cursor: page.next_cursor, total: page.total, sums })
}

/// The latest standing orders of the accounts to which a customer is linked on a day, and how many there are. `accounts`
/// are those accounts; the caller has checked the right.
pub(crate) fn of_customer(
    conn: &mut Conn,
    ids: &[CustomerId],
    day: Date,
    accounts: &[Account],
    shown: i64,
) -> Result<(Vec<StandingOrder>, i64)> {
    let of: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let (rows, count): (Vec<StandingOrderRow>, i64) = of_held!(standing_orders, ids, day, &of, all => {
        let latest = all().order(standing_orders::id.desc()).limit(shown + 1).select(StandingOrderRow::as_select());
        counted(latest.load(&mut conn.db)?, shown, || Ok(all().count().get_result(&mut conn.db)?))?
    });
    let labels = accounts.iter().map(|account| (account.id, account.number.clone())).collect();
    Ok((named(rows, &labels), count))
}

fn present(conn: &mut Conn, rows: Vec<StandingOrderRow>) -> Result<Vec<StandingOrder>> {
    let labels = labels(conn, rows.iter().map(|row| row.account_id))?;
    Ok(named(rows, &labels))
}

fn named(rows: Vec<StandingOrderRow>, labels: &HashMap<AccountId, String>) -> Vec<StandingOrder> {
    let label = |id: AccountId| Reference::new(id, labels.get(&id).cloned().unwrap_or_default());
    rows.into_iter()
        .map(|row| StandingOrder {
            id: row.id,
            account: label(row.account_id),
            source_system: row.source_system,
            source_id: row.source_id,
            amount: Money::new(row.amount_minor, row.currency),
            purpose: row.purpose,
            counterparty_bank: row.counterparty_bank,
            counterparty: row.counterparty_masked,
            frequency: row.frequency,
            status: row.status,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
        .collect()
}
