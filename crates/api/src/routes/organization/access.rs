//! `/v1/me` and `/v1/access`

use actix_web::{get, web::Data};
use kehu_kernel::Store;
use kehu_organization::access::{self, AccessDecision, AccessQuery, Me};

use crate::{
    extract::{Caller, Query},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operation of `/v1/me`.
pub fn configure_me(config: &mut ServiceConfig<'_>) {
    config.service(get_me);
}

/// The operation of `/v1/access`.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(explain_access);
}

/// Get the caller
///
/// Who the caller is: roles, what they grant and how far, the classes of fields that they show, branch and staff record.
#[utoipa::path(tag = "access", responses((status = 200, description = "The caller", body = Me)), security(("bearer" = [])))]
#[get("")]
async fn get_me(caller: Caller, store: Data<Store>) -> Answer<Me> {
    let me = store.read(move |conn| access::me(conn, &caller)).await?;
    Ok(Reply::ok(me))
}

/// Explain access
///
/// Why something is allowed or refused: the caller's own decisions, or with `access.explain` those of a staff member.
/// Without a customer or an account it tells whether the action is granted at all. What the caller may not see is a 404.
#[utoipa::path(tag = "access", params(AccessQuery), responses((status = 200, description = "The decision", body = AccessDecision), (status = 404, description = "No such customer or account")),
    security(("bearer" = [])))]
#[get("/explain")]
async fn explain_access(caller: Caller, store: Data<Store>, query: Query<AccessQuery>) -> Answer<AccessDecision> {
    let decision = store.read(move |conn| access::explain(conn, &caller, &query.0)).await?;
    Ok(Reply::ok(decision))
}
