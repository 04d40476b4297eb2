//! `/v1/tag-domains`, `/v1/tags` and `/v1/customers/{customer_id}/tags`

use actix_web::{get, patch, post, web::Data};
use kehu_customer::{
    Customer, CustomerId, present,
    tag::{
        CustomerTag, CustomerTagId, Tag, TagDomain, TagDomainId, TagId,
        customer_tag::{self, CustomerTagEnd, CustomerTagPatch, NewCustomerTag},
        definition::{self, NewTag, TagFilter, TagPatch},
        domain::{self, NewTagDomain, TagDomainPatch},
        list::{self, CustomerTagFilter},
    },
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Nothing, Path, Path2},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations on domains.
pub fn configure_domains(config: &mut ServiceConfig<'_>) {
    config.service(list_tag_domains).service(create_tag_domain).service(get_tag_domain).service(update_tag_domain);
}

/// The operations on definitions.
pub fn configure_library(config: &mut ServiceConfig<'_>) {
    config.service(list_tags).service(create_tag).service(get_tag).service(update_tag);
}

/// The operations on tags of customers.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_customer_tags)
        .service(create_customer_tag)
        .service(get_customer_tag)
        .service(update_customer_tag)
        .service(end_customer_tag);
}

/// List tag domains
///
/// The domains of the tag library in the order of their slots: three that Kehu brings along, then the bank's own.
#[utoipa::path(tag = "tags", params(PageParams), responses((status = 200, description = "A page of domains", body = Page<TagDomain>)),
    security(("bearer" = ["customer.read"])))]
#[get("")]
async fn list_tag_domains(caller: Caller, store: Data<Store>, query: ListQuery<Nothing>) -> Answer<Page<TagDomain>> {
    let page = store.read(move |conn| domain::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a tag domain
///
/// Takes the first free of the 14 slots of the bank's choice. When all are taken, the answer is the conflict `tag_domains_full`.
#[utoipa::path(tag = "tags", request_body = NewTagDomain, responses((status = 201, description = "The new domain", body = TagDomain)),
    security(("bearer" = ["tag.manage"])))]
#[post("")]
async fn create_tag_domain(caller: Caller, store: Data<Store>, body: Json<NewTagDomain>) -> Answer<TagDomain> {
    let made = store.write(move |tx| domain::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/tag-domains/{}", made.id), made.version, made))
}

/// Get a tag domain
///
/// One domain of the tag library.
#[utoipa::path(tag = "tags", params(("tag_domain_id" = TagDomainId, Path, description = "Id of the domain")),
    responses((status = 200, description = "The domain", body = TagDomain)), security(("bearer" = ["customer.read"])))]
#[get("/{tag_domain_id}")]
async fn get_tag_domain(caller: Caller, store: Data<Store>, id: Path<TagDomain>) -> Answer<TagDomain> {
    let found = store.glance(move |conn| domain::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a tag domain
///
/// Changes the given fields (JSON Merge Patch). A domain of the bank's own that has no tags may get another code, and so be used for
/// something else.
#[utoipa::path(tag = "tags", params(("tag_domain_id" = TagDomainId, Path, description = "Id of the domain")), request_body = TagDomainPatch,
    responses((status = 200, description = "The changed domain", body = TagDomain), (status = 409, description = "In use")), security(("bearer" = ["tag.manage"])))]
#[patch("/{tag_domain_id}")]
async fn update_tag_domain(
    caller: Caller,
    store: Data<Store>,
    id: Path<TagDomain>,
    version: IfMatch,
    body: Json<TagDomainPatch>,
) -> Answer<TagDomain> {
    let changed = store.write(move |tx| domain::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// List tags
///
/// The tags of the library in the order of their codes.
#[utoipa::path(tag = "tags", params(TagFilter, PageParams), responses((status = 200, description = "A page of tags", body = Page<Tag>)),
    security(("bearer" = ["customer.read"])))]
#[get("")]
async fn list_tags(caller: Caller, store: Data<Store>, query: ListQuery<TagFilter>) -> Answer<Page<Tag>> {
    let page = store.read(move |conn| definition::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a tag
///
/// Adds a tag to the library: what its values are, who may set it, how sensitive it is.
#[utoipa::path(tag = "tags", request_body = NewTag, responses((status = 201, description = "The new tag", body = Tag)),
    security(("bearer" = ["tag.manage"])))]
#[post("")]
async fn create_tag(caller: Caller, store: Data<Store>, body: Json<NewTag>) -> Answer<Tag> {
    let made = store.write(move |tx| definition::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/tags/{}", made.id), made.version, made))
}

/// Get a tag
///
/// One tag of the library.
#[utoipa::path(tag = "tags", params(("tag_id" = TagId, Path, description = "Id of the tag")),
    responses((status = 200, description = "The tag", body = Tag)), security(("bearer" = ["customer.read"])))]
