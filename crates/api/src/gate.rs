//! From a request to its actor: the token is verified, the roles are resolved.

use std::sync::Arc;

use actix_web::{HttpRequest, http::header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use kehu_kernel::{
    Actor, Store,
    access::{ActorKind, Grants},
};
use serde::Deserialize;

use crate::problem::Problem;

/// The gate that every operation passes.
pub struct Gate {
    store: Store,
    secret: DecodingKey,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    roles: Vec<String>,
}

impl Gate {
    /// A gate for tokens signed with this shared secret.
    #[must_use]
    pub fn new(store: Store, secret: &[u8]) -> Self {
        Self { store, secret: DecodingKey::from_secret(secret) }
    }

    /// The actor of a request.
    ///
    /// # Errors
    /// 401 when the token is missing or not to be trusted.
    pub async fn admit(&self, request: &HttpRequest) -> Result<Actor, Problem> {
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
        let token = header.strip_prefix("Bearer ").ok_or_else(|| Problem::unauthenticated("Send a bearer token."))?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&["kehu"]);
        rules.set_issuer(&["kehu"]);
        let claims = decode::<Claims>(token, &self.secret, &rules)
            .map_err(|_| Problem::unauthenticated("The token is not valid."))?
            .claims;
        let _ = &self.store;
        let grants =
            if claims.roles.iter().any(|role| role == "administrator") { Grants::everything() } else { Grants::default() };
        Ok(Actor {
            subject: claims.sub,
            kind: ActorKind::Staff,
            roles: claims.roles,
            grants: Arc::new(grants),
            ..Actor::system()
        })
    }
}
