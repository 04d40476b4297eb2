//! `/v1/accounts` and `/v1/account-totals`

use actix_web::{get, post, web::Data};
use kehu_account_link::{
    account::{self, Account, AccountFilter, AccountId, AccountNumber, AccountUpsert},
    balance::{self, AccountBalance, BalanceFilter},
    link::{self, AccountHolder, AsOf},
    report::{self, AccountTotals, TotalsQuery},
    statement::{self, AccountStatement, StatementQuery},
    transaction::{self, Transaction, TransactionFilter},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, Json, ListQuery, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations below `/accounts`.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_accounts)
        .service(upsert_account)
        .service(get_account)
        .service(reveal_account_number)
        .service(list_account_balances)
        .service(list_account_transactions)
        .service(get_account_statement)
        .service(list_account_customers);
}

/// The operation at `/account-totals`.
pub fn configure_totals(config: &mut ServiceConfig<'_>) {
    config.service(get_account_totals);
}

/// List accounts
///
/// The accounts within the caller's reach: those that a branch within reach keeps, and those that a customer within
/// reach is linked to today. Loans, cards and holdings are accounts of their own.
#[utoipa::path(tag = "accounts", params(AccountFilter, PageParams),
    responses((status = 200, description = "A page of accounts", body = Page<Account>)), security(("bearer" = ["account.read"])))]
#[get("")]
async fn list_accounts(caller: Caller, store: Data<Store>, query: ListQuery<AccountFilter>) -> Answer<Page<Account>> {
    let page = store.read(move |conn| account::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create or replace an account
///
/// Mirrors an account of a source system: it is created when its number is new there, else replaced as a whole, but for
/// a balance that is not given. Transactions that waited for it attach to it.
#[utoipa::path(tag = "accounts", request_body = AccountUpsert,
    responses((status = 200, description = "The account as it is now", body = Account)), security(("bearer" = ["account.write"])))]
#[post("")]
async fn upsert_account(caller: Caller, store: Data<Store>, body: Json<AccountUpsert>) -> Answer<Account> {
    let account = store.write(move |tx| account::upsert(tx, &caller, &body.0)).await?;
    Ok(Reply::versioned(account.version, account))
}

/// Get an account
///
/// One account with the facts of its kind. Its number is masked.
#[utoipa::path(tag = "accounts", params(("account_id" = AccountId, Path, description = "Id of the account")),
    responses((status = 200, description = "The account", body = Account)), security(("bearer" = ["account.read"])))]
#[get("/{account_id}")]
async fn get_account(caller: Caller, store: Data<Store>, id: Path<Account>) -> Answer<Account> {
    let found = store.glance(move |conn| account::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Reveal an account number
///
/// Shows the number of the account in full and records who saw it, with the purpose of `X-Purpose`.
#[utoipa::path(tag = "accounts", params(("account_id" = AccountId, Path, description = "Id of the account")),
    responses((status = 200, description = "The number in full", body = AccountNumber)), security(("bearer" = ["customer.reveal"])))]
#[post("/{account_id}/reveal")]
async fn reveal_account_number(caller: Caller, store: Data<Store>, id: Path<Account>) -> Answer<AccountNumber> {
    let number = store.write(move |tx| account::reveal_number(tx, &caller, id.0)).await?;
    Ok(Reply::ok(number))
}

/// List balances
///
/// The balances of the account at the end of days, as its source told them; the latest day first.
#[utoipa::path(tag = "accounts", params(("account_id" = AccountId, Path, description = "Id of the account"), BalanceFilter, PageParams),
    responses((status = 200, description = "A page of balances", body = Page<AccountBalance>)), security(("bearer" = ["account.read"])))]
#[get("/{account_id}/balances")]
async fn list_account_balances(
    caller: Caller,
    store: Data<Store>,
    id: Path<Account>,
    query: ListQuery<BalanceFilter>,
) -> Answer<Page<AccountBalance>> {
    let page = store.read(move |conn| balance::list(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// List transactions
///
/// The transactions of the account, the latest first.
#[utoipa::path(tag = "transactions", params(("account_id" = AccountId, Path, description = "Id of the account"), TransactionFilter, PageParams),
    responses((status = 200, description = "A page of transactions", body = Page<Transaction>)), security(("bearer" = ["account.read"])))]
#[get("/{account_id}/transactions")]
async fn list_account_transactions(
    caller: Caller,
    store: Data<Store>,
    id: Path<Account>,
    query: ListQuery<TransactionFilter>,
) -> Answer<Page<Transaction>> {
    let page = store.read(move |conn| transaction::list(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get a statement
///
/// What came in and went out by month or day, with cumulated opening and closing amounts. Answered from sums that are
/// kept with every booking, however many transactions there are.
#[utoipa::path(tag = "accounts", params(("account_id" = AccountId, Path, description = "Id of the account"), StatementQuery),
    responses((status = 200, description = "The statement", body = AccountStatement)), security(("bearer" = ["account.read"])))]
#[get("/{account_id}/statement")]
async fn get_account_statement(
    caller: Caller,
    store: Data<Store>,
    id: Path<Account>,
    query: Query<StatementQuery>,
) -> Answer<AccountStatement> {
    let found = store.read(move |conn| statement::get(conn, &caller, id.0, &query.0)).await?;
    Ok(Reply::ok(found))
}

/// List the customers of an account
///
/// Who is what to this account on a day, each customer with all its roles.
#[utoipa::path(tag = "accounts", params(("account_id" = AccountId, Path, description = "Id of the account"), AsOf, PageParams),
    responses((status = 200, description = "A page of customers", body = Page<AccountHolder>)), security(("bearer" = ["account.read"])))]
#[get("/{account_id}/customers")]
async fn list_account_customers(
    caller: Caller,
    store: Data<Store>,
    id: Path<Account>,
    query: ListQuery<AsOf>,
) -> Answer<Page<AccountHolder>> {
    let page = store.read(move |conn| link::holders(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get totals of accounts
///
/// Cumulated amounts of all transactions up to the end of a day over all accounts within the caller's reach, one line
/// a currency. Answered from sums that are kept with every booking.
#[utoipa::path(tag = "accounts", params(TotalsQuery),
    responses((status = 200, description = "The totals", body = AccountTotals)), security(("bearer" = ["account.read"])))]
#[get("")]
async fn get_account_totals(caller: Caller, store: Data<Store>, query: Query<TotalsQuery>) -> Answer<AccountTotals> {
    let found = store.batch().read(move |conn| report::totals(conn, &caller, &query.0)).await?;
    Ok(Reply::ok(found))
}
