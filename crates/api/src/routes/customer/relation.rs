//! `/v1/customers/{customer_id}/relations`

use actix_web::{get, patch, post, web::Data};
use kehu_account_link::combined::{self, GroupTotals};
use kehu_customer::{
    Customer, CustomerId,
    graph::{self, RelationGraph, RelationGraphQuery},
    relation::{self, NewRelation, Relation, RelationEnd, RelationFilter, RelationId, RelationPatch},
    tree::{self, CorporateTreeNode},
};
use kehu_kernel::{Error, Page, PageParams, Reference, Store};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path, Path2, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_customer_relations)
        .service(create_customer_relation)
        .service(get_customer_relation)
        .service(update_customer_relation)
        .service(end_customer_relation)
        .service(get_relation_graph)
        .service(get_corporate_tree);
}

/// List a customer's relations
///
/// Relations from both directions, each read from this customer's side, ended ones included, oldest record first. Relations with customers
/// out of the caller's sight are neither listed nor counted.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), RelationFilter, PageParams),
    responses((status = 200, description = "A page of relations", body = Page<Relation>)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/relations")]
async fn list_customer_relations(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<RelationFilter>,
) -> Answer<Page<Relation>> {
    let page = store.read(move |conn| relation::list(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Record a relation
///
/// This customer is the `type` of the other one. A relation is stored once; the other customer reads its inverse. A company has one parent at a time and never hangs below itself; the shares of its owners never pass the whole.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer")), request_body = NewRelation,
    responses((status = 201, description = "The new relation", body = Relation)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/relations")]
async fn create_customer_relation(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    body: Json<NewRelation>,
) -> Answer<Relation> {
    let made = store.write(move |tx| relation::create(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/customers/{}/relations/{}", made.customer_id, made.id), made.version, made))
}

/// Get a relation
///
/// One relation, ended or not, read from this customer's side. With a customer out of the caller's sight there is none.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("relation_id" = RelationId, Path, description = "Id of the relation")),
    responses((status = 200, description = "The relation", body = Relation)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/relations/{relation_id}")]
async fn get_customer_relation(caller: Caller, store: Data<Store>, ids: Path2<Customer, Relation>) -> Answer<Relation> {
    let found = store.glance(move |conn| relation::get(conn, &caller, ids.0, ids.1)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a relation
///
/// Changes the given fields (JSON Merge Patch), told from this customer's side; both customers see it. Type and customers stay: another one is
/// another relation. The rules of `create_customer_relation` hold.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("relation_id" = RelationId, Path, description = "Id of the relation")),
    request_body = RelationPatch, responses((status = 200, description = "The changed relation", body = Relation)), security(("bearer" = ["customer.write"])))]
#[patch("/{customer_id}/relations/{relation_id}")]
async fn update_customer_relation(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, Relation>,
    version: IfMatch,
    body: Json<RelationPatch>,
) -> Answer<Relation> {
    let changed = store.write(move |tx| relation::update(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// End a relation
///
/// The relation stays on record. Both customers see its end.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), ("relation_id" = RelationId, Path, description = "Id of the relation"), IfMatchHeader),
    request_body = RelationEnd, responses((status = 200, description = "The ended relation", body = Relation)), security(("bearer" = ["customer.write"])))]
#[post("/{customer_id}/relations/{relation_id}/end")]
async fn end_customer_relation(
    caller: Caller,
    store: Data<Store>,
    ids: Path2<Customer, Relation>,
    version: IfMatch,
    body: Json<RelationEnd>,
) -> Answer<Relation> {
    let ended = store.write(move |tx| relation::end(tx, &caller, ids.0, ids.1, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(ended.version, ended))
}

/// Get the graph of relations
///
/// Who is around a customer, up to four relations away, and the relations among all of them on a day. Customers out of the
/// caller's sight are left out, and with them whoever can be reached only through them. At most 500 customers, nearest first.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), RelationGraphQuery),
    responses((status = 200, description = "The graph", body = RelationGraph)), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/relation-graph")]
async fn get_relation_graph(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: Query<RelationGraphQuery>,
) -> Answer<RelationGraph> {
    let found = store.read(move |conn| graph::around(conn, &caller, id.0, query.0)).await?;
    Ok(Reply::ok(found))
}

/// The tree to which a company belongs, and what the group has with the bank.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CorporateTree {
    /// The company that was asked for.
    pub customer_id: CustomerId,
    /// The company at the top, as far as the bank knows and the caller sees.
    pub ultimate_parent: Reference,
    /// All companies of the tree within the caller's sight, each after the one above it; at most 1,000.
    #[schema(max_items = 1000)]
    pub items: Vec<CorporateTreeNode>,
    /// How many companies the tree has below the top, as far as it is shown.
    #[schema(minimum = 0)]
    pub subsidiary_count: i64,
    /// Whether companies or holdings were left out because there are too many.
    pub truncated: bool,
    /// What these companies, those shown here and no others, have with the bank together; null without `account.read` or the right to see amounts.
    pub totals: Option<GroupTotals>,
}

/// Get a corporate tree
///
/// The tree of companies to which an organisation belongs today: the ultimate parent, everything below it, how much of
/// each is held directly and controlled from the top through all chains of holdings, and what these companies have with the bank
/// together. Companies out of the caller's sight are left out, and with them whatever stands above or below them only: shares, counts
/// and totals are of what is shown.
#[utoipa::path(tag = "relations", params(("customer_id" = CustomerId, Path, description = "Id of the customer")),
    responses((status = 200, description = "The tree", body = CorporateTree), (status = 409, description = "No organisation")), security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/corporate-tree")]
async fn get_corporate_tree(caller: Caller, store: Data<Store>, id: Path<Customer>) -> Answer<CorporateTree> {
    let found = store
        .read(move |conn| {
            let tree = tree::of(conn, &caller, id.0)?;
            let companies: Vec<CustomerId> = tree.nodes.iter().map(|node| node.customer.id.cast()).collect();
            Ok(CorporateTree {
                customer_id: tree.customer_id,
                ultimate_parent: tree.ultimate_parent,
                subsidiary_count: i64::try_from(companies.len()).map_err(Error::internal)? - 1,
                items: tree.nodes,
                truncated: tree.truncated,
                totals: combined::totals(conn, &caller, &companies)?,
            })
        })
        .await?;
    Ok(Reply::ok(found))
}
