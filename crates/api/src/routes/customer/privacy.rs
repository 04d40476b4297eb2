//! `/v1/customers/{customer_id}/privacy`, `…/legal-holds` and `/v1/privacy-exports`

use actix_web::{get, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    privacy::{
        self, CustomerErasure, ErasureRequest, LegalHold, LegalHoldFilter, LegalHoldId, LegalHoldRelease, NewLegalHold,
        PrivacyExport, PrivacyExportContent, PrivacyExportId,
    },
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    belonging::REGISTRY,
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Nothing, Path, Path2},
    idempotency,
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations below a customer.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(export_customer_data)
        .service(list_privacy_exports)
        .service(erase_customer)
        .service(get_customer_erasure)
        .service(list_legal_holds)
        .service(place_legal_hold)
        .service(get_legal_hold)
        .service(release_legal_hold);
}

/// The operations on exports.
pub fn configure_exports(config: &mut ServiceConfig<'_>) {
    config.service(get_privacy_export).service(get_privacy_export_content);
}

/// Export all that is held about a customer
///
/// Gathers everything that is held about the customer and about the records that merges have made part of it, in the
/// background. Follow it by its job or by `get_privacy_export`; when it is ready, `get_privacy_export_content` hands it out
/// for seven days. Needs a purpose in `X-Purpose`, and a role that shows sensitive and secret fields, for all of them are in
/// it. Customers may ask for their own without either, with `customer.read`. Who asks again while the export is being made, or
/// within a day, gets the same one.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 202, description = "The export, about to be made", body = PrivacyExport)),
    security(("bearer" = ["privacy.manage"])))]
#[post("/{customer_id}/privacy/export")]
async fn export_customer_data(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<PrivacyExport> {
    let asked = store.write(move |tx| privacy::export(tx, &caller, id.0)).await?;
    Ok(Reply::accepted(format!("/v1/privacy-exports/{}", asked.id), asked))
}

/// List the exports of a customer
///
/// Exports of all that was held about the customer, the newest first; also those whose content has expired. Customers see those that
/// they have asked for.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PageParams),
    responses((status = 200, description = "A page of exports", body = Page<PrivacyExport>)),
    security(("bearer" = ["privacy.manage"])))]
#[get("/{customer_id}/privacy-exports")]
async fn list_privacy_exports(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<Nothing>,
) -> Answer<Page<PrivacyExport>> {
    let page = store.read(move |conn| privacy::list(conn, &caller, id.0, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get an export
///
/// Where an export stands. Customers see those that they have asked for.
#[utoipa::path(tag = "privacy", params(("export_id" = PrivacyExportId, Path, description = "Id of the export")),
    responses((status = 200, description = "The export", body = PrivacyExport)), security(("bearer" = ["privacy.manage"])))]
#[get("/{export_id}")]
async fn get_privacy_export(caller: Caller, store: Data<Store>, id: Path<PrivacyExport>) -> Answer<PrivacyExport> {
    let found = store.glance(move |conn| privacy::get(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// Get the content of an export
///
/// Everything that was held about the customer, identity and account numbers in full, and what is left out with the reason.
/// Each fetching is recorded in the access log. Needs a role that shows sensitive and secret fields; customers fetch those that
/// they have asked for.
#[utoipa::path(tag = "privacy", params(("export_id" = PrivacyExportId, Path, description = "Id of the export")),
    responses((status = 200, description = "The content", body = PrivacyExportContent),
        (status = 409, description = "It is not ready, or it has expired")), security(("bearer" = ["privacy.manage"])))]
#[get("/{export_id}/content")]
async fn get_privacy_export_content(caller: Caller, store: Data<Store>, id: Path<PrivacyExport>) -> Answer<PrivacyExportContent> {
    let content = store.write(move |tx| privacy::content(tx, &caller, id.0)).await?;
    Ok(Reply::ok(content))
}

/// Erase a customer
///
/// Deletes or scrubs what is held about the customer and about the records that merges have made part of it, in one
/// transaction; a tombstone with the number stays, and so do the audit and what the law wants kept. Refused with
/// `erasure_refused`, naming each record in `obstacles`, while an account link is open, a legal hold stands or an export is
/// being made. Merges can no longer be taken back; sources do not bring the customer back: their records of it are refused.
/// `dry_run` shows all that without doing it. Answers that are kept for repetitions with an `Idempotency-Key` are forgotten, this
/// one's included: a repetition is told `idempotency_answer_lost`, and `get_customer_erasure` shows the outcome.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), IfMatchHeader),
    request_body = ErasureRequest, responses((status = 200, description = "What was done, or would be", body = CustomerErasure)),
    security(("bearer" = ["privacy.manage"])))]
