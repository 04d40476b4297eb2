//! `/v1/branches`

use actix_web::{get, patch, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use kehu_organization::branch::{self, Branch, BranchFilter, BranchId, BranchMove, BranchPatch, NewBranch};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_branches).service(create_branch).service(get_branch).service(update_branch).service(move_branch);
}

/// List branches
///
/// The branches in the order of the tree: each one stands before what lies below it.
#[utoipa::path(tag = "branches", params(BranchFilter, PageParams), responses((status = 200, description = "A page of branches", body = Page<Branch>)),
    security(("bearer" = ["branch.read"])))]
#[get("")]
async fn list_branches(caller: Caller, store: Data<Store>, query: ListQuery<BranchFilter>) -> Answer<Page<Branch>> {
    let page = store.read(move |conn| branch::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a branch
///
/// Opens a branch under another one. Only the head office has no branch above it.
#[utoipa::path(tag = "branches", request_body = NewBranch, responses((status = 201, description = "The new branch", body = Branch)),
    security(("bearer" = ["branch.manage"])))]
#[post("")]
async fn create_branch(caller: Caller, store: Data<Store>, body: Json<NewBranch>) -> Answer<Branch> {
    let made = store.write(move |tx| branch::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/branches/{}", made.id), made.version, made))
}

/// Get a branch
///
/// One branch by its id.
#[utoipa::path(tag = "branches", params(("branch_id" = BranchId, Path, description = "Id of the branch")),
    responses((status = 200, description = "The branch", body = Branch)), security(("bearer" = ["branch.read"])))]
#[get("/{branch_id}")]
async fn get_branch(caller: Caller, store: Data<Store>, id: Path<Branch>) -> Answer<Branch> {
    let found = store.glance(move |conn| branch::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a branch
///
/// Changes the given fields (JSON Merge Patch). Use `move_branch` to hang it under another branch.
#[utoipa::path(tag = "branches", params(("branch_id" = BranchId, Path, description = "Id of the branch")), request_body = BranchPatch,
    responses((status = 200, description = "The changed branch", body = Branch)), security(("bearer" = ["branch.manage"])))]
#[patch("/{branch_id}")]
async fn update_branch(
    caller: Caller,
    store: Data<Store>,
    id: Path<Branch>,
    version: IfMatch,
    body: Json<BranchPatch>,
) -> Answer<Branch> {
    let changed = store.write(move |tx| branch::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Move a branch
///
/// Hangs the branch, with everything below it, under another branch and keeps the old place in the history.
#[utoipa::path(tag = "branches", params(("branch_id" = BranchId, Path, description = "Id of the branch"), IfMatchHeader), request_body = BranchMove,
    responses((status = 200, description = "The moved branch", body = Branch)), security(("bearer" = ["branch.manage"])))]
#[post("/{branch_id}/move")]
async fn move_branch(
    caller: Caller,
    store: Data<Store>,
    id: Path<Branch>,
    version: IfMatch,
    body: Json<BranchMove>,
) -> Answer<Branch> {
    let moved = store.write(move |tx| branch::relocate(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::versioned(moved.version, moved))
}
