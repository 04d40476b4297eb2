//! `/v1/data-quality` and `/v1/customers/{customer_id}/data-quality`

use actix_web::{get, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    review::{self, CustomerDataQuality, CustomerReview, DoubtFilter, DoubtfulProfile},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations below a customer.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(explain_data_quality).service(review_customer);
}

/// The work list.
pub fn configure_list(config: &mut ServiceConfig<'_>) {
    config.service(list_doubtful_profiles);
}

/// List doubtful profiles
///
/// The work list of data quality: profiles within the caller's reach that are stale (not reviewed in time, not changed for
/// long) or doubtful (a low score, documents that failed or expired, contradictions), the worst score first, each with all its
/// reasons.
#[utoipa::path(tag = "data-quality", params(DoubtFilter, PageParams),
    responses((status = 200, description = "A page of profiles", body = Page<DoubtfulProfile>)),
    security(("bearer" = ["customer.read"])))]
#[get("/profiles")]
async fn list_doubtful_profiles(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<DoubtFilter>,
) -> Answer<Page<DoubtfulProfile>> {
    let page = store.read(move |conn| review::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Explain the data quality of a customer
///
/// Why the score is what it is: which fields are filled and what they weigh, how far identities and contact points are
/// verified, which checks of facts against each other hold; and what is to be done about it.
#[utoipa::path(tag = "data-quality", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The score and its explanation", body = CustomerDataQuality)),
    security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/data-quality")]
async fn explain_data_quality(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CustomerDataQuality> {
    let found = store.read(move |conn| review::explain(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// Mark a customer as reviewed
///
/// Somebody has checked the profile with the customer: it is no longer stale, and due again on the given day, otherwise in
/// two years, for organisations and doubtful profiles in one. Who did so and when is kept as an event.
#[utoipa::path(tag = "data-quality", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), IfMatchHeader),
    request_body = CustomerReview, responses((status = 200, description = "The customer as it is now", body = Customer)),
    security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/review")]
async fn review_customer(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<CustomerReview>,
) -> Answer<Customer> {
    let reviewed = store.write(move |tx| review::review(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(reviewed.version, reviewed))
}
