//! `/v1/customers/{id}/view`: one answer for one screen, made of what several crates know.

use actix_web::{get, web::Data};
use kehu_account_link::{
    portfolio::{CustomerAccount, CustomerAccounts},
    standing_order::StandingOrder,
    transaction::Transaction,
    view as account_view,
};
use kehu_customer::{
    Customer, CustomerId, present,
    view::{self as customer_view, CustomerProfileView, Perspective, ViewQuery},
};
use kehu_kernel::{Actor, Conn, Instant, Result, Store};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    extract::{Caller, Path, Query},
    reply::{Answer, Reply},
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_customer_view);
}

/// A customer on one screen. Lists are bounded, each with its count; a section that the perspective does not show, or
/// that the caller has no right to, is null.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerView {
    /// For whom the view was made.
    pub perspective: Perspective,
    /// The moment of the view.
    pub as_of: Instant,
    /// Profile with age, masked identities, contact points, relations in short.
    pub profile: CustomerProfileView,
    /// Accounts other than loans and cards by branch, with the customer's roles, balances and totals; null without
    /// `account.read`.
    pub accounts: Option<CustomerAccounts>,
    /// Loans; null without `account.read`.
    #[schema(max_items = 20)]
    pub loans: Option<Vec<CustomerAccount>>,
    /// How many loans.
    #[schema(minimum = 0)]
    pub loan_count: Option<i64>,
    /// Cards; null without `account.read`.
    #[schema(max_items = 20)]
    pub cards: Option<Vec<CustomerAccount>>,
    /// How many cards.
    #[schema(minimum = 0)]
    pub card_count: Option<i64>,
    /// The latest standing orders of all accounts; null in the marketing perspective and for callers who may not see
    /// amounts.
    #[schema(max_items = 20)]
    pub standing_orders: Option<Vec<StandingOrder>>,
    /// How many standing orders.
    #[schema(minimum = 0)]
    pub standing_order_count: Option<i64>,
    /// The latest transactions of all accounts; null in the marketing perspective and for callers who may not see amounts.
    #[schema(max_items = 20)]
    pub transactions: Option<Vec<Transaction>>,
    /// How many transactions.
    #[schema(minimum = 0)]
    pub transaction_count: Option<i64>,
}

/// Get the view of a customer
///
/// Everything that one screen needs, in one call: profile, accounts by branch with totals, loans, cards, the latest
/// transactions, relations. The perspective and the caller's rights decide which sections are there. Sensitive fields of
/// the profile are shown, and that recorded, as in `get_customer`.
#[utoipa::path(tag = "customers", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ViewQuery),
    responses((status = 200, description = "The view", body = CustomerView)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/view")]
async fn get_customer_view(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: Query<ViewQuery>,
) -> Answer<CustomerView> {
    let perspective = query.0.perspective_for(&caller)?;
    let view = if present::shows_sensitive(&caller) {
        let work = move |tx: &mut kehu_kernel::Tx<'_>| {
            let profile = customer_view::disclose_profile(tx, &caller, id.0, perspective)?;
            compose(tx, &caller, profile, perspective)
        };
        store.write(work).await?
    } else {
        let work = move |conn: &mut Conn| {
            let profile = customer_view::profile(conn, &caller, id.0, perspective)?;
            compose(conn, &caller, profile, perspective)
        };
        store.read(work).await?
    };
    Ok(Reply::ok(view))
}

fn compose(conn: &mut Conn, actor: &Actor, profile: CustomerProfileView, perspective: Perspective) -> Result<CustomerView> {
    let with_movements = perspective != Perspective::Marketing;
    let held = account_view::accounts(conn, actor, profile.customer.id, with_movements)?;
    let mut view = CustomerView {
        perspective,
        as_of: conn.now,
        profile,
        accounts: None,
        loans: None,
        loan_count: None,
        cards: None,
        card_count: None,
        standing_orders: None,
        standing_order_count: None,
        transactions: None,
        transaction_count: None,
    };
    if let Some(held) = held {
        view.accounts = Some(held.accounts);
        (view.loans, view.loan_count) = (Some(held.loans), Some(held.loan_count));
        (view.cards, view.card_count) = (Some(held.cards), Some(held.card_count));
        if let Some(moves) = held.movements {
            (view.standing_orders, view.standing_order_count) = (Some(moves.standing_orders), Some(moves.standing_order_count));
            (view.transactions, view.transaction_count) = (Some(moves.transactions), Some(moves.transaction_count));
        }
    }
    Ok(view)
}
