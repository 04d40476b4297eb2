//! `/v1/branches/{branch_id}/relink`: what a branch has passes to another one.

use actix_web::{post, web::Data};
use kehu_account_link::relink::{self, BranchRelink, BranchRelinkPreview};
use kehu_kernel::{Store, job::Job};
use kehu_organization::branch::{Branch, BranchId};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(preview_branch_relink).service(relink_branch);
}

/// Preview the merger of a branch
///
/// How many accounts, customers and staff `relink_branch` would move to another branch. Changes nothing.
#[utoipa::path(tag = "branches", params(("branch_id" = BranchId, Path, description = "Id of the branch")), request_body = BranchRelink,
    responses((status = 200, description = "What would pass", body = BranchRelinkPreview)), security(("bearer" = ["branch.manage"])))]
#[post("/{branch_id}/preview-relink")]
async fn preview_branch_relink(
    caller: Caller,
    store: Data<Store>,
    id: Path<Branch>,
    body: Json<BranchRelink>,
) -> Answer<BranchRelinkPreview> {
    let preview = store.read(move |conn| relink::preview(conn, &caller, id.0, &body.0)).await?;
    Ok(Reply::ok(preview))
}

/// Merge a branch into another one
///
/// Moves all accounts that the branch keeps, all customers whose home it is and all staff who work there to another
/// branch, in the background; customers stay assigned to those who look after them. Each account, customer and staff
/// member has its event. A job that was interrupted goes on where it stopped. The branch itself stays, empty: close it
/// with `update_branch`. One such job at a time.
#[utoipa::path(tag = "branches", params(("branch_id" = BranchId, Path, description = "Id of the branch"), IfMatchHeader), request_body = BranchRelink,
    responses((status = 202, description = "The job", body = Job)), security(("bearer" = ["branch.manage"])))]
#[post("/{branch_id}/relink")]
async fn relink_branch(
    caller: Caller,
    store: Data<Store>,
    id: Path<Branch>,
    version: IfMatch,
    body: Json<BranchRelink>,
) -> Answer<Job> {
    let job = store.write(move |tx| relink::start(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::accepted(format!("/v1/jobs/{}", job.id), job))
}