#[post("/{customer_id}/privacy/erasure")]
async fn erase_customer(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<ErasureRequest>,
) -> Answer<CustomerErasure> {
    let done = store.write(move |tx| privacy::erase(tx, &caller, REGISTRY, id.0, version.0, &body.0)).await?;
    if done.erased_at.is_some() {
        // None of them is given any more; should this break off, the house-keeping clears them.
        while store.write(idempotency::forget).await? {}
    }
    Ok(Reply::ok(done))
}

/// Get the tombstone of a customer
///
/// When and by whom an erased customer was erased, and why. Every other operation answers 404 for an erased customer.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The tombstone", body = CustomerErasure)), security(("bearer" = ["privacy.manage"])))]
#[get("/{customer_id}/privacy/erasure")]
async fn get_customer_erasure(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CustomerErasure> {
    let found = store.read(move |conn| privacy::erasure(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// List the legal holds of a customer
///
/// Why the data may not be erased for now, and why once; the newest first, with those of absorbed records.
#[utoipa::path(tag = "privacy",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"), LegalHoldFilter, PageParams),
    responses((status = 200, description = "A page of holds", body = Page<LegalHold>)), security(("bearer" = ["privacy.manage"])))]
#[get("/{customer_id}/legal-holds")]
async fn list_legal_holds(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<LegalHoldFilter>,
) -> Answer<Page<LegalHold>> {
    let page = store.read(move |conn| privacy::holds(conn, &caller, id.0, query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Place a legal hold
///
/// While it stands, nothing of the customer is erased. A customer may have several.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    request_body = NewLegalHold, responses((status = 201, description = "The new hold", body = LegalHold)),
    security(("bearer" = ["privacy.manage"])))]
#[post("/{customer_id}/legal-holds")]
async fn place_legal_hold(caller: Caller, store: Data<Store>, id: Path<Customer>, body: Json<NewLegalHold>) -> Answer<LegalHold> {
    let made = store.write(move |tx| privacy::place(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/legal-holds/{}", made.customer_id, made.id), made.version, made))
}

/// Get a legal hold
///
/// One hold, standing or released.
#[utoipa::path(tag = "privacy", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("legal_hold_id" = LegalHoldId, Path, description = "Id of the hold")),
    responses((status = 200, description = "The hold", body = LegalHold)), security(("bearer" = ["privacy.manage"])))]
#[get("/{customer_id}/legal-holds/{legal_hold_id}")]
async fn get_legal_hold(caller: Caller, store: Data<Store>, ids: Path2<Customer, LegalHold>) -> Answer<LegalHold> {
    let found = store.read(move |conn| privacy::hold(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Release a legal hold
///
/// The hold stays on record with the reason of its release.
#[utoipa::path(tag = "privacy",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"),
        ("legal_hold_id" = LegalHoldId, Path, description = "Id of the hold"), IfMatchHeader),
    request_body = LegalHoldRelease, responses((status = 200, description = "The released hold", body = LegalHold)),
    security(("bearer" = ["privacy.manage"])))]
#[post("/{customer_id}/legal-holds/{legal_hold_id}/release")]
async fn release_legal_hold(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, LegalHold>,
    version: IfMatch,
    body: Json<LegalHoldRelease>,
) -> Answer<LegalHold> {
    let released = store.write(move |tx| privacy::release(tx, &caller, ids.0, ids.1, version.0, &body.0)).await?;
    Ok(Reply::versioned(released.version, released))
}
