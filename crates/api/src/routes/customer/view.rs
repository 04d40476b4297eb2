//! `/v1/customers/{id}/view`: one answer for one screen, made of what several crates know.

use actix_web::{get, web::Data};
use kehu_account_link::{
    portfolio::{CustomerAccount, CustomerAccounts},
    standing_order::StandingOrder,
    transaction::Transaction,
    view as account_view,
};
use kehu_customer::{
    Customer, CustomerAlert, CustomerId, present,
    timeline::{self, TimelineEntry},
    view::{self as customer_view, CustomerProfileView, Perspective, Section, Sections, ViewQuery, alert},
};
use kehu_kernel::{Actor, Conn, Instant, Result, Store};
use kehu_organization::assignment::{self, Assignment};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    extract::{Caller, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// How many entries of the timeline a view shows.
const LATEST: i64 = 10;

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_customer_view);
}

/// A customer on one screen. Lists are bounded, each with its count; a section that the perspective does not show, or
/// that the caller has no right to, is null. All of it was true at one and the same moment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerView {
    /// For whom the view was made.
    pub perspective: Perspective,
    /// The moment of the view.
    pub as_of: Instant,
    /// Profile with age, masked identities, contact points, relations in short, tags, consents, contact persons.
    pub profile: CustomerProfileView,
    /// What needs attention, the most urgent first. Customers are told of their documents and loans only.
    #[schema(max_items = 50)]
    pub alerts: Vec<CustomerAlert>,
    /// How many alerts.
    #[schema(minimum = 0)]
    pub alert_count: i64,
    /// Who looks after the customer now; null in the customer's own perspective and without `assignment.read`.
    #[schema(max_items = 20)]
    pub coverage: Option<Vec<Assignment>>,
    /// How many people look after the customer.
    #[schema(minimum = 0)]
    pub coverage_count: Option<i64>,
    /// How many records were merged into this one; null in the customer's own perspective.
    #[schema(minimum = 0)]
    pub merged_record_count: Option<i64>,
    /// How many records within the caller's reach wait for the decision whether they are this customer, too, without those
    /// that were put off; null in the marketing perspective and in the customer's own, and without `customer.match`.
    #[schema(minimum = 0)]
    pub open_duplicate_count: Option<i64>,
    /// The latest ten entries of the timeline, as `get_customer_timeline` pages through it; null in the marketing
    /// perspective.
    #[schema(max_items = 10)]
    pub timeline: Option<Vec<TimelineEntry>>,
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
/// Everything that one screen needs, in one call. The perspective and the caller's rights decide which sections are there;
/// the others are null. Lists are bounded, each with its count, and all of the answer was true at one and the same moment.
/// Sensitive fields of the profile are shown, and that recorded, as in `get_customer`. Customers get the perspective
/// `self` and no other; staff who ask for it see what the customer sees. That data may not be erased for a legal reason is
/// told to those who may manage that: `privacy.manage`.
///
/// | section | right | teller | agent | rm | marketing | risk | self |
/// |---|---|---|---|---|---|---|---|
/// | `profile` | `customer.read` | yes | yes | yes | yes | yes | yes |
/// | `identities` | `customer.read` | yes | yes | yes | - | yes | yes |
/// | `contact_points` | `customer.read` | yes | yes | yes | yes | yes | yes |
/// | `relations` | `customer.read` | yes | yes | yes | yes | yes | - |
/// | `tags` | `customer.read` | yes | yes | yes | yes | yes | - |
/// | `consents` | `customer.read` | yes | yes | yes | yes | yes | yes |
/// | `contact_persons` | `customer.read` | yes | yes | yes | yes | yes | - |
/// | `alerts` | `customer.read` | yes | yes | yes | yes | yes | yes |
/// | `coverage` | `assignment.read` | yes | yes | yes | yes | yes | - |
/// | `merged_record_count` | `customer.read` | yes | yes | yes | yes | yes | - |
/// | `open_duplicate_count` | `customer.match` | yes | yes | yes | - | yes | - |
/// | `timeline` | `customer.read` | yes | yes | yes | - | yes | yes |
/// | `accounts` | `account.read` | yes | yes | yes | yes | yes | yes |
/// | `loans` | `account.read` | yes | yes | yes | yes | yes | yes |
/// | `cards` | `account.read` | yes | yes | yes | yes | yes | yes |
/// | `standing_orders` | `account.read` | yes | yes | yes | - | yes | yes |
/// | `transactions` | `account.read` | yes | yes | yes | - | yes | yes |
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
    // Customers are shown nothing sensitive, so neither is who looks at what they see.
    let sensitive = present::shows_sensitive(&caller) && perspective != Perspective::Itself;
    let actor = caller.0.clone();
    let view = store.snapshot(move |conn| compose(conn, &actor, id.0, perspective, sensitive)).await?;
    if sensitive {
        // Recorded after it was read and before it is shown: a snapshot cannot be written in.
        store.write(move |tx| present::record_disclosure(tx, &caller, id.0)).await?;
    }
    Ok(Reply::ok(view))
}

/// The view of a customer; whoever asks for sensitive fields takes care that this is recorded.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`] when the customer is out of sight.
pub fn compose(
    conn: &mut Conn,
    actor: &Actor,
    id: CustomerId,
    perspective: Perspective,
    sensitive: bool,
) -> Result<CustomerView> {
    let subject = customer_view::subject(conn, actor, id)?;
    let sections = Sections::of(conn, actor, id, perspective)?;
    let own = customer_view::of(conn, actor, subject, &sections, sensitive)?;
    let merged = i64::try_from(own.lineage.len()).unwrap_or(i64::MAX).saturating_sub(1);
    let mut view = CustomerView {
        perspective,
        as_of: conn.now,
        profile: own.profile,
        alerts: own.alerts,
        alert_count: 0,
        coverage: None,
        coverage_count: None,
        merged_record_count: sections.shows(Section::MergedRecords).then_some(merged),
        open_duplicate_count: own.open_duplicate_count,
        timeline: None,
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
    if sections.shows(Section::Coverage) {
        let (shown, count) = assignment::of_customer(conn, id, customer_view::SHOWN)?;
        (view.coverage, view.coverage_count) = (Some(shown), Some(count));
    }
    let mut spans = Vec::new();
    if sections.shows(Section::Accounts) {
        let with_movements = sections.shows(Section::Transactions);
        let mut held = account_view::accounts(conn, actor, own.lineage.clone(), with_movements)?;
        view.alerts.append(&mut held.alerts);
        spans = std::mem::take(&mut held.spans);
        view.add_accounts(held);
    }
    if sections.shows(Section::Timeline) {
        view.timeline = Some(timeline::latest(conn, actor, &own.lineage, spans, &sections, LATEST)?);
    }
    (view.alerts, view.alert_count) = alert::arranged(view.alerts, sections.for_customer(actor));
    Ok(view)
}

impl CustomerView {
    fn add_accounts(&mut self, held: account_view::AccountsView) {
        self.accounts = Some(held.accounts);
        (self.loans, self.loan_count) = (Some(held.loans), Some(held.loan_count));
        (self.cards, self.card_count) = (Some(held.cards), Some(held.card_count));
        if let Some(moves) = held.movements {
            (self.standing_orders, self.standing_order_count) = (Some(moves.standing_orders), Some(moves.standing_order_count));
            (self.transactions, self.transaction_count) = (Some(moves.transactions), Some(moves.transaction_count));
        }
    }
}
