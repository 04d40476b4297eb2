//! The part of a customer's view that has to do with accounts.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{Action, Actor, Conn, Error, Result, access::FieldClass, schema::account_monthly_totals};

use crate::{
    account::{self, Account, AccountId},
    portfolio::{AccountGrouping, CustomerAccount, CustomerAccounts, Held, count},
    product::ProductCategory,
    standing_order::{self, StandingOrder},
    transaction::{self, Transaction},
};

/// How many loans, cards, standing orders and transactions a view shows of each.
pub const SHOWN: usize = 20;

/// The accounts of a customer as a view shows them. Lists are bounded; each comes with its count.
#[derive(Clone, Debug)]
pub struct AccountsView {
    /// Accounts other than loans and cards, by branch.
    pub accounts: CustomerAccounts,
    /// Loans.
    pub loans: Vec<CustomerAccount>,
    /// How many loans.
    pub loan_count: i64,
    /// Cards.
    pub cards: Vec<CustomerAccount>,
    /// How many cards.
    pub card_count: i64,
    /// What moves money; absent for callers who may not see amounts.
    pub movements: Option<Movements>,
}

/// Standing orders and transactions of all accounts together, the latest ones.
#[derive(Clone, Debug)]
pub struct Movements {
    /// Standing orders.
    pub standing_orders: Vec<StandingOrder>,
    /// How many standing orders.
    pub standing_order_count: i64,
    /// Transactions.
    pub transactions: Vec<Transaction>,
    /// How many transactions.
    pub transaction_count: i64,
}

/// The accounts of a customer; nothing for callers who may not read accounts. The caller has checked that
/// the customer is in sight. `with_movements` asks for standing orders and transactions, too.
///
/// # Errors
/// The database's.
pub fn accounts(conn: &mut Conn, actor: &Actor, id: CustomerId, with_movements: bool) -> Result<Option<AccountsView>> {
    match kehu_customer::require(conn, actor, Action::AccountRead, id) {
        Ok(_) => {}
        Err(Error::NotFound | Error::Forbidden(_)) => return Ok(None),
        Err(error) => return Err(error),
    }
    let held = Held::load(conn, id, conn.now.date())?;
    let ids: Vec<AccountId> = held.rows.iter().map(|row| row.id).collect();
    let all = account::present(conn, actor, held.rows.clone())?;
    let (cards, rest): (Vec<Account>, Vec<Account>) =
        all.into_iter().partition(|account| account.category == ProductCategory::Card);
    let (loans, rest): (Vec<Account>, Vec<Account>) =
        rest.into_iter().partition(|account| account.category == ProductCategory::Loan);
    let (loan_count, card_count) = (count(loans.len()), count(cards.len()));
    let some = |accounts: Vec<Account>| accounts.into_iter().take(SHOWN).map(|account| held.entry(actor, account)).collect();
    let (loans, cards) = (some(loans), some(cards));
    let accounts = held.grouped(actor, rest, AccountGrouping::Branch);
    let movements = if with_movements && actor.sees(FieldClass::Internal) { Some(movements(conn, &ids)?) } else { None };
    Ok(Some(AccountsView { accounts, loans, loan_count, cards, card_count, movements }))
}

fn movements(conn: &mut Conn, ids: &[AccountId]) -> Result<Movements> {
    // A corporate customer with thousands of accounts gets those of the first thousand here.
    let ids = ids.get(..1_000).unwrap_or(ids);
    let shown = i64::try_from(SHOWN).unwrap_or(0);
    let orders = standing_order::of_accounts(conn, ids, shown)?;
    let transactions = transaction::latest(conn, ids, shown)?;
    let counts: Vec<(i64, i64)> = account_monthly_totals::table
        .filter(account_monthly_totals::account_id.eq_any(ids))
        .select((account_monthly_totals::credit_count, account_monthly_totals::debit_count))
        .load(&mut conn.db)?;
    Ok(Movements {
        standing_orders: orders.items,
        standing_order_count: orders.total.unwrap_or(0),
        transactions,
        transaction_count: counts.into_iter().map(|(credits, debits)| credits + debits).sum(),
    })
}
