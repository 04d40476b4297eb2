//! `/v1/attribute-definitions` and `/v1/customers/{customer_id}/attributes`

use actix_web::{get, patch, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    attribute::{
        AttributeDefinition, AttributeDefinitionId, CustomAttributes,
        custom::{self, CustomAttributesPatch},
        definition::{self, AttributeDefinitionFilter, AttributeDefinitionPatch, NewAttributeDefinition},
    },
    present,
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations on definitions.
pub fn configure_definitions(config: &mut ServiceConfig<'_>) {
    config
        .service(list_attribute_definitions)
        .service(create_attribute_definition)
        .service(get_attribute_definition)
        .service(update_attribute_definition);
}

/// The operations on values.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_customer_attributes).service(update_customer_attributes);
}

/// List attribute definitions
///
/// The fields that the bank has added to its customers, in the order of their codes.
#[utoipa::path(tag = "attributes", params(AttributeDefinitionFilter, PageParams),
    responses((status = 200, description = "A page of definitions", body = Page<AttributeDefinition>)), security(("bearer" = ["customer.read"])))]
#[get("")]
async fn list_attribute_definitions(
    caller: Caller,
    store: Data<Store>,
    query: ListQuery<AttributeDefinitionFilter>,
) -> Answer<Page<AttributeDefinition>> {
    let page = store.read(move |conn| definition::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Define an attribute
///
/// Adds a field to customers of some kinds: its type, its limits, how sensitive it is. A bank defines at most 200.
#[utoipa::path(tag = "attributes", request_body = NewAttributeDefinition,
    responses((status = 201, description = "The new definition", body = AttributeDefinition)), security(("bearer" = ["tag.manage"])))]
#[post("")]
async fn create_attribute_definition(
    caller: Caller,
    store: Data<Store>,
    body: Json<NewAttributeDefinition>,
) -> Answer<AttributeDefinition> {
    let made = store.write(move |tx| definition::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/attribute-definitions/{}", made.id), made.version, made))
}

/// Get an attribute definition
///
/// One definition.
#[utoipa::path(tag = "attributes", params(("attribute_definition_id" = AttributeDefinitionId, Path, description = "Id of the definition")),
    responses((status = 200, description = "The definition", body = AttributeDefinition)), security(("bearer" = ["customer.read"])))]
#[get("/{attribute_definition_id}")]
async fn get_attribute_definition(
    caller: Caller,
    store: Data<Store>,
    id: Path<AttributeDefinition>,
) -> Answer<AttributeDefinition> {
    let found = store.glance(move |conn| definition::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update an attribute definition
///
/// Changes the given fields (JSON Merge Patch). Code and type stay. An attribute that is no longer active keeps its values, but takes no
/// new ones.
#[utoipa::path(tag = "attributes", params(("attribute_definition_id" = AttributeDefinitionId, Path, description = "Id of the definition")),
    request_body = AttributeDefinitionPatch,
    responses((status = 200, description = "The changed definition", body = AttributeDefinition), (status = 409, description = "A choice is in use")),
    security(("bearer" = ["tag.manage"])))]
#[patch("/{attribute_definition_id}")]
async fn update_attribute_definition(
    caller: Caller,
    store: Data<Store>,
    id: Path<AttributeDefinition>,
    version: IfMatch,
    body: Json<AttributeDefinitionPatch>,
) -> Answer<AttributeDefinition> {
    let changed = store.write(move |tx| definition::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Get a customer's custom attributes
///
/// The values that the caller may see; customers see what is public. Sensitive ones are there for callers whose role shows sensitive
/// fields and who give a purpose in `X-Purpose`; such reads are recorded. The `ETag` is that of the customer.
#[utoipa::path(tag = "attributes", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The custom attributes", body = CustomAttributes)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/attributes")]
async fn get_customer_attributes(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CustomAttributes> {
    let found = if present::shows_sensitive(&caller) {
        store.write(move |tx| custom::disclose(tx, &caller, id.0)).await?
    } else {
        store.glance(move |conn| custom::get(conn, &caller, id.0)).await?
    };
    Ok(Reply::versioned(found.version, found))
}

/// Update a customer's custom attributes
///
/// Sets the given attributes and clears those that are null (JSON Merge Patch); `If-Match` is the `ETag` of the customer. Each changed
/// value is kept in the history as `custom.<code>`.
#[utoipa::path(tag = "attributes", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    request_body = CustomAttributesPatch, responses((status = 200, description = "The custom attributes as they are now", body = CustomAttributes)),
    security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}/attributes")]
async fn update_customer_attributes(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<CustomAttributesPatch>,
) -> Answer<CustomAttributes> {
    let changed = store.write(move |tx| custom::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
