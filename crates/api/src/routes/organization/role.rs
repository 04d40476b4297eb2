//! `/v1/roles`

use actix_web::{get, patch, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use kehu_organization::role::{self, NewRole, Role, RoleFilter, RoleId, RolePatch};

use crate::{
    extract::{Caller, IfMatch, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_roles).service(create_role).service(get_role).service(update_role);
}

/// List roles
///
/// Roles with what they grant, in the order of their codes.
#[utoipa::path(tag = "roles", params(RoleFilter, PageParams), responses((status = 200, description = "A page of roles", body = Page<Role>)),
    security(("bearer" = ["role.read"])))]
#[get("")]
async fn list_roles(caller: Caller, store: Data<Store>, query: ListQuery<RoleFilter>) -> Answer<Page<Role>> {
    let page = store.read(move |conn| role::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a role
///
/// Makes a role of the bank's own. Tokens and staff records name it by its code.
#[utoipa::path(tag = "roles", request_body = NewRole, responses((status = 201, description = "The new role", body = Role)),
    security(("bearer" = ["role.manage"])))]
#[post("")]
async fn create_role(caller: Caller, store: Data<Store>, body: Json<NewRole>) -> Answer<Role> {
    let made = store.write(move |tx| role::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/roles/{}", made.id), made.version, made))
}

/// Get a role
///
/// One role with what it grants.
#[utoipa::path(tag = "roles", params(("role_id" = RoleId, Path, description = "Id of the role")),
    responses((status = 200, description = "The role", body = Role)), security(("bearer" = ["role.read"])))]
#[get("/{role_id}")]
async fn get_role(caller: Caller, store: Data<Store>, id: Path<Role>) -> Answer<Role> {
    let found = store.glance(move |conn| role::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a role
///
/// Changes the given fields (JSON Merge Patch); lists replace the present ones. Built-in roles keep their names.
#[utoipa::path(tag = "roles", params(("role_id" = RoleId, Path, description = "Id of the role")), request_body = RolePatch,
    responses((status = 200, description = "The changed role", body = Role)), security(("bearer" = ["role.manage"])))]
#[patch("/{role_id}")]
async fn update_role(
    caller: Caller,
    store: Data<Store>,
    id: Path<Role>,
    version: IfMatch,
    body: Json<RolePatch>,
) -> Answer<Role> {
    let changed = store.write(move |tx| role::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
