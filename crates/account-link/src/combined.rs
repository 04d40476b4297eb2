//! What several customers have with the bank together: the totals of a group of companies.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Currency, Date, Money, Result,
    access::FieldClass,
    schema::{account_links, accounts, customers, products},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    account::AccountId,
    interval::split,
    link::LinkRole,
    own_links::end,
    portfolio::{count, once_each},
    product::ProductCategory::{self, Card, Deposit, Loan},
    scope,
};

/// How many ids one query asks for.
const CHUNK: usize = 5_000;

/// What a group of customers has with the bank today.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupTotals {
    /// How many customers of the group were summed up.
    #[schema(minimum = 0)]
    pub customer_count: i64,
    /// How many customers of the group were left out, because the caller may not read their accounts.
    #[schema(minimum = 0)]
    pub left_out_count: i64,
    /// How many accounts were summed up, each once.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// The totals, one a currency.
    #[schema(max_items = 200)]
    pub totals: Vec<GroupTotal>,
}

/// Totals of a group in one currency: balances as the bank's systems gave them. Of an account with several owners,
/// what belongs to owners of the group counts; a loan that a customer of the group owes counts as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GroupTotal {
    /// How many accounts.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// Current, savings and term deposit accounts.
    pub deposits: Money,
    /// Loans: what the group owes the bank.
    pub loans: Money,
    /// Card accounts.
    pub cards: Money,
    /// Funds, insurance, wealth products, trusts and everything else.
    pub others: Money,
}

/// An account of the group: its currency, balance and category, and the shares of its owners with who of
/// them belongs to the group.
struct Account {
    balance: Money,
    category: ProductCategory,
}

/// The totals of a group today; nothing for callers who may not read accounts or see amounts. Customers whose
/// accounts the caller may not read are left out and counted.
///
/// # Errors
/// The database's.
pub fn totals(conn: &mut Conn, actor: &Actor, group: &[CustomerId]) -> Result<Option<GroupTotals>> {
    let (Some(accounts), Some(readable)) = (actor.reach(Action::AccountRead), actor.reach(Action::CustomerRead)) else {
        return Ok(None);
    };
    if !actor.sees(FieldClass::Internal) {
        return Ok(None);
    }
    let mut seen: HashSet<CustomerId> = HashSet::new();
    for chunk in group.chunks(CHUNK) {
        let visible: Vec<CustomerId> = customers::table
            .filter(customers::id.eq_any(chunk.to_vec()))
            .filter(kehu_customer::visible_to(&accounts))
            .filter(kehu_customer::visible_to(&readable))
            .select(customers::id)
            .load(&mut conn.db)?;
        seen.extend(visible);
    }
    let today = conn.now.date();
    let all: Vec<CustomerId> = seen.iter().copied().collect();
    // Links that stayed with records that they absorbed are theirs.
    let records: HashSet<CustomerId> = kehu_customer::scope::lineages(conn, &all)?.into_iter().collect();
    let held = held(conn, &records, today)?;
    let found = load(conn, &held)?;
    let owners = owners(conn, &held, &seen, today)?;
    let totals = sum(&found, &owners);
    Ok(Some(GroupTotals {
        customer_count: count(seen.len()),
        left_out_count: count(group.iter().collect::<HashSet<_>>().len().saturating_sub(seen.len())),
        account_count: totals.iter().map(|total| total.account_count).sum(),
        totals,
    }))
}

