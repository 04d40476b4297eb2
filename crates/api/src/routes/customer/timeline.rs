//! `/v1/customers/{id}/timeline`: all that happened to a customer and to its accounts.

use actix_web::{get, web::Data};
use kehu_account_link::timeline::spans;
use kehu_customer::{
    Customer, CustomerId,
    timeline::{self, TimelineEntry, TimelineFilter},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_customer_timeline);
}

/// Get a customer's timeline
///
/// All that happened to the customer, newest first: to the record itself and to those that were merged into it, to its
/// identities, contact points and relations, to the links with its accounts, and to those accounts while they were the
/// customer's. Made of the events of the change feed. Each entry is of one kind, by which the list can be filtered.
///
/// What has to do with accounts is shown to whoever has `account.read`, who looks after the customer to whoever has
/// `assignment.read`. A customer sees of itself what happened to its record, its identities, its contact points and its
/// accounts, and no names of people who work for the bank; what the bank keeps for itself is not there. Up to 10,000 entries
/// are counted: of more, `total` is null.
#[utoipa::path(tag = "customers",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"), TimelineFilter, PageParams),
    responses((status = 200, description = "A page of the timeline", body = Page<TimelineEntry>)),
    security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/timeline")]
async fn get_customer_timeline(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<TimelineFilter>,
) -> Answer<Page<TimelineEntry>> {
    let work = move |conn: &mut kehu_kernel::Conn| {
        timeline::list(conn, &caller, id.0, |conn| spans(conn, id.0), &query.filter, &query.page)
    };
    Ok(Reply::ok(store.read(work).await?))
}
