//! `/v1/groups/{group_id}/members` and what groups share

use actix_web::{get, post, web::Data};
use kehu_group::{
    Group, GroupId, GroupMember,
    member::{self, GroupMemberFilter, GroupMembersChange, GroupMembersEnd, NewGroupMembers},
    overlap::{self, GroupOverlap, GroupOverlapQuery},
};
use kehu_kernel::{Page, PageParams, Store};

use crate::{
    extract::{Caller, Json, ListQuery, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_group_members).service(add_group_members).service(end_group_members).service(group_overlap);
}

/// List the members of a group
///
/// Who is in the group, or was on a day, or ever, in the order in which the memberships were recorded. Members whom the caller does
/// not see as customers are neither listed nor counted.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), GroupMemberFilter, PageParams),
    responses((status = 200, description = "A page of members", body = Page<GroupMember>)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/members")]
async fn list_group_members(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    query: ListQuery<GroupMemberFilter>,
) -> Answer<Page<GroupMember>> {
    let page = store.read(move |conn| member::list(conn, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Add members to a group
///
/// Puts up to 1,000 customers into a group, all of them or none. Of one customer in one group no two memberships hold on
/// the same day, and of a group no two primary members: such an addition is refused with 409 and names what stands in the way.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")), request_body = NewGroupMembers,
    responses((status = 200, description = "The new memberships", body = GroupMembersChange)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/members")]
async fn add_group_members(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    body: Json<NewGroupMembers>,
) -> Answer<GroupMembersChange> {
    let added = store.write(move |tx| member::add(tx, &caller, id.0, body.0.clone())).await?;
    Ok(Reply::ok(added))
}

/// End memberships of a group
///
/// Takes up to 1,000 customers out of a group, all of them or none. The memberships stay on record with their end and its reason.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group")), request_body = GroupMembersEnd,
    responses((status = 200, description = "The ended memberships", body = GroupMembersChange)), security(("bearer" = ["group.manage"])))]
#[post("/{group_id}/end-members")]
async fn end_group_members(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    body: Json<GroupMembersEnd>,
) -> Answer<GroupMembersChange> {
    let ended = store.write(move |tx| member::end(tx, &caller, id.0, &body.0)).await?;
    Ok(Reply::ok(ended))
}

/// Compare a group with others
///
/// How many members a group shares with others on a day, and which part of each that is; of the customers whom the caller sees.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), GroupOverlapQuery),
    responses((status = 200, description = "What they share", body = GroupOverlap)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/overlap")]
async fn group_overlap(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    query: Query<GroupOverlapQuery>,
) -> Answer<GroupOverlap> {
    let found = store.read(move |conn| overlap::of(conn, &caller, id.0, &query.0)).await?;
    Ok(Reply::ok(found))
}
