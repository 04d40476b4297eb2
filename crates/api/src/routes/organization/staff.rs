//! `/v1/staff`

use actix_web::{get, patch, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use kehu_organization::{
    portfolio::{self, Portfolio},
    staff::{self, NewStaff, Staff, StaffDeactivation, StaffFilter, StaffId, StaffPatch},
};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_staff)
        .service(create_staff)
        .service(get_staff)
        .service(update_staff)
        .service(deactivate_staff)
        .service(get_portfolio);
}

/// List staff
///
/// The people of the bank, in the order of their numbers.
#[utoipa::path(tag = "staff", params(StaffFilter, PageParams), responses((status = 200, description = "A page of staff", body = Page<Staff>)),
    security(("bearer" = ["staff.read"])))]
#[get("")]
async fn list_staff(caller: Caller, store: Data<Store>, query: ListQuery<StaffFilter>) -> Answer<Page<Staff>> {
    let page = store.read(move |conn| staff::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a staff member
///
/// Records that somebody works at a branch within reach. Whoever does not manage the staff of the whole bank can only give
/// roles that grant no more than the own ones.
#[utoipa::path(tag = "staff", request_body = NewStaff, responses((status = 201, description = "The new staff member", body = Staff)),
    security(("bearer" = ["staff.manage"])))]
#[post("")]
async fn create_staff(caller: Caller, store: Data<Store>, body: Json<NewStaff>) -> Answer<Staff> {
    let made = store.write(move |tx| staff::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/staff/{}", made.id), made.version, made))
}

/// Get a staff member
///
/// One staff member by the id of the record.
#[utoipa::path(tag = "staff", params(("staff_id" = StaffId, Path, description = "Id of the staff member")),
    responses((status = 200, description = "The staff member", body = Staff)), security(("bearer" = ["staff.read"])))]
#[get("/{staff_id}")]
async fn get_staff(caller: Caller, store: Data<Store>, id: Path<Staff>) -> Answer<Staff> {
    let found = store.glance(move |conn| staff::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a staff member
///
/// Changes the given fields (JSON Merge Patch). New roles count within seconds.
#[utoipa::path(tag = "staff", params(("staff_id" = StaffId, Path, description = "Id of the staff member")), request_body = StaffPatch,
    responses((status = 200, description = "The changed staff member", body = Staff)), security(("bearer" = ["staff.manage"])))]
#[patch("/{staff_id}")]
async fn update_staff(
    caller: Caller,
    store: Data<Store>,
    id: Path<Staff>,
    version: IfMatch,
    body: Json<StaffPatch>,
) -> Answer<Staff> {
    let changed = store.write(move |tx| staff::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Deactivate a staff member
///
/// Ends somebody's access: tokens of theirs are refused within seconds. Their customers stay assigned until they are handed over.
#[utoipa::path(tag = "staff", params(("staff_id" = StaffId, Path, description = "Id of the staff member"), IfMatchHeader), request_body = StaffDeactivation,
    responses((status = 200, description = "The deactivated staff member", body = Staff)), security(("bearer" = ["staff.manage"])))]
#[post("/{staff_id}/deactivate")]
async fn deactivate_staff(
    caller: Caller,
    store: Data<Store>,
    id: Path<Staff>,
    version: IfMatch,
    body: Json<StaffDeactivation>,
) -> Answer<Staff> {
    let changed = store.write(move |tx| staff::deactivate(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}

/// Get a portfolio
///
/// How many customers a staff member looks after now, as what, and how many more they can take. `list_assignments` lists
/// them, `list_account_due_dates` what falls due on their accounts.
#[utoipa::path(tag = "staff", params(("staff_id" = StaffId, Path, description = "Id of the staff member")),
    responses((status = 200, description = "The portfolio", body = Portfolio)), security(("bearer" = ["assignment.read"])))]
#[get("/{staff_id}/portfolio")]
async fn get_portfolio(caller: Caller, store: Data<Store>, id: Path<Staff>) -> Answer<Portfolio> {
    let found = store.read(move |conn| portfolio::get(conn, &caller, id.0)).await?;
    Ok(Reply::ok(found))
}
