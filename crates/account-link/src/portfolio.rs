//! The accounts of a customer, grouped, with totals and the customer's own part.

use std::collections::{BTreeMap, HashMap, HashSet};

use kehu_customer::CustomerId;
use kehu_kernel::{Action, Actor, AnyId, BasisPoints, Conn, Currency, Date, Error, Money, Result, access::FieldClass, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    account::{self, Account, AccountId, AccountRow},
    interval::split,
    link::{self, AccountLinkId, LinkFacts, LinkRow},
};

/// The most accounts that are shown one by one; totals always cover all.
const SHOWN: usize = 200;

text_enum! {
    /// By what accounts are grouped.
    pub enum AccountGrouping {
        /// By the branch that keeps them.
        Branch = "branch",
        /// By product.
        Product = "product",
        /// By currency.
        Currency = "currency",
    }
}

/// How the accounts of a customer are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PortfolioQuery {
    /// By what they are grouped; `branch` unless given.
    #[param(inline, example = "branch")]
    pub group_by: Option<AccountGrouping>,
    /// The day for which the links are shown; today unless given. Balances are always the present ones.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// The accounts of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerAccounts {
    /// The customer.
    pub customer_id: CustomerId,
    /// The day for which the links are shown.
    pub as_of: Date,
    /// By what the accounts are grouped.
    pub group_by: AccountGrouping,
    /// How many accounts the customer is linked to.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// Totals over all accounts that the customer owns, one a currency; empty for callers who may not see
    /// internal fields.
    #[schema(max_items = 200)]
    pub totals: Vec<AccountTotal>,
    /// The groups, in the order of their labels; together they show at most 200 accounts.
    #[schema(max_items = 200)]
    pub groups: Vec<AccountGroup>,
}

/// Accounts that have something in common.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountGroup {
    /// The branch or product; null for currencies and for accounts without a branch.
    pub id: Option<AnyId>,
    /// Name of the branch or product, or code of the currency; empty for accounts without a branch.
    #[schema(example = "Lujiazui Outlet", max_length = 200)]
    pub label: String,
    /// How many accounts the group has.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// Totals over the accounts of the group that the customer owns.
    #[schema(max_items = 200)]
    pub totals: Vec<AccountTotal>,
    /// The accounts.
    #[schema(max_items = 200)]
    pub accounts: Vec<CustomerAccount>,
}

/// Totals in one currency. `balance` is exactly `own` plus `joint` plus `others`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountTotal {
    /// How many accounts were summed up: those that the customer owns, alone or with others.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// Sum of their whole balances.
    pub balance: Money,
    /// What belongs to the customer in accounts without another owner.
    pub own: Money,
    /// What belongs to the customer in accounts with several owners, by their shares.
    pub joint: Money,
    /// What belongs to the other owners.
    pub others: Money,
}

/// An account as one customer's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerAccount {
    /// The account.
    pub account: Account,
    /// What the customer is to it.
    #[schema(max_items = 20)]
    pub links: Vec<LinkFacts>,
    /// What belongs to the customer of its balance; null when the customer owns nothing of it, or when the
    /// balance is not known or not shown.
    pub share: Option<Money>,
}

/// The accounts of a customer, whichever branch keeps them: whoever may see the customer sees them all.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`]; [`kehu_kernel::Error::Forbidden`] without `account.read` or `customer.read`.
pub fn of_customer(conn: &mut Conn, actor: &Actor, id: CustomerId, query: &PortfolioQuery) -> Result<CustomerAccounts> {
    kehu_customer::require(conn, actor, Action::CustomerRead, id)?;
    kehu_customer::require(conn, actor, Action::AccountRead, id)?;
    let day = query.as_of.unwrap_or_else(|| conn.now.date());
    let records = kehu_customer::scope::lineage(conn, id)?;
    let (held, accounts) = Held::load(conn, actor, records, day)?;
    Ok(held.grouped(actor, accounts, query.group_by.unwrap_or(AccountGrouping::Branch)))
}

/// What a customer is linked to on a day, and what belongs to it of that.
pub(crate) struct Held {
    customer: CustomerId,
    /// The customer and the records that it has absorbed.
    pub records: Vec<CustomerId>,
    day: Date,
    /// The customer's links, past and future ones, too.
    pub links_ever: Vec<LinkRow>,
    links: BTreeMap<AccountId, Vec<LinkRow>>,
    parts: HashMap<AccountId, Part>,
}

impl Held {
    /// Reads it, with the accounts themselves in the order of their ids. `records` are the customer and what it has absorbed,
    /// it first; the caller has checked the right to see it.
    pub fn load(conn: &mut Conn, actor: &Actor, records: Vec<CustomerId>, day: Date) -> Result<(Self, Vec<Account>)> {
        let id = *records.first().ok_or(Error::NotFound)?;
        let (links_ever, others) = link::around(conn, id, &records, day)?;
        let mut links: BTreeMap<AccountId, Vec<LinkRow>> = BTreeMap::new();
        for link in links_ever.iter().filter(|link| link.holds_on(day)) {
            links.entry(link.account_id).or_default().push(link.clone());
        }
        let found = account::of_customer(conn, actor, &records, day)?;
        let shares = shares(id, &links, others);
        let parts = found.iter().filter_map(|(row, _)| Some((row.id, part(row, shares.get(&row.id)?)?))).collect();
        let accounts = found.into_iter().map(|(_, account)| account).collect();
        Ok((Self { customer: id, records, day, links_ever, links, parts }, accounts))
    }

