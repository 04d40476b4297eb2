//! `/v1/groups`

use actix_web::{get, patch, post, web::Data};
use kehu_group::{
    Group, GroupId,
    group::{self, GroupClose, GroupFilter, GroupPatch, NewGroup},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_groups).service(create_group).service(get_group).service(update_group).service(close_group);
}

/// List groups
///
/// Groups of customers with who answers for them, who works for them and what stands above them, in the order in which they
/// were made; closed ones included.
#[utoipa::path(tag = "groups", params(GroupFilter, PageParams), responses((status = 200, description = "A page of groups", body = Page<Group>)),
    security(("bearer" = ["group.read"])))]
#[get("")]
async fn list_groups(caller: Caller, store: Data<Store>, query: ListQuery<GroupFilter>) -> Answer<Page<Group>> {
    let page = store.read(move |conn| group::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a group
///
/// Forms a group without members. Groups may stand above each other, never in a circle.
#[utoipa::path(tag = "groups", request_body = NewGroup, responses((status = 201, description = "The new group", body = Group)),
    security(("bearer" = ["group.manage"])))]
#[post("")]
async fn create_group(caller: Caller, store: Data<Store>, body: Json<NewGroup>) -> Answer<Group> {
    let made = store.write(move |tx| group::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/groups/{}", made.id), made.version, made))
}

/// Get a group
///
/// One group, closed or not.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")),
    responses((status = 200, description = "The group", body = Group)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}")]
async fn get_group(caller: Caller, store: Data<Store>, id: Path<Group>) -> Answer<Group> {
    let found = store.glance(move |conn| group::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a group
///
/// Changes the given fields (JSON Merge Patch); lists of people and of parents replace the present ones. A group that
/// would stand above itself, through others too, is refused with 409.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")), request_body = GroupPatch,
    responses((status = 200, description = "The changed group", body = Group)), security(("bearer" = ["group.manage"])))]
#[patch("/{group_id}")]
async fn update_group(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    version: IfMatch,
    body: Json<GroupPatch>,
) -> Answer<Group> {
    let changed = store.write(move |tx| group::update(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Close a group
///
/// The group takes no members any more; who was in it stays known. A group with present or future members is closed only
/// together with their memberships, one with open groups below it not at all.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), IfMatchHeader), request_body = GroupClose,
    responses((status = 200, description = "The closed group", body = Group)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/close")]
async fn close_group(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    version: IfMatch,
    body: Json<GroupClose>,
) -> Answer<Group> {
    let closed = store.write(move |tx| group::close(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(closed.version, closed))
}
