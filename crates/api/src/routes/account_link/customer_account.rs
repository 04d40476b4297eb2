//! `/v1/customers/{id}/accounts`

use actix_web::{get, web::Data};
use kehu_account_link::portfolio::{self, CustomerAccounts, PortfolioQuery};
use kehu_customer::{Customer, CustomerId};
use kehu_kernel::Store;

use crate::{
    extract::{Caller, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_customer_accounts);
}

/// List the accounts of a customer
///
/// All accounts that the customer is linked to, grouped by branch, product or currency, with totals a currency and the
/// customer's own part of them. Whoever may see the customer sees all its accounts, whichever branch keeps them.
#[utoipa::path(tag = "accounts", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PortfolioQuery),
    responses((status = 200, description = "The accounts of the customer", body = CustomerAccounts)),
    security(("bearer" = ["account.read"])))]
#[get("/{customer_id}/accounts")]
async fn list_customer_accounts(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: Query<PortfolioQuery>,
) -> Answer<CustomerAccounts> {
    let found = store.read(move |conn| portfolio::of_customer(conn, &caller, id.0, &query.0)).await?;
    Ok(Reply::ok(found))
}
