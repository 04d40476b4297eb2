//! Splitting and merging groups, and where they came from

use actix_web::{get, post, web::Data};
use kehu_group::{
    Group, GroupId,
    regroup::{self, GroupLineage, GroupLineageEntry, GroupMerge, GroupSplit},
};
use kehu_kernel::Store;

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(split_group).service(merge_groups).service(get_group_lineage);
}

/// Split a group
///
/// Members go to other groups, new ones or those that are there, today: their memberships end here and go on there, so that who
/// was where on any day stays known. Rests on a forecast of a split of this group, and says what it is for; the lineage keeps both.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), IfMatchHeader), request_body = GroupSplit,
    responses((status = 200, description = "What was done", body = GroupLineageEntry)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/split")]
async fn split_group(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    version: IfMatch,
    body: Json<GroupSplit>,
) -> Answer<GroupLineageEntry> {
    let done = store.write(move |tx| regroup::split(tx, &caller, id.0, version.0, body.0.clone())).await?;
    Ok(Reply::ok(done))
}

/// Merge groups
///
/// All members of other groups of the same kind go over to this one today, and these groups are closed unless they are to be kept.
/// Whoever is in this group already stays as they are. Rests on a forecast of a merge of these groups, and says what it is for.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group that stays"), IfMatchHeader), request_body = GroupMerge,
    responses((status = 200, description = "What was done", body = GroupLineageEntry)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/merge")]
async fn merge_groups(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    version: IfMatch,
    body: Json<GroupMerge>,
) -> Answer<GroupLineageEntry> {
    let done = store.write(move |tx| regroup::merge(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::ok(done))
}

/// Get a group's lineage
///
/// Every split and merge that led to the group, and every one it went into, through other groups too.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")),
    responses((status = 200, description = "Its lineage", body = GroupLineage)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/lineage")]
async fn get_group_lineage(caller: Caller, store: Data<Store>, id: Path<Group>) -> Answer<GroupLineage> {
    let found = store.read(move |conn| regroup::lineage(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}
