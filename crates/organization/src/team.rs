//! Teams: people who reach each other's customers where a role reaches the team.

use std::collections::BTreeSet;

use diesel::{
    AsChangeset, BoolExpressionMethods, ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable,
    SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, FieldError, Id, Instant, Page, PageParams, Reference, Result, Tx,
    access::Reach,
    bulk_insert,
    error::taken,
    event::NewEvent,
    patch,
    schema::{branches, staff, team_members, teams},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{
    branch::BranchId,
    staff::{StaffId, StaffStatus, check_place},
};

/// Identifier of a team.
pub type TeamId = Id<Team>;

text_enum! {
    /// Whether a team works together.
    pub enum TeamStatus {
        /// Works together: its members reach each other's customers where a role reaches the team.
        Active = "active",
        /// Dissolved; it gives no reach any more.
        Closed = "closed",
    }
}

text_enum! {
    /// What somebody is in a team.
    pub enum TeamRole {
        /// Leads the team.
        Lead = "lead",
        /// Belongs to the team.
        Member = "member",
    }
}

/// A team.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Team {
    /// Identifier of the team.
    pub id: TeamId,
    /// The bank's own code of the team; unique, and never changed.
    #[schema(example = "SH-CORP-1", max_length = 32)]
    pub code: String,
    /// Name of the team.
    #[schema(example = "Shanghai corporate clients", max_length = 200)]
    pub name: String,
    /// The branch to which it belongs; null for a team of the bank as a whole.
    pub branch: Option<Reference>,
    /// Whether it works together.
    pub status: TeamStatus,
    /// Its present members, leads first.
    #[schema(max_items = 200)]
    pub members: Vec<TeamMember>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// Somebody in a team.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TeamMember {
    /// Who it is.
    pub staff: Reference,
    /// What they are in the team.
    pub role: TeamRole,
    /// Since when.
    pub valid_from: Date,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = teams, treat_none_as_default_value = false)]
struct TeamRow {
    id: TeamId,
    code: String,
    name: String,
    branch_id: Option<BranchId>,
    status: TeamStatus,
    created_at: Instant,
    updated_at: Instant,
    version: i64,
}

#[derive(Insertable)]
#[diesel(table_name = team_members, treat_none_as_default_value = false)]
struct MemberRow {
    id: Id<TeamMember>,
    team_id: TeamId,
    staff_id: StaffId,
    role: TeamRole,
    valid_from: Date,
    valid_to: Option<Date>,
}

/// A team to be created.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewTeam {
    /// The bank's own code of the team: letters, digits, `-` and `_`; unique.
    #[schema(example = "SH-CORP-1", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the team.
    #[schema(min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// The branch to which it belongs; absent for a team of the bank as a whole.
    pub branch_id: Option<BranchId>,
    /// Its members; each person once.
    #[serde(default)]
    #[schema(max_items = 200)]
    #[validate(length(max = 200))]
    pub members: Vec<NewTeamMember>,
}

/// Somebody who is to belong to a team.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTeamMember {
    /// Who it is; an active staff member.
    pub staff_id: StaffId,
    /// What they are in the team.
    pub role: TeamRole,
}

/// Changes to a team; what is absent stays.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = teams)]
pub struct TeamPatch {
    /// Name of the team.
    #[schema(nullable = false, value_type = String, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// The branch to which it belongs.
    #[schema(value_type = Option<BranchId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub branch_id: Option<Option<BranchId>>,
    /// Whether it works together.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub status: Option<TeamStatus>,
    /// All its members from now on; who is not among them leaves the team today.
    #[schema(nullable = false, value_type = Vec<NewTeamMember>, max_items = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 200))]
    #[diesel(skip_update)]
    pub members: Option<Vec<NewTeamMember>>,
}

/// Filters of the list of teams.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TeamFilter {
    /// Only teams of this branch.
    pub branch_id: Option<BranchId>,
    /// Only teams to which this staff member belongs now.
    pub staff_id: Option<StaffId>,
    /// Only this status.
    #[param(example = "active")]
    pub status: Option<TeamStatus>,
}

