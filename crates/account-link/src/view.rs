//! The part of a customer's view that has to do with accounts.

use kehu_customer::{
    CustomerId,
    timeline::AccountSpan,
    view::alert::{AlertKind, CustomerAlert},
};
use kehu_kernel::{Actor, Conn, Date, Reference, Result, access::FieldClass, page::counted};

use crate::{
    account::{Account, AccountId, RepaymentState},
    portfolio::{AccountGrouping, CustomerAccount, CustomerAccounts, Held, count},
    product::ProductCategory,
    standing_order::{self, StandingOrder},
    timeline::united,
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
    /// What needs attention about the accounts.
    pub alerts: Vec<CustomerAlert>,
    /// When each account was the customer's, for the timeline.
    pub spans: Vec<AccountSpan>,
}

/// Standing orders and transactions of all accounts together, the latest ones.
#[derive(Clone, Debug, Default)]
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

/// The accounts of a customer and of the records that it has absorbed, `records`, it first; the caller has checked the right to
/// see them. `with_movements` asks for standing orders and transactions, too.
///
/// # Errors
/// The database's.
pub fn accounts(conn: &mut Conn, actor: &Actor, records: Vec<CustomerId>, with_movements: bool) -> Result<AccountsView> {
    let today = conn.now.date();
    let (held, all) = Held::load(conn, actor, records, today)?;
    let moving = with_movements && actor.sees(FieldClass::Internal);
    let movements = if moving { Some(movements(conn, &held.records, &all, today)?) } else { None };
    let (cards, rest): (Vec<Account>, Vec<Account>) =
        all.into_iter().partition(|account| account.category == ProductCategory::Card);
    let (loans, rest): (Vec<Account>, Vec<Account>) =
        rest.into_iter().partition(|account| account.category == ProductCategory::Loan);
    let alerts = loans.iter().filter_map(alert).collect();
    let (loan_count, card_count) = (count(loans.len()), count(cards.len()));
    let some = |accounts: Vec<Account>| accounts.into_iter().take(SHOWN).map(|account| held.entry(actor, account)).collect();
    let (loans, cards) = (some(loans), some(cards));
    let accounts = held.grouped(actor, rest, AccountGrouping::Branch);
    let mut links: Vec<_> = held.links_ever.iter().map(|link| (link.account_id, link.valid_from, link.valid_to)).collect();
    links.sort_unstable();
    let spans = united(links);
    Ok(AccountsView { accounts, loans, loan_count, cards, card_count, movements, alerts, spans })
}

/// What needs attention about a loan; nothing for callers who are not shown how it is being repaid.
fn alert(account: &Account) -> Option<CustomerAlert> {
    let loan = account.loan.as_ref()?;
    let fails = matches!(loan.repayment_state, RepaymentState::Overdue | RepaymentState::Defaulted);
    let about = Reference::new(account.id, account.number.clone());
    fails.then(|| CustomerAlert::new(AlertKind::LoanOverdue, None).about(about))
}

fn movements(conn: &mut Conn, records: &[CustomerId], accounts: &[Account], today: Date) -> Result<Movements> {
    if accounts.is_empty() {
        return Ok(Movements::default());
    }
    let shown = count(SHOWN);
    let (standing_orders, standing_order_count) = standing_order::of_customer(conn, records, today, accounts, shown)?;
    // A corporate customer with thousands of accounts gets the transactions of the first thousand here.
    let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).take(1_000).collect();
    let latest = transaction::latest(conn, &ids, shown + 1)?;
    let all: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let (transactions, transaction_count) =
        counted(latest, shown, || transaction::count_of_customer(conn, records, today, &all))?;
    Ok(Movements { standing_orders, standing_order_count, transactions, transaction_count })
}
