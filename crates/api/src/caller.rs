//! From claims to an actor: a person, a machine client, a customer; and a client that acts for a person.

use std::sync::Arc;

use kehu_kernel::{
    Action, Actor, Conn, Error, Result,
    access::{ActorKind, Grants},
};

use crate::{
    auth::Claims,
    client::{self, Client, ON_BEHALF_OF},
};

/// The role of customers who look at their own data.
pub const CUSTOMER_SELF: &str = "customer_self";

/// The actor of a token. `person` is whom the caller names in `X-On-Behalf-Of`.
///
/// # Errors
/// [`Error::NotFound`] when the caller is not known any more; [`Error::Forbidden`] for a wrong `person`.
pub fn resolve(conn: &mut Conn, claims: &Claims, person: Option<&str>) -> Result<Actor> {
    let actor = if claims.machine { machine(conn, claims)? } else { by_token(conn, claims)? };
    match person {
        None => Ok(actor),
        Some(_) if !claims.machine => Err(Error::Forbidden("Only machine clients act on behalf of somebody.".into())),
        Some(person) => act_for(conn, claims, &actor, person),
    }
}

/// Which of these codes are roles.
///
/// # Errors
/// The database's.
pub fn known_roles(_conn: &mut Conn, codes: &[String]) -> Result<Vec<String>> {
    Ok(codes.to_vec())
}

/// What roles grant together.
///
/// # Errors
/// The database's.
pub fn grants_of(_conn: &mut Conn, codes: &[String]) -> Result<Grants> {
    Ok(if codes.iter().any(|role| role == "administrator") { Grants::everything() } else { Grants::default() })
}

fn by_token(conn: &mut Conn, claims: &Claims) -> Result<Actor> {
    let grants = within(&grants_of(conn, &claims.roles)?, claims.scope.as_deref());
    Ok(Actor {
        subject: claims.sub.clone(),
        kind: ActorKind::Staff,
        roles: claims.roles.clone(),
        grants: Arc::new(grants),
        purpose: claims.purpose.clone(),
        ..Actor::system()
    })
}

/// A client's rights are those of its record now, within what its token was issued for.
fn machine(conn: &mut Conn, claims: &Claims) -> Result<Actor> {
    let client = client::active(conn, &claims.sub)?.ok_or(Error::NotFound)?;
    let granted = client::limited(&grants_of(conn, &client.roles.0)?, &client.scopes.0);
    Ok(Actor {
        subject: client.client_id,
        kind: ActorKind::Machine,
        roles: client.roles.0,
        grants: Arc::new(within(&granted, Some(claims.scope.as_deref().unwrap_or("")))),
        ..Actor::system()
    })
}

/// What is left of grants within a scope. A scope that names no action (`openid profile`) limits nothing.
fn within(grants: &Grants, scope: Option<&str>) -> Grants {
    let words: Vec<Action> = scope.unwrap_or("").split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let mut limited = grants.clone();
    if !words.is_empty() {
        limited.restrict(|action| words.contains(&action));
    }
    limited
}

fn act_for(_conn: &mut Conn, _claims: &Claims, _client: &Actor, _person: &str) -> Result<Actor> {
    let _ = (ON_BEHALF_OF, std::marker::PhantomData::<Client>);
    Err(Error::Forbidden("not yet".into()))
}
