//! From claims to an actor: a person, a customer, a machine client; and a client that acts for a person.

use std::sync::Arc;

use diesel::{OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Result,
    access::{ActorKind, BranchPlace, Grants},
    schema::branches,
};
use kehu_organization::{actor, role};

use crate::{
    auth,
    client::{self, ON_BEHALF_OF},
};

/// The actor of a verified token. `person` is whom the caller names in `X-On-Behalf-Of`.
///
/// # Errors
/// [`Error::NotFound`] for a client that was revoked; [`Error::Forbidden`] for deactivated staff, and for a caller
/// that may not act for this person.
pub fn resolve(conn: &mut Conn, claims: &auth::Claims, person: Option<&str>) -> Result<Actor> {
    match (claims.machine, person) {
        (true, None) => machine(conn, claims),
        (true, Some(person)) => {
            let client = machine(conn, claims)?;
            act_for(conn, claims, &client, person)
        }
        (false, None) => by_token(conn, claims),
        (false, Some(_)) => Err(Error::Forbidden("Only machine clients act on behalf of somebody.".into())),
    }
}

fn by_token(conn: &mut Conn, claims: &auth::Claims) -> Result<Actor> {
    let customer = match claims.customer_id.as_deref().map(str::parse::<AnyId>) {
        Some(Err(_)) => return Err(Error::Forbidden("The token's customer_id is no id.".into())),
        Some(Ok(id)) => Some(id),
        None => None,
    };
    let said = actor::Claims {
        subject: claims.sub.clone(),
        kind: ActorKind::Staff,
        roles: claims.roles.clone(),
        branch_code: claims.branch.clone(),
        scopes: limits(claims.scope.as_deref()),
        customer_id: customer,
        purpose: claims.purpose.clone(),
    };
    actor::resolve(conn, &said)
}

/// The actions that a scope names. A scope that names none (`openid profile`) limits nothing.
fn limits(scope: Option<&str>) -> Option<Vec<String>> {
    let words = scope?.split_ascii_whitespace().filter(|word| word.parse::<Action>().is_ok());
    let words: Vec<String> = words.map(ToOwned::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// A client's rights are those of its record at this moment, within what its token was issued for.
fn machine(conn: &mut Conn, claims: &auth::Claims) -> Result<Actor> {
    let client = client::active(conn, &claims.sub)?.ok_or(Error::NotFound)?;
    let asked: Vec<String> = claims.scope.as_deref().unwrap_or("").split_ascii_whitespace().map(ToOwned::to_owned).collect();
    let granted = client::limited(&role::grants_of(conn, &client.roles.0)?, &client.scopes.0);
    let branch = match client.branch_id {
        Some(id) => place(conn, id.cast())?,
        None => None,
    };
    Ok(Actor {
        subject: client.client_id,
        kind: ActorKind::Machine,
        roles: client.roles.0,
        grants: Arc::new(client::limited(&granted, &asked)),
        branch,
        ..Actor::system()
    })
}

fn place(conn: &mut Conn, id: AnyId) -> Result<Option<BranchPlace>> {
    let path: Option<String> = branches::table
        .find(id.cast::<kehu_organization::branch::Branch>())
        .select(branches::path)
        .first(&mut conn.db)
        .optional()?;
    Ok(path.map(|path| BranchPlace { id, path }))
}

/// The person, with what both the person and the client may do.
fn act_for(conn: &mut Conn, claims: &auth::Claims, client: &Actor, person: &str) -> Result<Actor> {
    let record = client::active(conn, &claims.sub)?.ok_or(Error::NotFound)?;
    let asked = claims.scope.as_deref().unwrap_or("").split_ascii_whitespace().any(|word| word == ON_BEHALF_OF);
    if !asked || !record.scopes.0.iter().any(|scope| scope == ON_BEHALF_OF) {
        return Err(Error::Forbidden("This client may not act on behalf of others.".into()));
    }
    let said = actor::Claims {
        subject: person.to_owned(),
        kind: ActorKind::Staff,
        // The record of the person says, not the client.
        roles: Vec::new(),
        branch_code: None,
        scopes: None,
        customer_id: None,
        purpose: None,
    };
    let found = actor::resolve(conn, &said)?;
    if found.staff_id.is_none() {
        return Err(Error::Forbidden("X-On-Behalf-Of names nobody who works here.".into()));
    }
    let grants = Arc::new(common(&found.grants, &client.grants));
    Ok(Actor { grants, on_behalf_by: Some(client.subject.clone()), ..found })
}

/// What both grant, as far as the person's rights reach.
fn common(person: &Grants, client: &Grants) -> Grants {
    let mut common = Grants::default();
    person.actions().filter(|(action, _)| client.depth(*action).is_some()).for_each(|(action, depth)| common.add(action, depth));
    person.classes().filter(|class| client.sees(*class)).for_each(|class| common.add_class(class));
    common
}
