//! Who the caller is and may do, and why.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Explanation, Reference, Result,
    access::{self, ActorKind, Decision, FieldClass, Resource},
    schema::{account_links, accounts, assignments, branches, customers, staff},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actor::{self, Claims},
    branch::BranchId,
    role::RoleGrant,
    staff::{self as people, Staff, StaffId, StaffStatus},
};

/// Who the caller is and what they may do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Me {
    /// The subject of the token: an employee number, a client id or a customer id.
    #[schema(example = "E100482", max_length = 128)]
    pub subject: String,
    /// What kind of caller it is.
    pub kind: ActorKind,
    /// Codes of the caller's roles.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 50)]
    pub roles: Vec<String>,
    /// What the roles grant together, within the scope of the token.
    #[schema(max_items = 200)]
    pub grants: Vec<RoleGrant>,
    /// The classes of fields that the roles show together.
    #[schema(max_items = 4)]
    pub field_classes: Vec<FieldClass>,
    /// The branch at which the caller works.
    pub branch: Option<Reference>,
    /// The caller's staff record, if there is one.
    pub staff: Option<Staff>,
    /// The customer that the caller is.
    pub customer_id: Option<AnyId>,
    /// The machine client that acts for the caller.
    #[schema(max_length = 128)]
    pub on_behalf_by: Option<String>,
}

/// Which decision is to be explained.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccessQuery {
    /// What is to be done.
    #[param(example = "customer.read")]
    pub action: Action,
    /// The customer to which it is to be done.
    pub customer_id: Option<AnyId>,
    /// The account to which it is to be done; instead of a customer.
    pub account_id: Option<AnyId>,
    /// Number of the staff member who is to do it, with the roles of their record; the caller unless given.
    /// Needs `access.explain`.
    #[param(max_length = 32, example = "E100482")]
    pub subject: Option<String>,
}

/// A decision with its reasons.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccessDecision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The steps that led there.
    pub explanation: Explanation,
}

impl From<Decision> for AccessDecision {
    fn from(decision: Decision) -> Self {
        Self { allowed: decision.allowed, explanation: decision.explanation }
    }
}

/// Who the caller is. Everybody may ask.
///
/// # Errors
/// The database's.
pub fn me(conn: &mut Conn, actor: &Actor) -> Result<Me> {
    let branch = match &actor.branch {
        Some(place) => {
            let name: Option<String> = branches::table.find(place.id).select(branches::name).first(&mut conn.db).optional()?;
            name.map(|name| Reference::new(place.id, name))
        }
        None => None,
    };
    let staff = match actor.staff_id {
        Some(id) => Some(people::find(conn, id.cast())?),
        None => None,
    };
    Ok(Me {
        subject: actor.subject.clone(),
        kind: actor.kind,
        roles: actor.roles.clone(),
        grants: actor.grants.actions().map(|(action, depth)| RoleGrant { action, depth }).collect(),
        field_classes: actor.grants.classes().collect(),
        branch,
        staff,
        customer_id: actor.customer_id,
        on_behalf_by: actor.on_behalf_by.clone(),
    })
}

/// Explains a decision: the caller's own, or with `access.explain` that of a staff member within its reach.
/// Without a customer or an account it tells whether the action is granted at all.
///
/// # Errors
/// [`Error::NotFound`] for a customer, account or person out of the caller's sight; [`Error::Forbidden`] when asking
/// about others without `access.explain`; [`Error::Invalid`] for a customer and an account at once.
pub fn explain(conn: &mut Conn, actor: &Actor, query: &AccessQuery) -> Result<AccessDecision> {
    let whose = match &query.subject {
        Some(number) if *number != actor.subject => match subject(conn, actor, number)? {
            Subject::Active(other) => other,
            Subject::Inactive => return Ok(refused(number, query.action).into()),
        },
        _ => Box::new(actor.clone()),
    };
    let (reading, resources) = match (query.customer_id, query.account_id) {
        (None, None) => return Ok(access::may(&whose, query.action).into()),
        (Some(id), None) => (Action::CustomerRead, customers_of(conn, &[id])?),
        (None, Some(id)) => (Action::AccountRead, account(conn, id)?),
        (Some(_), Some(_)) => {
            return Err(Error::invalid("?account_id", "one_resource", "Ask about a customer or about an account."));
        }
    };
    if !decide(actor, reading, &resources)?.allowed {
        return Err(Error::NotFound);
    }
    Ok(decide(&whose, query.action, &resources)?.into())
}

