//! `/v1/account-due-dates`

use actix_web::{get, web::Data};
use kehu_account_link::account::due::{self, AccountDueDate, DueFilter};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, ListQuery},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_account_due_dates);
}

/// List due dates of accounts
///
/// What falls due on accounts within the caller's reach, the earliest day first: maturities, repayments and dividends of
/// the next thirty days, or of the days that are given, of all accounts, of one portfolio or of one customer. Closed
/// accounts are left out.
#[utoipa::path(tag = "accounts", params(DueFilter, PageParams),
    responses((status = 200, description = "A page of due dates", body = Page<AccountDueDate>)), security(("bearer" = ["account.read"])))]
#[get("")]
async fn list_account_due_dates(caller: Caller, store: Data<Store>, query: ListQuery<DueFilter>) -> Answer<Page<AccountDueDate>> {
    let page = store.read(move |conn| due::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}
