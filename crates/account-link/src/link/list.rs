//! Lists of links: by customer, by account, as of a day.

use std::collections::{BTreeSet, HashMap};

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Date, Error, Page, PageParams, Reference, Result,
    schema::{account_links, customers},
    store::among,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{AccountLink, AccountLinkId, LinkRole, LinkRow, SigningRule};
use crate::{
    account::{self, AccountId, labels},
    own_links::of_the_living,
    scope,
};

/// Filters of the list of links.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LinkFilter {
    /// Only links of this account.
    pub account_id: Option<AccountId>,
    /// Only links of this customer.
    pub customer_id: Option<CustomerId>,
    /// Only this role.
    #[param(inline, example = "owner")]
    pub role: Option<LinkRole>,
    /// Only links that hold on this day; past and future ones too unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// The day for which a question is asked.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AsOf {
    /// The day for which the links are shown; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// A customer of an account, with all that it is to the account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountHolder {
    /// The customer; its name is hidden when it is out of the caller's sight.
    pub customer: Reference,
    /// What the customer is to the account.
    #[schema(max_items = 20)]
    pub links: Vec<LinkFacts>,
}

/// What a customer is to an account, in short.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LinkFacts {
    /// The link.
    pub id: AccountLinkId,
    /// What the customer is to the account.
    pub role: LinkRole,
    /// Share in the account.
    pub share_bp: Option<BasisPoints>,
    /// How many of those who may sign have to.
    pub signing_rule: Option<SigningRule>,
    /// Whether this is the primary owner.
    pub primary: bool,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The day from which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
}

impl From<&LinkRow> for LinkFacts {
    fn from(row: &LinkRow) -> Self {
        Self {
            id: row.id,
            role: row.role,
            share_bp: row.share_bp,
            signing_rule: row.signing_rule,
            primary: row.is_primary,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
        }
    }
}

