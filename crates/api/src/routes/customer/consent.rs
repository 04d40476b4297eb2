//! `/v1/customers/{customer_id}/consents`

use actix_web::{get, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    consent::{self, Consent, ConsentFilter, ConsentId, CurrentConsents, NewConsent},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, Json, ListQuery, Path, Path2},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    // The present consents come first: `current` is no id.
    config
        .service(list_customer_consents)
        .service(create_customer_consent)
        .service(get_current_consents)
        .service(get_customer_consent);
}

/// List a customer's consents
///
/// Everything that the customer has said about the use of its data, in the order in which it was recorded.
#[utoipa::path(tag = "consents", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ConsentFilter, PageParams),
    responses((status = 200, description = "A page of consent events", body = Page<Consent>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/consents")]
async fn list_customer_consents(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<ConsentFilter>,
) -> Answer<Page<Consent>> {
    let page = store.read(move |conn| consent::list(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record a consent
///
/// What a customer grants, refuses or withdraws, for a purpose and a channel. Nothing is ever changed: a later word counts instead of
/// an earlier one. Customers do this for themselves.
#[utoipa::path(tag = "consents", params(("customer_id" = CustomerId, Path, description = "Id of the customer")), request_body = NewConsent,
    responses((status = 201, description = "The recorded event", body = Consent)), security(("bearer" = ["consent.write"])))]
#[post("/{customer_id}/consents")]
async fn create_customer_consent(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<NewConsent>,
) -> Answer<Consent> {
    let made = store.write(move |tx| consent::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/consents/{}", made.customer_id, made.id), 1, made))
}

/// Get a consent
///
/// One event. Events are never changed, so the version is always 1.
#[utoipa::path(tag = "consents", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("consent_id" = ConsentId, Path, description = "Id of the consent event")),
    responses((status = 200, description = "The consent event", body = Consent)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/consents/{consent_id}")]
async fn get_customer_consent(caller: Caller, store: Data<Store>, ids: Path2<Customer, Consent>) -> Answer<Consent> {
    let found = store.glance(move |conn| consent::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(1, found))
}

/// Get a customer's present consents
///
/// What holds now by purpose and channel: the latest word on the channel, else the latest on `any`. A refusal or withdrawal on `any`
/// also ends what was granted on single channels before; a grant on `any` opens none that was closed by itself.
#[utoipa::path(tag = "consents", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "What holds now", body = CurrentConsents)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/consents/current")]
async fn get_current_consents(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CurrentConsents> {
    let found = store.read(move |conn| consent::current(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}