/// Teams with their present members, in the order of their codes.
///
/// # Errors
/// [`Error::Forbidden`] without `staff.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &TeamFilter, params: &PageParams) -> Result<Page<Team>> {
    actor.allow(Action::StaffRead)?;
    let window = params.window::<String>(&conn.keys, &format!("teams?{filter:?}"))?;
    let matching = || {
        let mut query = teams::table.into_boxed();
        if let Some(branch) = filter.branch_id {
            query = query.filter(teams::branch_id.eq(branch));
        }
        if let Some(person) = filter.staff_id {
            let of = team_members::table.filter(team_members::staff_id.eq(person).and(team_members::valid_to.is_null()));
            query = query.filter(teams::id.eq_any(of.select(team_members::team_id)));
        }
        if let Some(status) = filter.status {
            query = query.filter(teams::status.eq(status));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(teams::code).limit(window.fetch()).select(TeamRow::as_select());
    if let Some(after) = &window.after {
        query = query.filter(teams::code.gt(after.clone()));
    }
    let rows: Vec<TeamRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |team| team.code.clone())?;
    let items = present(conn, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// Forms a team.
///
/// # Errors
/// [`Error::Invalid`] for unknown, inactive or repeated members; [`Error::Forbidden`] when the branch or a member's
/// branch is out of reach; [`Error::Conflict`] `team_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewTeam) -> Result<Team> {
    let reach = actor.allow(Action::StaffManage)?;
    check_branch(tx, &reach, new.branch_id)?;
    let row = TeamRow {
        id: TeamId::new(),
        code: new.code,
        name: new.name,
        branch_id: new.branch_id,
        status: TeamStatus::Active,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    let inserted = diesel::insert_into(teams::table).values(&row).execute(&mut tx.db);
    inserted.map_err(taken("team_code_taken", "Another team has this code."))?;
    set_members(tx, &reach, row.id, &new.members)?;
    tx.emit(actor, NewEvent::new("team.created", row.id, json!({ "code": row.code })));
    find(tx, row.id)
}

/// Changes a team that still has the version the caller saw.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: TeamId, version: i64, change: &TeamPatch) -> Result<Team> {
    let reach = actor.allow(Action::StaffManage)?;
    let before: TeamRow = teams::table.find(id).select(TeamRow::as_select()).first(&mut tx.db)?;
    check_branch(tx, &reach, before.branch_id)?;
    if let Some(branch) = change.branch_id {
        check_branch(tx, &reach, branch)?;
    }
    let updated = diesel::update(teams::table.find(id).filter(teams::version.eq(version)))
        .set((change, teams::updated_at.eq(tx.now), teams::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    if updated == 0 {
        let current = teams::table.find(id).select(teams::version).first(&mut tx.db)?;
        return Err(Error::PreconditionFailed { current });
    }
    if let Some(members) = &change.members {
        set_members(tx, &reach, id, members)?;
    }
    tx.emit(actor, NewEvent::new("team.updated", id, json!({ "code": before.code })));
    find(tx, id)
}

/// A team of the bank as a whole can be managed only by whoever manages all staff.
fn check_branch(conn: &mut Conn, reach: &Reach, branch: Option<BranchId>) -> Result<()> {
    match (branch, reach) {
        (Some(branch), _) => check_place(conn, reach, branch),
        (None, Reach::All) => Ok(()),
        (None, _) => Err(Error::Forbidden("A team without a branch needs staff.manage with depth all.".into())),
    }
}

/// Lets people leave and join until the team has exactly these members.
fn set_members(tx: &mut Tx<'_>, reach: &Reach, team: TeamId, wanted: &[NewTeamMember]) -> Result<()> {
    let present: Vec<(Id<TeamMember>, StaffId, TeamRole)> = team_members::table
        .filter(team_members::team_id.eq(team))
        .filter(team_members::valid_to.is_null())
        .select((team_members::id, team_members::staff_id, team_members::role))
        .load(&mut tx.db)?;
    let stays = |staff_id: StaffId, role: TeamRole| wanted.iter().any(|one| one.staff_id == staff_id && one.role == role);
    let leaving: Vec<Id<TeamMember>> =
        present.iter().filter(|(_, staff_id, role)| !stays(*staff_id, *role)).map(|(id, ..)| *id).collect();
    diesel::update(team_members::table.filter(team_members::id.eq_any(leaving)))
        .set(team_members::valid_to.eq(tx.now.date()))
        .execute(&mut tx.db)?;
    let known: BTreeSet<StaffId> = present.iter().map(|(_, staff_id, _)| *staff_id).collect();
    check_joining(tx, reach, wanted, &known)?;
    let joining = wanted.iter().filter(|one| !present.iter().any(|(_, id, role)| *id == one.staff_id && *role == one.role));
    let rows: Vec<MemberRow> = joining
        .map(|one| MemberRow {
            id: Id::new(),
            team_id: team,
            staff_id: one.staff_id,
            role: one.role,
            valid_from: tx.now.date(),
            valid_to: None,
        })
        .collect();
    bulk_insert!(tx, team_members::table, &rows)?;
    Ok(())
}

/// Who joins has to be there, be active and work within reach: a team opens the customers of its members to
/// each other. Who is in the team already may stay, whatever has become of them.
fn check_joining(conn: &mut Conn, reach: &Reach, wanted: &[NewTeamMember], known: &BTreeSet<StaffId>) -> Result<()> {
    let mut broken = Vec::new();
    let mut seen = BTreeSet::new();
    let ids: Vec<StaffId> = wanted.iter().map(|one| one.staff_id).collect();
    let people: Vec<(StaffId, BranchId, StaffStatus)> =
        staff::table.filter(staff::id.eq_any(&ids)).select((staff::id, staff::branch_id, staff::status)).load(&mut conn.db)?;
    let mut places = BTreeSet::new();
    for (index, id) in ids.iter().enumerate() {
        let fault = match people.iter().find(|(staff_id, ..)| staff_id == id) {
            _ if !seen.insert(*id) => Some(("duplicate", "This person stands here twice.")),
            None => Some(("unknown_staff", "There is no staff member with this id.")),
            Some(_) if known.contains(id) => None,
            Some((_, _, StaffStatus::Inactive)) => Some(("staff_inactive", "This staff member is inactive.")),
            Some((_, branch, StaffStatus::Active)) => {
                places.insert(*branch);
                None
            }
        };
        if let Some((code, message)) = fault {
            broken.push(FieldError::new(format!("/members/{index}/staff_id"), code, message));
        }
    }
    if !broken.is_empty() {
        return Err(Error::Invalid(broken));
    }
    places.into_iter().try_for_each(|branch| check_place(conn, reach, branch))
}

/// One team with its present members.
///
/// # Errors
/// [`Error::Forbidden`] without `staff.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: TeamId) -> Result<Team> {
    actor.allow(Action::StaffRead)?;
    find(conn, id)
}

fn find(conn: &mut Conn, id: TeamId) -> Result<Team> {
    let row: TeamRow = teams::table.find(id).select(TeamRow::as_select()).first(&mut conn.db)?;
    present(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

/// Adds branches and members, with two queries for any number of teams.
fn present(conn: &mut Conn, rows: Vec<TeamRow>) -> Result<Vec<Team>> {
    let homes: Vec<BranchId> = rows.iter().filter_map(|row| row.branch_id).collect();
    let names: Vec<(BranchId, String)> =
        branches::table.filter(branches::id.eq_any(homes)).select((branches::id, branches::name)).load(&mut conn.db)?;
    let ids: Vec<TeamId> = rows.iter().map(|row| row.id).collect();
    let members: Vec<(TeamId, StaffId, String, TeamRole, Date)> = team_members::table
        .inner_join(staff::table.on(team_members::staff_id.eq(staff::id)))
        .filter(team_members::team_id.eq_any(ids))
        .filter(team_members::valid_to.is_null())
        .order((team_members::role, staff::employee_no))
        .select((team_members::team_id, staff::id, staff::name, team_members::role, team_members::valid_from))
        .load(&mut conn.db)?;
    let of_team = |team: TeamId| {
        let own = members.iter().filter(move |(id, ..)| *id == team);
        own.map(|(_, id, name, role, since)| TeamMember {
            staff: Reference::new(*id, name.clone()),
            role: *role,
            valid_from: *since,
        })
        .collect()
    };
    let place = |branch: BranchId| names.iter().find(|(id, _)| *id == branch).map(|(id, name)| Reference::new(*id, name.clone()));
    let teams = rows.into_iter().map(|row| Team {
        members: of_team(row.id),
        branch: row.branch_id.and_then(place),
        id: row.id,
        code: row.code,
        name: row.name,
        status: row.status,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    });
    Ok(teams.collect())
}
