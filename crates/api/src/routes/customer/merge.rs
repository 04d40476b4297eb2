//! `/v1/customers/{customer_id}/merge` and `/v1/merges`

use actix_web::{get, post, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    merge::{self, Merge, MergeFilter, MergeId, MergeRequest, MergeRevert, MergeSummary},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    belonging::REGISTRY,
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
    settings::Settings,
};

/// The operation below a customer.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(merge_customers);
}

/// The operations of merges.
pub fn configure_merges(config: &mut ServiceConfig<'_>) {
    config.service(list_merges).service(get_merge).service(revert_merge);
}

/// Merge customers
///
/// Makes up to ten records part of this customer, who goes on with all that belonged to them: documents, contact points,
/// relations, accounts, assignments, tags, consents. Of each field the value with the highest precedence of its source wins, then
/// the fresher one, then this customer's own; `choices` decide otherwise. `dry_run` answers the same and changes nothing.
/// Afterwards reads of an absorbed record lead here by 308, writes to it are refused, and `revert_merge` takes it all back.
#[utoipa::path(tag = "merges", params(("customer_id" = CustomerId, Path, description = "Id of the customer that goes on"), IfMatchHeader),
    request_body = MergeRequest, responses((status = 200, description = "The merge, or what it would be", body = Merge)),
    security(("bearer" = ["customer.merge"])))]
#[post("/{customer_id}/merge")]
async fn merge_customers(
    caller: Caller,
    store: Data<Store>,
    settings: Data<Settings>,
    id: Path<Customer>,
    version: IfMatch,
    body: Json<MergeRequest>,
) -> Answer<Merge> {
    let days = settings.merge_revert_days;
    let made = store.write(move |tx| merge::merge(tx, &caller, REGISTRY, id.0, version.0, &body.0, days)).await?;
    Ok(Reply::versioned(made.version, made))
}

/// List merges
///
/// The merges all of whose records the caller reaches, the newest first: of one record by `customer_id`, those that stand or
/// those that were taken back by `state`. `get_merge` shows the rest of each.
#[utoipa::path(tag = "merges", params(MergeFilter, PageParams),
    responses((status = 200, description = "A page of merges", body = Page<MergeSummary>)),
    security(("bearer" = ["customer.merge"])))]
#[get("")]
async fn list_merges(caller: Caller, store: Data<Store>, query: ListQuery<MergeFilter>) -> Answer<Page<MergeSummary>> {
    let page = store.read(move |conn| merge::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Get a merge
///
/// Which records became one, which values won and why, how many rows moved and the first of them, and, after it was taken
/// back, what is not as it was before. Values of sensitive fields are not shown here.
#[utoipa::path(tag = "merges", params(("merge_id" = MergeId, Path, description = "Id of the merge")),
    responses((status = 200, description = "The merge", body = Merge)), security(("bearer" = ["customer.merge"])))]
#[get("/{merge_id}")]
async fn get_merge(caller: Caller, store: Data<Store>, id: Path<Merge>) -> Answer<Merge> {
    let found = store.glance(move |conn| merge::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Take a merge back
///
/// Every record lives again with its own rows and fields. What was changed after the merge stays where it was changed and is
/// listed in `kept_changes`. Possible until `reversible_until`; the latest merge of a customer first.
#[utoipa::path(tag = "merges", params(("merge_id" = MergeId, Path, description = "Id of the merge"), IfMatchHeader),
    request_body = MergeRevert, responses((status = 200, description = "The merge as it was taken back", body = Merge)),
    security(("bearer" = ["customer.merge"])))]
#[post("/{merge_id}/revert")]
async fn revert_merge(
    caller: Caller,
    store: Data<Store>,
    id: Path<Merge>,
    version: IfMatch,
    body: Json<MergeRevert>,
) -> Answer<Merge> {
    let reverted = store.write(move |tx| merge::revert(tx, &caller, REGISTRY, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(reverted.version, reverted))
}
