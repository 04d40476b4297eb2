//! Secrets of machine clients: 256 random bits, kept as argon2id hashes.

use argon2::{
    Argon2, PasswordHash,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use kehu_kernel::{Error, Instant, Result};

use super::Client;

/// A fresh secret and its hash. Slow on purpose: run it on a blocking thread.
///
/// # Errors
/// [`Error::Internal`] only.
pub fn fresh() -> Result<(String, String)> {
    let random: [u8; 32] = rand::random();
    let secret = format!("kehu_{}", BASE64.encode(random));
    let hash = Argon2::default().hash_password(secret.as_bytes()).map_err(Error::internal_display)?;
    Ok((secret, hash.to_string()))
}

/// Whether a secret is the client's present one, or the one before within its grace period. Takes as long for a client that
/// does not exist, or has no secret before: always two hashes. Slow on purpose: run it on a blocking thread.
#[must_use]
pub fn is_of(client: Option<&Client>, secret: &str, now: Instant) -> bool {
    let previous = client.and_then(|client| {
        client.previous_secret_hash.as_deref().filter(|_| client.previous_valid_until.is_some_and(|until| now < until))
    });
    // Nothing matches the decoy; the time is spent all the same.
    let present = matches(client.map_or(DECOY, |client| &client.secret_hash), secret);
    let before = matches(previous.unwrap_or(DECOY), secret);
    present | before
}

/// A hash of nothing anybody knows, with the parameters of the real ones.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn matches(hash: &str, secret: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_fits_its_own_hash_only() {
        let ((one, hash), (two, _)) = (fresh().unwrap(), fresh().unwrap());
        assert!(matches(&hash, &one) && !matches(&hash, &two));
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }

    #[test]
    fn the_decoy_is_a_hash_of_the_same_cost() {
        assert!(PasswordHash::new(DECOY).is_ok() && !is_of(None, "anything", Instant::from_seconds(0)));
    }
}
