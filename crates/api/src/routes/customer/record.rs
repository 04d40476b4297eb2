//! What is on record about a customer: history, access log, source records.

use actix_web::{get, web::Data};
use kehu_customer::{
    Customer, CustomerId,
    past::{self, CustomerHistoryEntry, CustomerHistoryFilter},
    present, privacy,
    source_record::{self, SourceRecord},
};
use kehu_kernel::{
    Page, PageParams, Store,
    audit::{AccessEntry, AccessFilter},
};
use serde::Deserialize;

use crate::{
    extract::{Caller, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(get_customer_history).service(get_customer_access_log).service(list_customer_source_records);
}

/// No filters.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfiltered {}

/// Get a customer's history
///
/// What was believed when: each value of each field that has changed, and each status and stage, newest first; of the
/// customer and of the records that were merged into it, each with the id of its record. `at` asks what was believed at an
/// instant. Values of sensitive fields are shown as in `get_customer`.
#[utoipa::path(tag = "customers",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"), CustomerHistoryFilter, PageParams),
    responses((status = 200, description = "A page of the history", body = Page<CustomerHistoryEntry>)),
    security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/history")]
async fn get_customer_history(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<CustomerHistoryFilter>,
) -> Answer<Page<CustomerHistoryEntry>> {
    let page = if present::shows_sensitive(&caller) {
        store.write(move |tx| past::disclose(tx, &caller, id.0, &query.filter, &query.page)).await?
    } else {
        store.read(move |conn| past::list(conn, &caller, id.0, &query.filter, &query.page)).await?
    };
    Ok(Reply::ok(page))
}

/// Get a customer's access log
///
/// Who has read sensitive data of this customer, when and for which purpose, newest first: sensitive fields, numbers in full,
/// exports. Records that were merged into the customer count as the customer. The log of an erased customer is shown to those
/// who have `privacy.manage` as well.
#[utoipa::path(tag = "customers",
    params(("customer_id" = CustomerId, Path, description = "Id of the customer"), AccessFilter, PageParams),
    responses((status = 200, description = "A page of the access log", body = Page<AccessEntry>)),
    security(("bearer" = ["audit.read"])))]
#[get("/{customer_id}/access-log")]
async fn get_customer_access_log(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<AccessFilter>,
) -> Answer<Page<AccessEntry>> {
    let page = store.read(move |conn| privacy::access_log(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// List a customer's source records
///
/// Which records of which source systems tell of this customer, and how they found it, oldest first. What a record says is shown to callers
/// whose role shows sensitive fields and who give a purpose in `X-Purpose`; such reads are recorded.
#[utoipa::path(tag = "customers", params(("customer_id" = CustomerId, Path, description = "Id of the customer"), PageParams),
    responses((status = 200, description = "A page of source records", body = Page<SourceRecord>)),
    security(("bearer" = ["customer.read"])))]
#[get("/{customer_id}/source-records")]
async fn list_customer_source_records(
    caller: Caller,
    store: Data<Store>,
    id: Path<Customer>,
    query: ListQuery<Unfiltered>,
) -> Answer<Page<SourceRecord>> {
    let page = if present::shows_sensitive(&caller) {
        store.write(move |tx| source_record::disclose(tx, &caller, id.0, &query.page)).await?
    } else {
        store.read(move |conn| source_record::list(conn, &caller, id.0, &query.page)).await?
    };
    Ok(Reply::ok(page))
}
