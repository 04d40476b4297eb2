//! `/v1/source-systems`

use actix_web::{get, patch, post, web::Data};
use kehu_intake::source_system::{self, NewSourceSystem, SourceSystem, SourceSystemId, SourceSystemPatch};
use kehu_kernel::{Page, PageParams, Store};
use serde::Deserialize;

use crate::{
    extract::{Caller, IfMatch, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_source_systems).service(create_source_system).service(get_source_system).service(update_source_system);
}

/// This list has no filters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFilter {}

/// List source systems
///
/// The systems of the bank that hand records to Kehu, by code.
#[utoipa::path(tag = "source-systems", params(PageParams),
    responses((status = 200, description = "A page of source systems", body = Page<SourceSystem>)),
    security(("bearer" = ["import.read"])))]
#[get("")]
async fn list_source_systems(caller: Caller, store: Data<Store>, query: ListQuery<NoFilter>) -> Answer<Page<SourceSystem>> {
    let page = store.read(move |conn| source_system::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a source system
///
/// Defines a system of the bank that will hand records to Kehu.
#[utoipa::path(tag = "source-systems", request_body = NewSourceSystem,
    responses((status = 201, description = "The new source system", body = SourceSystem)),
    security(("bearer" = ["import.manage"])))]
#[post("")]
async fn create_source_system(caller: Caller, store: Data<Store>, body: Json<NewSourceSystem>) -> Answer<SourceSystem> {
    let made = store.write(move |tx| source_system::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/source-systems/{}", made.id), made.version, made))
}

/// Get a source system
///
/// One source system by its id.
#[utoipa::path(tag = "source-systems", params(("source_system_id" = SourceSystemId, Path, description = "Id of the source system")),
    responses((status = 200, description = "The source system", body = SourceSystem)), security(("bearer" = ["import.read"])))]
#[get("/{source_system_id}")]
async fn get_source_system(caller: Caller, store: Data<Store>, id: Path<SourceSystem>) -> Answer<SourceSystem> {
    let found = store.glance(move |conn| source_system::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a source system
///
/// Changes the given fields (JSON Merge Patch). An inactive system can hand in nothing.
#[utoipa::path(tag = "source-systems", params(("source_system_id" = SourceSystemId, Path, description = "Id of the source system")),
    request_body = SourceSystemPatch, responses((status = 200, description = "The changed source system", body = SourceSystem)),
    security(("bearer" = ["import.manage"])))]
#[patch("/{source_system_id}")]
async fn update_source_system(
    caller: Caller,
    store: Data<Store>,
    id: Path<SourceSystem>,
    version: IfMatch,
    body: Json<SourceSystemPatch>,
) -> Answer<SourceSystem> {
    let changed = store.write(move |tx| source_system::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