enum Subject {
    Active(Box<Actor>),
    Inactive,
}

/// Somebody else, as the roles of their staff record make them.
fn subject(conn: &mut Conn, asker: &Actor, number: &str) -> Result<Subject> {
    let reach = asker.allow(Action::AccessExplain)?;
    let (id, branch, status): (StaffId, BranchId, StaffStatus) = staff::table
        .filter(staff::employee_no.eq(number))
        .select((staff::id, staff::branch_id, staff::status))
        .first(&mut conn.db)?;
    let path: String = branches::table.find(branch).select(branches::path).first(&mut conn.db)?;
    let person = Resource { customer_id: None, branch_path: Some(path), assigned_staff: vec![id.cast()] };
    if !reach.covers(&person).0 {
        return Err(Error::NotFound);
    }
    if status == StaffStatus::Inactive {
        return Ok(Subject::Inactive);
    }
    let claims = Claims {
        subject: number.to_owned(),
        kind: ActorKind::Staff,
        roles: Vec::new(),
        branch_code: None,
        scopes: None,
        customer_id: None,
        purpose: None,
    };
    Ok(Subject::Active(Box::new(actor::resolve(conn, &claims)?)))
}

fn refused(number: &str, action: Action) -> Decision {
    let mut explanation = Explanation::new("access.can", 1).input("subject", number).input("action", action.as_str());
    let allowed = explanation.step("the staff member is active", false, "deactivated staff may do nothing");
    Decision { allowed, explanation }
}

/// An account is within reach by its own branch or by any of its customers: one of the resources is enough.
fn decide(actor: &Actor, action: Action, resources: &[Resource]) -> Result<Decision> {
    let mut decisions = resources.iter().map(|resource| access::can(actor, action, resource));
    let first = decisions.next().ok_or(Error::NotFound)?;
    if first.allowed {
        return Ok(first);
    }
    Ok(decisions.find(|decision| decision.allowed).unwrap_or(first))
}

/// What decisions look at in an account: its branch, then each customer who has a link to it today.
fn account(conn: &mut Conn, id: AnyId) -> Result<Vec<Resource>> {
    let branch: Option<AnyId> = accounts::table.find(id).select(accounts::branch_id).first(&mut conn.db)?;
    let path = match branch {
        Some(branch) => Some(branches::table.find(branch).select(branches::path).first(&mut conn.db)?),
        None => None,
    };
    let today = conn.now.date();
    let lasts = account_links::valid_to.is_null().or(account_links::valid_to.assume_not_null().gt(today));
    let holders: Vec<AnyId> = account_links::table
        .filter(account_links::account_id.eq(id))
        .filter(account_links::valid_from.le(today).and(lasts))
        .select(account_links::customer_id)
        .load(&mut conn.db)?;
    let mut resources = vec![Resource { branch_path: path, ..Resource::default() }];
    resources.extend(customers_of(conn, &holders)?);
    Ok(resources)
}

/// What decisions look at in customers. Absorbed and erased ones are out of everybody's sight.
fn customers_of(conn: &mut Conn, ids: &[AnyId]) -> Result<Vec<Resource>> {
    let homes: Vec<(AnyId, Option<AnyId>)> = customers::table
        .filter(customers::id.eq_any(ids))
        .filter(customers::merged_into.is_null())
        .filter(customers::erased_at.is_null())
        .select((customers::id, customers::home_branch_id))
        .load(&mut conn.db)?;
    let places: Vec<(AnyId, String)> = branches::table
        .filter(branches::id.eq_any(homes.iter().filter_map(|(_, branch)| *branch)))
        .select((branches::id, branches::path))
        .load(&mut conn.db)?;
    let assigned: Vec<(AnyId, AnyId)> = assignments::table
        .filter(assignments::customer_id.eq_any(ids))
        .filter(assignments::valid_to.is_null())
        .select((assignments::customer_id, assignments::staff_id))
        .load(&mut conn.db)?;
    let resource = |(id, home): (AnyId, Option<AnyId>)| Resource {
        customer_id: Some(id),
        branch_path: places.iter().find(|(branch, _)| Some(*branch) == home).map(|(_, path)| path.clone()),
        assigned_staff: assigned.iter().filter(|(customer, _)| *customer == id).map(|(_, staff)| *staff).collect(),
    };
    Ok(homes.into_iter().map(resource).collect())
}
