//! `/v1/customers/{customer_id}/identities`

use actix_web::{get, patch, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    identity::{self, Identity, IdentityEnd, IdentityId, IdentityPatch, IdentityReveal, NewIdentity, RevealedIdentity},
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
        .service(list_customer_identities)
        .service(create_customer_identity)
        .service(get_customer_identity)
        .service(update_customer_identity)
        .service(end_customer_identity)
        .service(reveal_identity);
}

/// No filters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfiltered {}

/// List a customer's identities
///
/// Identity documents, ended ones included, oldest first. Numbers are masked.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PageParams),
    responses((status = 200, description = "A page of identities", body = Page<Identity>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/identities")]
async fn list_customer_identities(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<Unfiltered>,
) -> Answer<Page<Identity>> {
    let page = store.read(move |conn| identity::list(conn, &caller, id.0, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record an identity document
///
/// The number is checked by the rules of its type, encrypted, and shown masked from then on.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer")), request_body = NewIdentity,
    responses((status = 201, description = "The new identity document", body = Identity)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/identities")]
async fn create_customer_identity(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<NewIdentity>,
) -> Answer<Identity> {
    let made = store.write(move |tx| identity::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/identities/{}", made.customer_id, made.id), made.version, made))
}

/// Get an identity document
///
/// One document, ended or not. The number is masked.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("identity_id" = IdentityId, Path, description = "Id of the identity document")),
    responses((status = 200, description = "The identity document", body = Identity)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/identities/{identity_id}")]
async fn get_customer_identity(caller: Caller, store: Data<Store>, ids: Path2<Customer, Identity>) -> Answer<Identity> {
    let found = store.glance(move |conn| identity::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update an identity document
///
/// Changes the given fields (JSON Merge Patch). The number stays: another number is another document.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("identity_id" = IdentityId, Path, description = "Id of the identity document")),
    request_body = IdentityPatch, responses((status = 200, description = "The changed identity document", body = Identity)), security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}/identities/{identity_id}")]
async fn update_customer_identity(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, Identity>,
    version: IfMatch,
    body: Json<IdentityPatch>,
) -> Answer<Identity> {
    let changed = store.write(move |tx| identity::update(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End an identity document
///
/// The document stays on record but no longer counts.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("identity_id" = IdentityId, Path, description = "Id of the identity document"), IfMatchHeader),
    request_body = IdentityEnd, responses((status = 200, description = "The ended identity document", body = Identity)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/identities/{identity_id}/end")]
async fn end_customer_identity(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, Identity>,
    version: IfMatch,
    body: Json<IdentityEnd>,
) -> Answer<Identity> {
    let ended = store.write(move |tx| identity::end(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// Reveal an identity number
///
/// The number of a document in full. The caller, the purpose and the moment are recorded in the access log.
#[utoipa::path(tag = "identities", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("identity_id" = IdentityId, Path, description = "Id of the identity document")),
    request_body = IdentityReveal, responses((status = 200, description = "The number in full", body = RevealedIdentity)),
    security(("bearer" = ["customer.reveal"])))]
#[post("/{customer_id}/identities/{identity_id}/reveal")]
async fn reveal_identity(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, Identity>,
    body: Json<IdentityReveal>,
) -> Answer<RevealedIdentity> {
    let shown = store.write(move |tx| identity::reveal(tx, &caller, ids.0, ids.1, body.0.clone())).await?;
    Ok(Reply::ok(shown))
}
