//! From the claims of a verified token to the actor: who it is, where, and what the roles grant.

use std::sync::Arc;

use diesel::{ExpressionMethods, JoinOnDsl, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::{Customer, CustomerId, scope};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Result,
    access::{ActorKind, BranchPlace, Grants},
    schema::{branches, customers, roles, staff, team_members, teams},
};

use crate::{
    role::{self, CUSTOMER_SELF, Role},
    staff::{StaffRow, StaffStatus},
    team::TeamStatus,
};

/// What a verified token says about its bearer. The answer of [`resolve`] depends on nothing else but the
/// database, so it may be kept for a few seconds under these claims.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claims {
    /// An employee number, the id of a machine client, or the id of a customer.
    pub subject: String,
    /// What kind of caller it is; whoever has the role `customer_self` is a customer in any case.
    pub kind: ActorKind,
    /// Codes of the roles; when there are none, those of the staff record count.
    pub roles: Vec<String>,
    /// Code of the branch; when absent, that of the staff record counts.
    pub branch_code: Option<String>,
    /// Names of the actions to which the token is limited; absent: no limit.
    pub scopes: Option<Vec<String>>,
    /// The customer of a `customer_self` token.
    pub customer_id: Option<AnyId>,
    /// Why sensitive data is read. Not decisive, so a cache may leave it out and set it on the actor.
    pub purpose: Option<String>,
}

/// The actor of a token.
///
/// A staff member need not have a record, then the token alone counts; one who was deactivated comes in no more.
/// A branch that does not exist is no place: roles that reach by branch then reach nothing.
///
/// # Errors
/// [`Error::Forbidden`] for deactivated staff, for a customer's token without a customer, and for a token that
/// claims to be Kehu itself.
pub fn resolve(conn: &mut Conn, claims: &Claims) -> Result<Actor> {
    let kind = if claims.roles.iter().any(|role| role == CUSTOMER_SELF) { ActorKind::Customer } else { claims.kind };
    match kind {
        ActorKind::Staff => resolve_staff(conn, claims),
        ActorKind::Machine => {
            let branch = branch_of(conn, claims, None)?;
            Ok(Actor { branch, ..bare(conn, claims, kind, claims.roles.clone())? })
        }
        ActorKind::Customer => {
            let nobody = || Error::Forbidden("The token of a customer has to name the customer.".into());
            itself(conn, claims, claims.customer_id.ok_or_else(nobody)?)
        }
        ActorKind::System => Err(Error::Forbidden("No token acts as Kehu itself.".into())),
    }
}

fn resolve_staff(conn: &mut Conn, claims: &Claims) -> Result<Actor> {
    let record: Option<StaffRow> = staff::table
        .filter(staff::employee_no.eq(&claims.subject))
        .select(StaffRow::as_select())
        .first(&mut conn.db)
        .optional()?;
    if record.as_ref().is_some_and(|record| record.status == StaffStatus::Inactive) {
        return Err(Error::Forbidden("This staff member was deactivated.".into()));
    }
    let roles = match &record {
        Some(record) if claims.roles.is_empty() => record.roles.0.clone(),
        _ => claims.roles.clone(),
    };
    let branch = branch_of(conn, claims, record.as_ref())?;
    let staff_id: Option<AnyId> = record.map(|record| record.id.cast());
    let team_staff = match staff_id {
        Some(id) => team_of(conn, id)?,
        None => Vec::new(),
    };
    Ok(Actor { staff_id, team_staff, branch, customer_id: None, ..bare(conn, claims, ActorKind::Staff, roles)? })
}

/// A customer. One whose record was merged into another is that one from then on, with the same token; whether it was, is
/// asked together with the role.
fn itself(conn: &mut Conn, claims: &Claims, id: AnyId) -> Result<Actor> {
    let merged_into = customers::table.find(id.cast::<Customer>()).select(customers::merged_into).single_value();
    let found: Option<(Role, Option<CustomerId>)> = roles::table
        .filter(roles::code.eq(CUSTOMER_SELF))
        .select((Role::as_select(), merged_into))
        .first(&mut conn.db)
        .optional()?;
    let (role, next) = found.unzip();
    let customer = match next.flatten() {
        Some(next) => scope::survivor(conn, next)?.unwrap_or(next).cast(),
        None => id,
    };
    let grants = role.map(|role| role::together(&[role])).unwrap_or_default();
    let actor = granted(claims, ActorKind::Customer, vec![CUSTOMER_SELF.to_owned()], grants);
    Ok(Actor { customer_id: Some(customer), ..actor })
}

/// The actor without a place in the bank.
fn bare(conn: &mut Conn, claims: &Claims, kind: ActorKind, roles: Vec<String>) -> Result<Actor> {
    let grants = role::grants_of(conn, &roles)?;
    Ok(granted(claims, kind, roles, grants))
}

fn granted(claims: &Claims, kind: ActorKind, roles: Vec<String>, mut grants: Grants) -> Actor {
    if let Some(scopes) = &claims.scopes {
        restrict(&mut grants, scopes);
    }
    Actor {
        subject: claims.subject.clone(),
        kind,
        roles,
        grants: Arc::new(grants),
        customer_id: claims.customer_id,
        purpose: claims.purpose.clone(),
        ..Actor::system()
    }
}

fn restrict(grants: &mut Grants, scopes: &[String]) {
    grants.restrict(|action: Action| scopes.iter().any(|scope| scope == action.as_str()));
}

/// The place of the token, or else of the staff record.
fn branch_of(conn: &mut Conn, claims: &Claims, record: Option<&StaffRow>) -> Result<Option<BranchPlace>> {
    let mut query = branches::table.select((branches::id, branches::path)).into_boxed();
    query = match (&claims.branch_code, record) {
        (Some(code), _) => query.filter(branches::code.eq(code.clone())),
        (None, Some(record)) => query.filter(branches::id.eq(record.branch_id)),
        (None, None) => return Ok(None),
    };
    let place: Option<(AnyId, String)> = query.first(&mut conn.db).optional()?;
    Ok(place.map(|(id, path)| BranchPlace { id, path }))
}

/// The staff of all active teams of one member, that member included.
fn team_of(conn: &mut Conn, id: AnyId) -> Result<Vec<AnyId>> {
    let mine: Vec<AnyId> = team_members::table
        .inner_join(teams::table.on(team_members::team_id.eq(teams::id)))
        .filter(team_members::staff_id.eq(id))
        .filter(team_members::valid_to.is_null())
        .filter(teams::status.eq(TeamStatus::Active))
        .select(team_members::team_id)
        .load(&mut conn.db)?;
    let mut colleagues: Vec<AnyId> = team_members::table
        .filter(team_members::team_id.eq_any(mine))
        .filter(team_members::valid_to.is_null())
        .select(team_members::staff_id)
        .load(&mut conn.db)?;
    colleagues.push(id);
    colleagues.sort_unstable();
    colleagues.dedup();
    Ok(colleagues)
}
