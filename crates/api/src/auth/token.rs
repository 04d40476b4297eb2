//! Tokens that Kehu issues itself: to machine clients, and to developers on the command line.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kehu_kernel::{Error, Instant, Result, crypto::Keyring};
use serde_json::json;

use super::AuthConfig;

/// Key id of the tokens of machine clients.
pub(super) const OWN_KEY_ID: &str = "kehu-client";
/// Issuer of the tokens of machine clients.
pub(super) const OWN_ISSUER: &str = "kehu:clients";

/// The key of our own tokens: derived from the installation's index key, so that there is no further
/// secret to keep, and every server of an installation knows it.
pub(super) fn own_key(keys: &Keyring) -> Vec<u8> {
    keys.blind_index("jwt.clients", OWN_ISSUER)
}

/// A token of a machine client. Its rights are not in it: they are read from the client's record.
///
/// # Errors
/// [`Error::Internal`] only.
pub fn for_client(keys: &Keyring, audience: &str, client_id: &str, scope: &str, now: Instant, life: Duration) -> Result<String> {
    let header = Header { kid: Some(OWN_KEY_ID.into()), typ: Some("at+jwt".into()), ..Header::new(Algorithm::HS256) };
    let claims = json!({
        "iss": OWN_ISSUER, "aud": audience, "sub": client_id, "client_id": client_id, "scope": scope,
        "iat": now.seconds(), "exp": now.plus(life).seconds(), "jti": kehu_kernel::AnyId::new(),
    });
    encode(&header, &claims, &EncodingKey::from_secret(&own_key(keys))).map_err(Error::internal)
}

/// What a developer's token says.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// Code of the role.
    pub role: String,
    /// Employee number of the person.
    pub staff: Option<String>,
    /// Id of the customer, for the role `customer_self`.
    pub customer: Option<String>,
    /// Code of the branch.
    pub branch: Option<String>,
    /// How long it holds.
    pub life: Duration,
}

/// A token signed with the shared secret; for development and for tests.
///
/// # Errors
/// [`Error::Invalid`] when there is no shared secret: an issuer with a key set signs its own tokens.
pub fn issue(config: &AuthConfig, request: &TokenRequest, now: Instant) -> Result<String> {
    let secret = config.secret.as_deref().ok_or_else(|| {
        Error::invalid("/jwt_secret", "no_secret", "Tokens are issued by whoever owns the key set; there is no shared secret.")
    })?;
    let subject = request.staff.as_deref().or(request.customer.as_deref()).unwrap_or(&request.role);
    let claims = json!({
        "iss": config.issuer, "aud": config.audience, "sub": subject, "roles": [request.role], "branch": request.branch,
        "customer_id": request.customer, "iat": now.seconds(), "exp": now.plus(request.life).seconds(),
    });
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(secret.as_bytes())).map_err(Error::internal)
}
