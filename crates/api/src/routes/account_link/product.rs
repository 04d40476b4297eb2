//! `/v1/products`

use actix_web::{get, patch, post, web::Data};
use kehu_account_link::product::{self, NewProduct, NewProductRate, Product, ProductFilter, ProductId, ProductPatch};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_products).service(create_product).service(get_product).service(update_product).service(set_product_rate);
}

/// List products
///
/// The products of the bank in the order of their codes, each with its rates.
#[utoipa::path(tag = "products", params(ProductFilter, PageParams),
    responses((status = 200, description = "A page of products", body = Page<Product>)), security(("bearer" = ["product.read"])))]
#[get("")]
async fn list_products(caller: Caller, store: Data<Store>, query: ListQuery<ProductFilter>) -> Answer<Page<Product>> {
    let page = store.read(move |conn| product::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a product
///
/// Adds a product to the catalogue. Its code and category never change.
#[utoipa::path(tag = "products", request_body = NewProduct,
    responses((status = 201, description = "The new product", body = Product)), security(("bearer" = ["product.manage"])))]
#[post("")]
async fn create_product(caller: Caller, store: Data<Store>, body: Json<NewProduct>) -> Answer<Product> {
    let made = store.write(move |tx| product::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/products/{}", made.id), made.version, made))
}

/// Get a product
///
/// One product with its rates, past, present and future.
#[utoipa::path(tag = "products", params(("product_id" = ProductId, Path, description = "Id of the product")),
    responses((status = 200, description = "The product", body = Product)), security(("bearer" = ["product.read"])))]
#[get("/{product_id}")]
async fn get_product(caller: Caller, store: Data<Store>, id: Path<Product>) -> Answer<Product> {
    let found = store.glance(move |conn| product::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a product
///
/// Changes the given fields (JSON Merge Patch). Use `set_product_rate` for its rates.
#[utoipa::path(tag = "products", params(("product_id" = ProductId, Path, description = "Id of the product")), request_body = ProductPatch,
    responses((status = 200, description = "The changed product", body = Product)), security(("bearer" = ["product.manage"])))]
#[patch("/{product_id}")]
async fn update_product(
    caller: Caller,
    store: Data<Store>,
    id: Path<Product>,
    version: IfMatch,
    body: Json<ProductPatch>,
) -> Answer<Product> {
    let changed = store.write(move |tx| product::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Set a rate
///
/// Sets a rate of the product from a day on. The rate of the same kind and currency that held until then ends on
/// that day; one that was set for the very same day is replaced; one that was set for later stays.
#[utoipa::path(tag = "products", params(("product_id" = ProductId, Path, description = "Id of the product"), IfMatchHeader),
    request_body = NewProductRate, responses((status = 200, description = "The product with its rates", body = Product)),
    security(("bearer" = ["product.manage"])))]
#[post("/{product_id}/rates")]
async fn set_product_rate(
    caller: Caller,
    store: Data<Store>,
    id: Path<Product>,
    version: IfMatch,
    body: Json<NewProductRate>,
) -> Answer<Product> {
    let changed = store.write(move |tx| product::set_rate(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
