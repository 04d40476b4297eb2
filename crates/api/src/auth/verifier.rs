//! Verification of bearer tokens after RFC 8725: the key decides the algorithm, never the token.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use kehu_kernel::{Error, Result, crypto::Keyring, time::Clock};
use serde::de::IgnoredAny;

use super::{
    Claims, DEVELOPMENT_SECRET,
    jwks::{Jwks, PinnedKey},
    token,
};

/// No token of ours or of any known issuer is longer.
const MAX_TOKEN: usize = 8 * 1024;
/// HS256 wants a key at least as long as its hash (RFC 7518).
const MIN_SECRET: usize = 32;

/// Which tokens are trusted.
#[derive(Clone)]
pub struct AuthConfig {
    /// Shared secret of HS256 tokens.
    pub secret: Option<String>,
    /// Path or URL of the issuer's key set.
    pub jwks: Option<String>,
    /// The issuer (`iss`) that tokens must name.
    pub issuer: String,
    /// The audience (`aud`) that tokens must name.
    pub audience: String,
    /// How often the key set is read anew.
    pub refresh: Duration,
    /// How long a resolved caller is remembered: changes of roles take effect after this time.
    pub memory: Duration,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthConfig(secret: {}, jwks: {:?}, issuer: {})", self.secret.is_some(), self.jwks, self.issuer)
    }
}

impl AuthConfig {
    /// The given secret and key set; the development secret when there is neither.
    #[must_use]
    pub fn new(secret: Option<String>, jwks: Option<String>) -> Self {
        let secret = if jwks.is_none() { Some(secret.unwrap_or_else(|| DEVELOPMENT_SECRET.into())) } else { secret };
        Self {
            secret,
            jwks,
            issuer: "kehu".into(),
            audience: "kehu".into(),
            refresh: Duration::from_secs(600),
            memory: Duration::from_secs(5),
        }
    }

    /// Whether tokens can be forged by everybody who has read the source.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.secret.as_deref() == Some(DEVELOPMENT_SECRET)
    }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token of this server: the wrong shape, key, algorithm or signature.
    Invalid,
    /// Over.
    Expired,
    /// Not valid yet.
    Early,
    /// From another issuer or for another audience.
    Stranger,
}

impl Refusal {
    /// The refusal in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Invalid => "The token is not valid.",
            Self::Expired => "The token has expired.",
            Self::Early => "The token is not valid yet.",
            Self::Stranger => "The token was not issued for this server.",
        }
    }
}

/// Verifies tokens.
pub struct Verifier {
    config: AuthConfig,
    clock: Clock,
    secret: Option<PinnedKey>,
    own: PinnedKey,
    jwks: Option<Arc<Jwks>>,
}

impl Verifier {
    /// Makes a verifier and reads its key set for the first time.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a short secret or an unusable key set file.
    pub fn new(config: AuthConfig, keys: &Keyring, clock: Clock) -> Result<Self> {
        if config.secret.as_ref().is_some_and(|secret| secret.len() < MIN_SECRET) {
            return Err(Error::invalid("/jwt_secret", "too_short", "A shared secret of HS256 has at least 32 bytes."));
        }
        let shared = |secret: &[u8]| PinnedKey { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) };
        let jwks = config.jwks.as_deref().map(|location| Arc::new(Jwks::new(location, config.refresh, clock.clone())));
        if let Some(set) = &jwks {
            match set.load() {
                // An issuer that is down while Kehu starts is asked again with the first token.
                Err(Error::Unavailable(cause)) => log::warn!("{cause}"),
                other => other?,
            }
        }
        Ok(Self {
            secret: config.secret.as_ref().map(|secret| shared(secret.as_bytes())),
            own: shared(&token::own_key(keys)),
            config,
            clock,
            jwks,
        })
    }

    /// What was configured.
    #[must_use]
    pub const fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// The claims of a token that can be trusted.
    ///
    /// # Errors
    /// The [`Refusal`].
    pub async fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Invalid);
        }
        let header = decode_header(token).map_err(|_| Refusal::Invalid)?;
        // Extensions that we would have to understand, we do not (RFC 7515, 4.1.11).
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_token_type) {
            return Err(Refusal::Invalid);
        }
        let machine = header.kid.as_deref() == Some(token::OWN_KEY_ID);
        let key = self.key(header.kid.as_deref(), header.alg).await.ok_or(Refusal::Invalid)?;
        let mut claims = read(token, &key)?;
        let issuer = if machine { token::OWN_ISSUER } else { &self.config.issuer };
        claims.check(issuer, &self.config.audience, self.clock.now())?;
        claims.machine = machine;
        Ok(claims)
    }

    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Option<PinnedKey> {
        let key = match (id, &self.jwks) {
            (Some(token::OWN_KEY_ID), _) => Some(self.own.clone()),
            (None, _) if algorithm == Algorithm::HS256 => self.secret.clone(),
            (id, Some(set)) => set.key(id).await,
            _ => None,
        };
        key.filter(|key| key.algorithm == algorithm)
    }
}

fn is_token_type(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.strip_prefix("application/").unwrap_or(&name), "jwt" | "at+jwt")
}

/// Checks the signature with the one algorithm of the key. Times and audience are checked by [`Claims::check`], by the clock of
/// the store.
fn read(token: &str, key: &PinnedKey) -> Result<Claims, Refusal> {
    let mut rules = Validation::new(key.algorithm);
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules.required_spec_claims.clear();
    decode::<IgnoredAny>(token, &key.key, &rules).map_err(|_| Refusal::Invalid)?;
    // Read from the text itself, where a claim that stands twice still does (RFC 7519, section 4).
    let claims = token.split('.').nth(1).and_then(|part| BASE64.decode(part).ok()).ok_or(Refusal::Invalid)?;
    // To serde a list is a struct, too.
    if claims.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::Invalid);
    }
    serde_json::from_slice(&claims).map_err(|_| Refusal::Invalid)
}
