//! `/v1/assignments`

use actix_web::{get, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use kehu_organization::assignment::{
    self, Assignment, AssignmentEnd, AssignmentFilter, AssignmentId, BulkAssignment, BulkAssignmentReport, NewAssignment,
};

use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_assignments)
        .service(create_assignment)
        .service(get_assignment)
        .service(bulk_assign)
        .service(end_assignment);
}

/// List assignments
///
/// Who looks after which customer, now and in the past, of the customers within reach.
#[utoipa::path(tag = "assignments", params(AssignmentFilter, PageParams),
    responses((status = 200, description = "A page of assignments", body = Page<Assignment>)),
    security(("bearer" = ["assignment.read"])))]
#[get("")]
async fn list_assignments(caller: Caller, store: Data<Store>, query: ListQuery<AssignmentFilter>) -> Answer<Page<Assignment>> {
    let page = store.read(move |conn| assignment::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create an assignment
///
/// Gives a customer somebody who looks after it. Of the primarily responsible there is one at a time, who becomes the
/// customer's owner; another one is a conflict until that assignment has ended, and so is one more customer than the
/// person can look after.
#[utoipa::path(tag = "assignments", request_body = NewAssignment, responses((status = 201, description = "The new assignment", body = Assignment)),
    security(("bearer" = ["assignment.manage"])))]
#[post("")]
async fn create_assignment(caller: Caller, store: Data<Store>, body: Json<NewAssignment>) -> Answer<Assignment> {
    let made = store.write(move |tx| assignment::create(tx, &caller, &body.0)).await?;
    Ok(Reply::created(format!("/v1/assignments/{}", made.id), made.version, made))
}

/// Get an assignment
///
/// One assignment, of now or of the past, of a customer within reach.
#[utoipa::path(tag = "assignments", params(("assignment_id" = AssignmentId, Path, description = "Id of the assignment")),
    responses((status = 200, description = "The assignment", body = Assignment)), security(("bearer" = ["assignment.read"])))]
#[get("/{assignment_id}")]
async fn get_assignment(caller: Caller, store: Data<Store>, id: Path<Assignment>) -> Answer<Assignment> {
    let found = store.glance(move |conn| assignment::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Assign many customers
///
/// Gives up to 1,000 customers to one person, with `replace` also those for whom somebody else is primarily responsible.
/// Each customer stands alone: the report says which were refused and why.
#[utoipa::path(tag = "assignments", request_body = BulkAssignment,
    responses((status = 200, description = "What became of each customer", body = BulkAssignmentReport)),
    security(("bearer" = ["assignment.manage"])))]
#[post("/bulk")]
async fn bulk_assign(caller: Caller, store: Data<Store>, body: Json<BulkAssignment>) -> Answer<BulkAssignmentReport> {
    let report = store.write(move |tx| assignment::assign(tx, &caller, &body.0)).await?;
    Ok(Reply::ok(report))
}

/// End an assignment
///
/// Closes the assignment and keeps it in the history. A customer whose primary one ends has no owner until the next.
#[utoipa::path(tag = "assignments", params(("assignment_id" = AssignmentId, Path, description = "Id of the assignment"), IfMatchHeader),
    request_body = AssignmentEnd, responses((status = 200, description = "The ended assignment", body = Assignment)),
    security(("bearer" = ["assignment.manage"])))]
#[post("/{assignment_id}/end")]
async fn end_assignment(
    caller: Caller,
    store: Data<Store>,
    id: Path<Assignment>,
    version: IfMatch,
    body: Json<AssignmentEnd>,
) -> Answer<Assignment> {
    let ended = store.write(move |tx| assignment::end(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(ended.version, ended))
}