/// The accounts that somebody of the group owns or owes today.
fn held(conn: &mut Conn, group: &HashSet<CustomerId>, today: Date) -> Result<Vec<AccountId>> {
    let group: Vec<CustomerId> = group.iter().copied().collect();
    let mut found: Vec<AccountId> = Vec::new();
    for chunk in group.chunks(CHUNK) {
        let of = account_links::table
            .filter(account_links::customer_id.eq_any(chunk.to_vec()))
            .filter(account_links::role.eq_any([LinkRole::Owner, LinkRole::JointOwner, LinkRole::Borrower, LinkRole::CoBorrower]))
            .filter(scope::active(today));
        found.extend(of.select(account_links::account_id).load::<AccountId>(&mut conn.db)?);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn load(conn: &mut Conn, ids: &[AccountId]) -> Result<HashMap<AccountId, Account>> {
    let categories: HashMap<AnyId, ProductCategory> = products::table
        .select((products::id, products::category))
        .load::<(AnyId, ProductCategory)>(&mut conn.db)?
        .into_iter()
        .collect();
    let mut found = HashMap::new();
    for chunk in ids.chunks(CHUNK) {
        let rows: Vec<(AccountId, AnyId, Currency, Option<i64>)> = accounts::table
            .filter(accounts::id.eq_any(chunk.to_vec()))
            .select((accounts::id, accounts::product_id, accounts::currency, accounts::balance_minor))
            .load(&mut conn.db)?;
        for (id, product, currency, balance) in rows {
            if let Some((balance, category)) = balance.zip(categories.get(&product).copied()) {
                found.insert(id, Account { balance: Money::new(balance, currency), category });
            }
        }
    }
    Ok(found)
}

/// Each owner's share of each account, and whether the owner belongs to the group.
type Owners = HashMap<AccountId, Vec<(Option<BasisPoints>, bool)>>;

fn owners(conn: &mut Conn, accounts: &[AccountId], group: &HashSet<CustomerId>, today: Date) -> Result<Owners> {
    let mut found: HashMap<AccountId, Vec<(CustomerId, Option<BasisPoints>)>> = HashMap::new();
    for chunk in accounts.chunks(CHUNK) {
        let rows: Vec<(AccountId, CustomerId, Option<BasisPoints>)> = account_links::table
            .filter(account_links::account_id.eq_any(chunk.to_vec()))
            .filter(account_links::role.eq_any([LinkRole::Owner, LinkRole::JointOwner]))
            .filter(scope::active(today))
            .order((account_links::account_id, account_links::id))
            .select((account_links::account_id, account_links::customer_id, account_links::share_bp))
            .load(&mut conn.db)?;
        let living = kehu_customer::scope::living(conn, rows.iter().map(|(_, customer, _)| *customer))?;
        for (account, customer, share) in rows {
            found.entry(account).or_default().push((end(&living, customer), share));
        }
    }
    let shares = |owners: Vec<(CustomerId, Option<BasisPoints>)>| {
        once_each(owners.into_iter()).map(|(owner, share)| (share, group.contains(&owner))).collect()
    };
    Ok(found.into_iter().map(|(account, owners)| (account, shares(owners))).collect())
}

fn sum(accounts: &HashMap<AccountId, Account>, owners: &Owners) -> Vec<GroupTotal> {
    let mut sums: BTreeMap<Currency, (i64, [i64; 4])> = BTreeMap::new();
    for (id, account) in accounts {
        let amount = match (account.category, owners.get(id)) {
            (Loan, _) => account.balance.amount_minor,
            (_, Some(owners)) => {
                let shares: Vec<Option<BasisPoints>> = owners.iter().map(|(share, _)| *share).collect();
                let parts = split(account.balance.amount_minor, &shares);
                parts.iter().zip(owners).filter(|(_, (_, ours))| *ours).map(|(part, _)| part).sum()
            }
            // Somebody of the group is named as its debtor, but nobody of the group owns it.
            (_, None) => continue,
        };
        let (number, [deposits, loans, cards, others]) = sums.entry(account.balance.currency).or_default();
        *number += 1;
        let place = match account.category {
            Deposit => deposits,
            Loan => loans,
            Card => cards,
            _ => others,
        };
        *place = place.saturating_add(amount);
    }
    let total = |(currency, (account_count, [deposits, loans, cards, others])): (Currency, (i64, [i64; 4]))| GroupTotal {
        account_count,
        deposits: Money::new(deposits, currency),
        loans: Money::new(loans, currency),
        cards: Money::new(cards, currency),
        others: Money::new(others, currency),
    };
    sums.into_iter().map(total).collect()
}