#[get("/{tag_id}")]
async fn get_tag(caller: Caller, store: Data<Store>, id: Path<Tag>) -> Answer<Tag> {
    let found = store.glance(move |conn| definition::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a tag
///
/// Changes the given fields (JSON Merge Patch); lists replace the present ones. Code and type stay; a choice that customers have stays too.
#[utoipa::path(tag = "tags", params(("tag_id" = TagId, Path, description = "Id of the tag")), request_body = TagPatch,
    responses((status = 200, description = "The changed tag", body = Tag), (status = 409, description = "A choice is in use")), security(("bearer" = ["tag.manage"])))]
#[patch("/{tag_id}")]
async fn update_tag(caller: Caller, store: Data<Store>, id: Path<Tag>, version: IfMatch, body: Json<TagPatch>) -> Answer<Tag> {
    let changed = store.write(move |tx| definition::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// List a customer's tags
///
/// Tags, ended ones included, oldest record first. Sensitive tags are there for callers whose role shows sensitive fields and who give a
/// purpose in `X-Purpose`; such reads are recorded.
#[utoipa::path(tag = "tags", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), CustomerTagFilter, PageParams),
    responses((status = 200, description = "A page of tags", body = Page<CustomerTag>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/tags")]
async fn list_customer_tags(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<CustomerTagFilter>,
) -> Answer<Page<CustomerTag>> {
    let page = if present::shows_sensitive(&caller) {
        store.write(move |tx| list::disclose(tx, &caller, id.0, &query.filter, &query.page)).await?
    } else {
        store.read(move |conn| list::list(conn, &caller, id.0, &query.filter, &query.page)).await?
    };
    Ok(Reply::ok(page))
}

/// Set a tag on a customer
///
/// The value is checked by the tag's type. A customer has a tag once at a time: the same tag again is the conflict `tag_exists`, or takes
/// the other's place with `replace`. Sensitive tags need the right to see them and a purpose in `X-Purpose`.
#[utoipa::path(tag = "tags", params(("customer_id" = CustomerId, Path, description = "Id of the customer")), request_body = NewCustomerTag,
    responses((status = 201, description = "The new tag of the customer", body = CustomerTag)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/tags")]
async fn create_customer_tag(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<NewCustomerTag>,
) -> Answer<CustomerTag> {
    let made = store.write(move |tx| customer_tag::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/tags/{}", made.customer_id, made.id), made.version, made))
}

/// Get a customer's tag
///
/// One tag, ended or not. A sensitive one is there for callers whose role shows sensitive fields and who give a purpose in `X-Purpose`; such
/// reads are recorded.
#[utoipa::path(tag = "tags", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("customer_tag_id" = CustomerTagId, Path, description = "Id of the tag on the customer")),
    responses((status = 200, description = "The tag of the customer", body = CustomerTag)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/tags/{customer_tag_id}")]
async fn get_customer_tag(caller: Caller, store: Data<Store>, ids: Path2<Customer, CustomerTag>) -> Answer<CustomerTag> {
    let found = if present::shows_sensitive(&caller) {
        store.write(move |tx| list::disclose_one(tx, &caller, ids.0, ids.1)).await?
    } else {
        store.glance(move |conn| list::get(conn, &caller, ids.0, ids.1)).await?
    };
    Ok(Reply::versioned(found.version, found))
}

/// Update a customer's tag
///
/// Changes the given fields (JSON Merge Patch). The value stays: another value is another record, set with `replace`.
#[utoipa::path(tag = "tags", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("customer_tag_id" = CustomerTagId, Path, description = "Id of the tag on the customer")),
    request_body = CustomerTagPatch, responses((status = 200, description = "The changed tag of the customer", body = CustomerTag)), security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}/tags/{customer_tag_id}")]
async fn update_customer_tag(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, CustomerTag>,
    version: IfMatch,
    body: Json<CustomerTagPatch>,
) -> Answer<CustomerTag> {
    let changed = store.write(move |tx| customer_tag::update(tx, &caller, ids.0, ids.1, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a customer's tag
///
/// The tag stays on record but no longer holds.
#[utoipa::path(tag = "tags", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("customer_tag_id" = CustomerTagId, Path, description = "Id of the tag on the customer"), IfMatchHeader),
    request_body = CustomerTagEnd, responses((status = 200, description = "The ended tag of the customer", body = CustomerTag)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/tags/{customer_tag_id}/end")]
async fn end_customer_tag(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, CustomerTag>,
    version: IfMatch,
    body: Json<CustomerTagEnd>,
) -> Answer<CustomerTag> {
    let ended = store.write(move |tx| customer_tag::end(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}
