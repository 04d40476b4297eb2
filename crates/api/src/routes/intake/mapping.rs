//! `/v1/mappings`

use actix_web::{get, post, web::Data};
use kehu_intake::mapping::{self, Mapping, MappingFilter, MappingId, NewMapping};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_mappings).service(create_mapping).service(get_mapping);
}

/// List mappings
///
/// All revisions of all mappings, newest first.
#[utoipa::path(tag = "mappings", params(MappingFilter, PageParams),
    responses((status = 200, description = "A page of mappings", body = Page<Mapping>)), security(("bearer" = ["import.read"])))]
#[get("")]
async fn list_mappings(caller: Caller, store: Data<Store>, query: ListQuery<MappingFilter>) -> Answer<Page<Mapping>> {
    let page = store.read(move |conn| mapping::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a mapping
///
/// Keeps a mapping; where its code exists already, as a new revision. A mapping is never changed: what was
/// imported by a revision stays explained by it.
#[utoipa::path(tag = "mappings", request_body = NewMapping, responses((status = 201, description = "The new revision", body = Mapping)),
    security(("bearer" = ["import.manage"])))]
#[post("")]
async fn create_mapping(caller: Caller, store: Data<Store>, body: Json<NewMapping>) -> Answer<Mapping> {
    let made = store.write(move |tx| mapping::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/mappings/{}", made.id), 1, made))
}

/// Get a mapping
///
/// One revision of a mapping by its id.
#[utoipa::path(tag = "mappings", params(("mapping_id" = MappingId, Path, description = "Id of the revision")),
    responses((status = 200, description = "The revision", body = Mapping)), security(("bearer" = ["import.read"])))]
#[get("/{mapping_id}")]
async fn get_mapping(caller: Caller, store: Data<Store>, id: Path<Mapping>) -> Answer<Mapping> {
    let found = store.glance(move |conn| mapping::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(1, found))
}
