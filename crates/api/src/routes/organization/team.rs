//! `/v1/teams`

use actix_web::{get, patch, post, web::Data};
use kehu_kernel::{Page, PageParams, Store};
use kehu_organization::team::{self, NewTeam, Team, TeamFilter, TeamId, TeamPatch};

use crate::{
    extract::{Caller, IfMatch, Json, ListQuery, Path},
    reply::{Answer, Reply},
    routes::ServiceConfig,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_teams).service(create_team).service(get_team).service(update_team);
}

/// List teams
///
/// Teams with their present members, in the order of their codes.
#[utoipa::path(tag = "teams", params(TeamFilter, PageParams), responses((status = 200, description = "A page of teams", body = Page<Team>)),
    security(("bearer" = ["staff.read"])))]
#[get("")]
async fn list_teams(caller: Caller, store: Data<Store>, query: ListQuery<TeamFilter>) -> Answer<Page<Team>> {
    let page = store.read(move |conn| team::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create a team
///
/// Forms a team. Its members reach each other's customers where their roles reach the team.
#[utoipa::path(tag = "teams", request_body = NewTeam, responses((status = 201, description = "The new team", body = Team)),
    security(("bearer" = ["staff.manage"])))]
#[post("")]
async fn create_team(caller: Caller, store: Data<Store>, body: Json<NewTeam>) -> Answer<Team> {
    let made = store.write(move |tx| team::create(tx, &caller, body.0.clone())).await?;
    Ok(Reply::created(format!("/v1/teams/{}", made.id), made.version, made))
}

/// Get a team
///
/// One team with its present members.
#[utoipa::path(tag = "teams", params(("team_id" = TeamId, Path, description = "Id of the team")),
    responses((status = 200, description = "The team", body = Team)), security(("bearer" = ["staff.read"])))]
#[get("/{team_id}")]
async fn get_team(caller: Caller, store: Data<Store>, id: Path<Team>) -> Answer<Team> {
    let found = store.glance(move |conn| team::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Update a team
///
/// Changes the given fields (JSON Merge Patch); a list of members replaces the present ones.
#[utoipa::path(tag = "teams", params(("team_id" = TeamId, Path, description = "Id of the team")), request_body = TeamPatch,
    responses((status = 200, description = "The changed team", body = Team)), security(("bearer" = ["staff.manage"])))]
#[patch("/{team_id}")]
async fn update_team(
    caller: Caller,
    store: Data<Store>,
    id: Path<Team>,
    version: IfMatch,
    body: Json<TeamPatch>,
) -> Answer<Team> {
    let changed = store.write(move |tx| team::update(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(changed.version, changed))
}