    /// An account with what the customer is to it.
    pub fn entry(&self, actor: &Actor, account: Account) -> CustomerAccount {
        let links = self.links.get(&account.id).map(|links| links.iter().map(LinkFacts::from).collect()).unwrap_or_default();
        let part = self.parts.get(&account.id).filter(|_| actor.sees(FieldClass::Internal));
        CustomerAccount { share: part.map(|part| Money::new(part.mine, part.balance.currency)), account, links }
    }

    /// Accounts in groups, with totals for each and for all.
    pub fn grouped(&self, actor: &Actor, accounts: Vec<Account>, group_by: AccountGrouping) -> CustomerAccounts {
        let account_count = count(accounts.len());
        let totals = self.totals(actor, accounts.iter().map(|account| account.id));
        let mut members: BTreeMap<(String, Option<AnyId>), Vec<Account>> = BTreeMap::new();
        for account in accounts {
            members.entry(key(&account, group_by)).or_default().push(account);
        }
        let mut left = SHOWN;
        let group = |((label, id), members): ((String, Option<AnyId>), Vec<Account>)| {
            let account_count = count(members.len());
            let totals = self.totals(actor, members.iter().map(|account| account.id));
            let accounts: Vec<_> = members.into_iter().take(left).map(|account| self.entry(actor, account)).collect();
            left -= accounts.len();
            AccountGroup { id, label, account_count, totals, accounts }
        };
        let groups = members.into_iter().map(group).collect();
        CustomerAccounts { customer_id: self.customer, as_of: self.day, group_by, account_count, totals, groups }
    }

    fn totals(&self, actor: &Actor, accounts: impl Iterator<Item = AccountId>) -> Vec<AccountTotal> {
        if actor.sees(FieldClass::Internal) { totals(&self.parts, accounts) } else { Vec::new() }
    }
}

fn key(account: &Account, group_by: AccountGrouping) -> (String, Option<AnyId>) {
    match group_by {
        AccountGrouping::Branch => account.branch.as_ref().map_or((String::new(), None), |of| (of.label.clone(), Some(of.id))),
        AccountGrouping::Product => (account.product.label.clone(), Some(account.product.id)),
        AccountGrouping::Currency => (account.currency.code().to_owned(), None),
    }
}

/// What belongs to a customer of one account.
#[derive(Clone, Copy)]
struct Part {
    balance: Money,
    mine: i64,
    alone: bool,
}

/// The owners' shares of an account and where the customer stands among them.
type Shares = (Vec<Option<BasisPoints>>, Vec<bool>);

fn part(row: &AccountRow, (shares, mine): &Shares) -> Option<Part> {
    let balance = Money::new(row.balance_minor?, row.currency);
    let parts = split(balance.amount_minor, shares);
    let sum = parts.iter().zip(mine).filter(|(_, mine)| **mine).map(|(part, _)| part).sum();
    Some(Part { balance, mine: sum, alone: mine.iter().all(|mine| *mine) })
}

/// Shares of all owners of the accounts of which the customer is one, in the order of their links.
fn shares(id: CustomerId, own: &BTreeMap<AccountId, Vec<LinkRow>>, others: Vec<LinkRow>) -> HashMap<AccountId, Shares> {
    let mut owners: HashMap<AccountId, Vec<Owner>> = HashMap::new();
    let mine = own.values().flatten().filter(|link| link.role.owns());
    for link in mine {
        owners.entry(link.account_id).or_default().push((link.id, link.customer_id, link.share_bp));
    }
    for link in others {
        if let Some(owners) = owners.get_mut(&link.account_id) {
            owners.push((link.id, link.customer_id, link.share_bp));
        }
    }
    let in_order = |mut owners: Vec<Owner>| {
        owners.sort_unstable_by_key(|(link, ..)| *link);
        once_each(owners.into_iter().map(|(_, owner, share)| (owner, share))).map(|(owner, share)| (share, owner == id)).unzip()
    };
    owners.into_iter().map(|(account, owners)| (account, in_order(owners))).collect()
}

/// A link of an owner, with its share.
type Owner = (AccountLinkId, CustomerId, Option<BasisPoints>);

/// The owners of an account with their shares. Who has several links without a share, in two roles or since two records
/// became one, divides with the others once.
pub(crate) fn once_each(
    owners: impl Iterator<Item = (CustomerId, Option<BasisPoints>)>,
) -> impl Iterator<Item = (CustomerId, Option<BasisPoints>)> {
    let mut silent = HashSet::new();
    owners.filter(move |(owner, share)| share.is_some() || silent.insert(*owner))
}

fn totals(parts: &HashMap<AccountId, Part>, accounts: impl Iterator<Item = AccountId>) -> Vec<AccountTotal> {
    let mut sums: BTreeMap<Currency, (i64, [i64; 4])> = BTreeMap::new();
    for part in accounts.filter_map(|id| parts.get(&id)) {
        let (number, [balance, own, joint, others]) = sums.entry(part.balance.currency).or_default();
        *number += 1;
        let mine = if part.alone { own } else { joint };
        *balance = balance.saturating_add(part.balance.amount_minor);
        *mine = mine.saturating_add(part.mine);
        *others = others.saturating_add(part.balance.amount_minor.saturating_sub(part.mine));
    }
    let total = |(currency, (account_count, [balance, own, joint, others])): (Currency, (i64, [i64; 4]))| AccountTotal {
        account_count,
        balance: Money::new(balance, currency),
        own: Money::new(own, currency),
        joint: Money::new(joint, currency),
        others: Money::new(others, currency),
    };
    sums.into_iter().map(total).collect()
}

pub(crate) fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