/// Links within reach, oldest record first.
///
/// # Errors
/// [`Error::Forbidden`] without `account.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &LinkFilter, params: &PageParams) -> Result<Page<AccountLink>> {
    let reach = actor.allow(Action::AccountRead)?;
    let window = params.window::<AccountLinkId>(&conn.keys, &format!("account-links?{filter:?}"))?;
    // Links that stayed with absorbed records are the survivor's.
    let customers = filter.customer_id.map(|id| kehu_customer::scope::lineage(conn, id)).transpose()?;
    let sees_all = sees_all_links(conn, actor, customers.as_deref())?;
    let matching = |conn: &Conn| {
        let mut query = account_links::table.into_boxed();
        if !sees_all {
            query = query.filter(scope::visible_links(conn, &reach));
        }
        if let Some(account) = filter.account_id {
            query = query.filter(account_links::account_id.eq(account));
        }
        if let Some(customers) = &customers {
            query = query.filter(account_links::customer_id.eq_any(customers.clone()));
        }
        if let Some(role) = filter.role {
            query = query.filter(account_links::role.eq(role));
        }
        if let Some(day) = filter.as_of {
            query = query.filter(scope::active(day));
        }
        query
    };
    let total = if window.include_total { Some(matching(conn).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(conn).order(account_links::id).limit(window.fetch()).select(LinkRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(account_links::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &LinkRow| row.id)?;
    let items = present(conn, actor, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// Whoever sees a customer sees all its links, whoever keeps the accounts: no link has to be looked at for that.
fn sees_all_links(conn: &mut Conn, actor: &Actor, customers: Option<&[CustomerId]>) -> Result<bool> {
    let Some([customer]) = customers else { return Ok(false) };
    match kehu_customer::require(conn, actor, Action::AccountRead, *customer) {
        Ok(_) => Ok(true),
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// One link.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `account.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: AccountLinkId) -> Result<AccountLink> {
    let row = require(conn, actor, Action::AccountRead, id)?;
    present(conn, actor, vec![row])?.pop().ok_or(Error::NotFound)
}

/// The row of a link on which the actor may do this.
pub(super) fn require(conn: &mut Conn, actor: &Actor, action: Action, id: AccountLinkId) -> Result<LinkRow> {
    let reach = actor.allow(action)?;
    let row = account_links::table.find(id).filter(scope::visible_links(conn, &reach)).select(LinkRow::as_select());
    Ok(row.first(&mut conn.db)?)
}

/// A link, whoever asks.
pub(super) fn find(conn: &mut Conn, actor: &Actor, id: AccountLinkId) -> Result<AccountLink> {
    let row = account_links::table.find(id).select(LinkRow::as_select()).first(&mut conn.db)?;
    present(conn, actor, vec![row])?.pop().ok_or(Error::NotFound)
}

/// The customers of an account on a day, each with all its roles: who can see this account.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `account.read`; [`Error::Invalid`] for a bad page request.
pub fn holders(conn: &mut Conn, actor: &Actor, id: AccountId, as_of: &AsOf, params: &PageParams) -> Result<Page<AccountHolder>> {
    account::require(conn, actor, Action::AccountRead, id)?;
    let day = as_of.as_of.unwrap_or_else(|| conn.now.date());
    let window = params.window::<CustomerId>(&conn.keys, &format!("accounts/{id}/customers?{as_of:?}"))?;
    // An account has few customers: the page is cut in memory.
    let mut rows: Vec<LinkRow> = account_links::table
        .filter(account_links::account_id.eq(id))
        .filter(scope::active(day))
        .order(account_links::id)
        .select(LinkRow::as_select())
        .load(&mut conn.db)?;
    of_the_living(conn, &mut rows)?;
    let customers: BTreeSet<CustomerId> = rows.iter().map(|row| row.customer_id).collect();
    let total = window.include_total.then(|| i64::try_from(customers.len()).unwrap_or(i64::MAX));
    let fetch = usize::try_from(window.fetch()).unwrap_or(0);
    let ids = customers.into_iter().filter(|id| window.after.is_none_or(|after| *id > after)).take(fetch).collect();
    let page = window.page(&conn.keys, ids, total, |id| *id)?;
    let names = customer_names(conn, actor, page.items.iter().copied())?;
    let holder = |id: CustomerId| AccountHolder {
        customer: Reference::new(id, names.get(&id).cloned().unwrap_or_default()),
        links: rows.iter().filter(|row| row.customer_id == id).map(LinkFacts::from).collect(),
    };
    Ok(page.map(holder))
}

/// All links of a customer, past and future ones and those that stayed with absorbed records, too, and those by which
/// others own the same accounts on a day; each in the order of accounts and links, and as that of the customer who lives.
/// `ids` are the customer's lineage; the caller has checked the right to see them.
pub(crate) fn around(conn: &mut Conn, id: CustomerId, ids: &[CustomerId], day: Date) -> Result<(Vec<LinkRow>, Vec<LinkRow>)> {
    let own_links = crate::own_links::own_links;
    let own = own_links
        .filter(among(own_links.field(account_links::customer_id), ids.to_vec()))
        .select(own_links.field(account_links::account_id));
    let owning = account_links::role.eq(LinkRole::Owner).or(account_links::role.eq(LinkRole::JointOwner));
    let lasts = account_links::valid_to.is_null().or(account_links::valid_to.assume_not_null().gt(day));
    let owned = owning.and(account_links::valid_from.le(day)).and(lasts);
    let rows: Vec<LinkRow> = account_links::table
        .filter(account_links::account_id.eq_any(own))
        .filter(among(account_links::customer_id, ids.to_vec()).or(owned))
        .order((account_links::account_id, account_links::id))
        .select(LinkRow::as_select())
        .load(&mut conn.db)?;
    let (mut own, mut others): (Vec<LinkRow>, Vec<LinkRow>) = rows.into_iter().partition(|row| ids.contains(&row.customer_id));
    for row in &mut own {
        row.customer_id = id;
    }
    of_the_living(conn, &mut others)?;
    Ok((own, others))
}

fn present(conn: &mut Conn, actor: &Actor, mut rows: Vec<LinkRow>) -> Result<Vec<AccountLink>> {
    of_the_living(conn, &mut rows)?;
    let accounts = labels(conn, rows.iter().map(|row| row.account_id))?;
    let names = customer_names(conn, actor, rows.iter().map(|row| row.customer_id))?;
    let link = |row: LinkRow| AccountLink {
        id: row.id,
        account: Reference::new(row.account_id, accounts.get(&row.account_id).cloned().unwrap_or_default()),
        customer: Reference::new(row.customer_id, names.get(&row.customer_id).cloned().unwrap_or_default()),
        role: row.role,
        share_bp: row.share_bp,
        signing_rule: row.signing_rule,
        signing_threshold: row.signing_threshold,
        primary: row.is_primary,
        valid_from: row.valid_from,
        valid_to: row.valid_to,
        evidence: row.evidence,
        closed_reason: row.closed_reason,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    };
    Ok(rows.into_iter().map(link).collect())
}

pub(crate) fn customer_names(
    conn: &mut Conn,
    actor: &Actor,
    ids: impl Iterator<Item = CustomerId>,
) -> Result<HashMap<CustomerId, String>> {
    let Some(reach) = actor.reach(Action::CustomerRead) else { return Ok(HashMap::new()) };
    let ids: BTreeSet<CustomerId> = ids.collect();
    let rows: Vec<(CustomerId, String)> = customers::table
        .filter(among(customers::id, ids.into_iter().collect()))
        .filter(kehu_customer::visible_to(&reach))
        .select((customers::id, customers::display_name))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().collect())
}
