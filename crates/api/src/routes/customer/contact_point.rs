//! `/v1/customers/{customer_id}/contact-points`

use actix_web::{get, patch, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    contact_point::{self, ContactPoint, ContactPointEnd, ContactPointId, ContactPointPatch, NewContactPoint},
};
use kehu_kernel::{Page, PageParams, Store};
use serde::Deserialize;

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path, Path2},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_customer_contact_points)
        .service(create_customer_contact_point)
        .service(get_customer_contact_point)
        .service(update_customer_contact_point)
        .service(end_customer_contact_point);
}

/// No filters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfiltered {}

/// List a customer's contact points
///
/// Contact points, ended ones included, oldest first.
#[utoipa::path(tag = "contact-points", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PageParams),
    responses((status = 200, description = "A page of contact points", body = Page<ContactPoint>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/contact-points")]
async fn list_customer_contact_points(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<Unfiltered>,
) -> Answer<Page<ContactPoint>> {
    let page = store.read(move |conn| contact_point::list(conn, &caller, id.0, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record a contact point
///
/// Phone numbers are brought to E.164, e-mail addresses to lower case, full-width digits folded. Several customers may have the same one.
#[utoipa::path(tag = "contact-points", params(("customer_id" = CustomerId, Path, description = "Id of the customer")), request_body = NewContactPoint,
    responses((status = 201, description = "The new contact point", body = ContactPoint)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/contact-points")]
async fn create_customer_contact_point(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<NewContactPoint>,
) -> Answer<ContactPoint> {
    let made = store.write(move |tx| contact_point::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/contact-points/{}", made.customer_id, made.id), made.version, made))
}

/// Get a contact point
///
/// One contact point, ended or not.
#[utoipa::path(tag = "contact-points", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("contact_point_id" = ContactPointId, Path, description = "Id of the contact point")),
    responses((status = 200, description = "The contact point", body = ContactPoint)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/contact-points/{contact_point_id}")]
async fn get_customer_contact_point(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, ContactPoint>,
) -> Answer<ContactPoint> {
    let found = store.glance(move |conn| contact_point::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a contact point
///
/// Changes the given fields (JSON Merge Patch). The value stays: another number is another contact point.
#[utoipa::path(tag = "contact-points", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("contact_point_id" = ContactPointId, Path, description = "Id of the contact point")),
    request_body = ContactPointPatch, responses((status = 200, description = "The changed contact point", body = ContactPoint)), security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}/contact-points/{contact_point_id}")]
async fn update_customer_contact_point(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, ContactPoint>,
    version: IfMatch,
    body: Json<ContactPointPatch>,
) -> Answer<ContactPoint> {
    let changed = store.write(move |tx| contact_point::update(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a contact point
///
/// The contact point stays on record but no longer counts.
#[utoipa::path(tag = "contact-points", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("contact_point_id" = ContactPointId, Path, description = "Id of the contact point"), IfMatchHeader),
    request_body = ContactPointEnd, responses((status = 200, description = "The ended contact point", body = ContactPoint)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/contact-points/{contact_point_id}/end")]
async fn end_customer_contact_point(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, ContactPoint>,
    version: IfMatch,
    body: Json<ContactPointEnd>,
) -> Answer<ContactPoint> {
    let ended = store.write(move |tx| contact_point::end(tx, &caller, ids.0, ids.1, version.0, &body.0)).await?;
    Ok(Reply::versioned(ended.version, ended))
}
