//! Groups that follow rules: their refresh, and the cells of a matrix

use actix_web::{get, post, web::Data};
use kehu_group::{
    Group, GroupId,
    by_rule::{self, GroupFreshness, GroupMatrix, GroupMatrixQuery, GroupRefresh},
};
use kehu_kernel::{Store, job::Job};

use crate::{
    extract::{Caller, Json, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(refresh_group).service(get_group_freshness).service(get_group_matrix);
}

/// Refresh a group
///
/// Makes the members of a dynamic group, or of the cells of a matrix, follow its rule, in the background. Kehu does so by itself
/// when the rule is made or changed, once a day where it counts days, and within a minute after anything was written of customers
/// whom it may concern. Whoever comes and whoever leaves has an event. Called twice, it finds nothing to do the second time.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")), request_body = GroupRefresh,
    responses((status = 202, description = "The job", body = Job)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/refresh")]
async fn refresh_group(caller: Caller, store: Data<Store>, id: Path<Group>, body: Json<GroupRefresh>) -> Answer<Job> {
    let job = store.write(move |tx| by_rule::request(tx, &caller, id.0, body.0.full)).await?;
    Ok(Reply::accepted(format!("/v1/jobs/{}", job.id), job))
}

/// Get how fresh a group is
///
/// When the members of a dynamic group or a matrix were last made to follow its rule, and how much was written since.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")),
    responses((status = 200, description = "How fresh it is", body = GroupFreshness)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/freshness")]
async fn get_group_freshness(caller: Caller, store: Data<Store>, id: Path<Group>) -> Answer<GroupFreshness> {
    let found = store.glance(move |conn| by_rule::fresh::of(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}

/// Get a matrix
///
/// The dimensions of a matrix with their parts, and its cells, each with the number of those members whom the caller sees, on
/// any day.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), GroupMatrixQuery),
    responses((status = 200, description = "The matrix", body = GroupMatrix)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/matrix")]
async fn get_group_matrix(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    query: Query<GroupMatrixQuery>,
) -> Answer<GroupMatrix> {
    let found = store.read(move |conn| by_rule::matrix::of(conn, &caller, id.0, query.0)).await?;
    Ok(Reply::ok(found))
}
