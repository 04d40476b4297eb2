//! `/v1/account-links`

use actix_web::{get, patch, post, web::Data};
use kehu_account_link::link::{self, AccountLink, AccountLinkId, LinkEnd, LinkFilter, LinkPatch, LinkTransfer, NewAccountLink};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_account_links)
        .service(create_account_link)
        .service(get_account_link)
        .service(update_account_link)
        .service(end_account_link)
        .service(transfer_account_link);
}

/// List account links
///
/// Who is what to which account: by account, by customer, as of a day. Past and future links are listed, too, unless a
/// day is given.
#[utoipa::path(tag = "account-links", params(LinkFilter, PageParams),
    responses((status = 200, description = "A page of links", body = Page<AccountLink>)), security(("bearer" = ["account.read"])))]
#[get("")]
async fn list_account_links(caller: Caller, store: Data<Store>, query: ListQuery<LinkFilter>) -> Answer<Page<AccountLink>> {
    let page = store.read(move |conn| link::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create an account link
///
/// Links a customer to an account. At no moment does an account have two primary owners, and at no moment do the
/// shares of its owners pass the whole: such a link is refused with 409.
#[utoipa::path(tag = "account-links", request_body = NewAccountLink,
    responses((status = 201, description = "The new link", body = AccountLink), (status = 404, description = "No such account or customer")), security(("bearer" = ["account_link.write"])))]
#[post("")]
async fn create_account_link(caller: Caller, store: Data<Store>, body: Json<NewAccountLink>) -> Answer<AccountLink> {
    let made = store.write(move |tx| link::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/account-links/{}", made.id), made.version, made))
}

/// Get an account link
///
/// One link by its id.
#[utoipa::path(tag = "account-links", params(("account_link_id" = AccountLinkId, Path, description = "Id of the link")),
    responses((status = 200, description = "The link", body = AccountLink)), security(("bearer" = ["account.read"])))]
#[get("/{account_link_id}")]
async fn get_account_link(caller: Caller, store: Data<Store>, id: Path<AccountLink>) -> Answer<AccountLink> {
    let found = store.glance(move |conn| link::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update an account link
///
/// Changes share, signing rule, evidence, or which owner is the primary one (JSON Merge Patch).
#[utoipa::path(tag = "account-links", params(("account_link_id" = AccountLinkId, Path, description = "Id of the link")),
    request_body = LinkPatch, responses((status = 200, description = "The changed link", body = AccountLink)),
    security(("bearer" = ["account_link.write"])))]
#[patch("/{account_link_id}")]
async fn update_account_link(
    caller: Caller,
    store: Data<Store>,
    id: Path<AccountLink>,
    version: IfMatch,
    body: Json<LinkPatch>,
) -> Answer<AccountLink> {
    let changed = store.write(move |tx| link::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End an account link
///
/// Sets the day from which the link no longer holds, with the reason. Links are ended, never deleted.
#[utoipa::path(tag = "account-links", params(("account_link_id" = AccountLinkId, Path, description = "Id of the link"), IfMatchHeader),
    request_body = LinkEnd, responses((status = 200, description = "The ended link", body = AccountLink)),
    security(("bearer" = ["account_link.write"])))]
#[post("/{account_link_id}/end")]
async fn end_account_link(
    caller: Caller,
    store: Data<Store>,
    id: Path<AccountLink>,
    version: IfMatch,
    body: Json<LinkEnd>,
) -> Answer<AccountLink> {
    let ended = store.write(move |tx| link::end(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// Transfer an account link
///
/// Passes the link to another customer: the old one ends on the day on which the new one begins, both or neither.
/// Answers the new link.
#[utoipa::path(tag = "account-links", params(("account_link_id" = AccountLinkId, Path, description = "Id of the link"), IfMatchHeader),
    request_body = LinkTransfer, responses((status = 200, description = "The new link", body = AccountLink)),
    security(("bearer" = ["account_link.write"])))]
#[post("/{account_link_id}/transfer")]
async fn transfer_account_link(
    caller: Caller,
    store: Data<Store>,
    id: Path<AccountLink>,
    version: IfMatch,
    body: Json<LinkTransfer>,
) -> Answer<AccountLink> {
    let new = store.write(move |tx| link::transfer(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(new.version, new))
}
