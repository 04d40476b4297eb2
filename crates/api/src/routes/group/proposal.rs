//! Groups that could be formed, and what groups have with the bank

use actix_web::{get, post, web::Data};
use kehu_group::{
    Group, GroupId,
    corporate::{self, CorporateGroupProposal, CorporateGroupRequest},
    household::{self, HouseholdProposalRequest, HouseholdProposals},
    preview::{self, GroupPreview, GroupPreviewRequest},
    totals::{self, GroupRollUp, GroupTotalsQuery},
};
use kehu_kernel::Store;

use crate::{
    extract::{Caller, Json, Path, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(preview_group).service(propose_households).service(propose_corporate_group).service(get_group_totals);
}

/// Preview a group
///
/// What a group by a rule would be today, before there is one: how many customers, some of them, which groups they are in
/// already, and what serving them costs. Of the customers whom the caller sees. Needs `customer.read` besides, and the right to
/// read what the rule looks at.
#[utoipa::path(tag = "groups", request_body = GroupPreviewRequest,
    responses((status = 200, description = "What the group would be", body = GroupPreview)), security(("bearer" = ["group.read"])))]
#[post("/preview")]
async fn preview_group(caller: Caller, store: Data<Store>, body: Json<GroupPreviewRequest>) -> Answer<GroupPreview> {
    let found = store.read(move |conn| preview::preview(conn, &caller, &body.0)).await?;
    Ok(Reply::ok(found))
}

/// Propose households
///
/// People who are in no household and whom marriage, parenthood, a shared address or a shared phone ties together, with roles, a
/// primary member and the reasons: of one customer, or of all whom the caller sees, some at a time. An address or a phone that more
/// than 12 people have ties nobody. Nothing is kept. Needs `customer.read` besides.
#[utoipa::path(tag = "groups", request_body = HouseholdProposalRequest,
    responses((status = 200, description = "Households that could be formed", body = HouseholdProposals)), security(("bearer" = ["group.manage"])))]
#[post("/propose-households")]
async fn propose_households(
    caller: Caller,
    store: Data<Store>,
    body: Json<HouseholdProposalRequest>,
) -> Answer<HouseholdProposals> {
    let found = store.read(move |conn| household::propose(conn, &caller, &body.0)).await?;
    Ok(Reply::ok(found))
}

/// Propose a group of companies
///
/// The corporate tree to which a company belongs today as a group, with roles and the company at the top as its primary member.
/// Nothing is kept. Needs `customer.read` besides.
#[utoipa::path(tag = "groups", request_body = CorporateGroupRequest,
    responses((status = 200, description = "The group that could be formed", body = CorporateGroupProposal)), security(("bearer" = ["group.manage"])))]
#[post("/propose-corporate-group")]
async fn propose_corporate_group(
    caller: Caller,
    store: Data<Store>,
    body: Json<CorporateGroupRequest>,
) -> Answer<CorporateGroupProposal> {
    let found = store.read(move |conn| corporate::propose(conn, &caller, &body.0)).await?;
    Ok(Reply::ok(found))
}

/// Get a group's totals
///
/// What the members of a group have with the bank today, with those of the groups below if wanted; of the members whom the caller
/// sees, at most 20,000.
#[utoipa::path(tag = "groups", params(("group_id" = GroupId, Path, description = "Id of the group"), GroupTotalsQuery),
    responses((status = 200, description = "The totals", body = GroupRollUp)), security(("bearer" = ["group.read"])))]
#[get("/{group_id}/totals")]
async fn get_group_totals(
    caller: Caller,
    store: Data<Store>,
    id: Path<Group>,
    query: Query<GroupTotalsQuery>,
) -> Answer<GroupRollUp> {
    let found = store.read(move |conn| totals::of(conn, &caller, id.0, query.0)).await?;
    Ok(Reply::ok(found))
}
