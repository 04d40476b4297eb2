//! Signatures after Standard Webhooks 1.0: HMAC-SHA256 over id, time and body, by each secret that still counts.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use kehu_kernel::{Error, Result};
use sha2::Sha256;

const PREFIX: &str = "whsec_";

/// A new secret: 256 random bits, as receivers keep it.
#[must_use]
pub fn generate() -> String {
    format!("{PREFIX}{}", BASE64.encode(rand::random::<[u8; 32]>()))
}

/// What stands in `webhook-signature`: a signature by each secret, the present one first.
///
/// # Errors
/// [`Error::Internal`] for what is no secret.
pub fn sign<'a>(id: &str, timestamp: i64, body: &str, secrets: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let content = format!("{id}.{timestamp}.{body}");
    let by = |secret: &str| {
        let key = secret.strip_prefix(PREFIX).and_then(|text| BASE64.decode(text).ok());
        let key = key.ok_or_else(|| Error::internal("a secret of a webhook is no secret"))?;
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).map_err(Error::internal_display)?;
        mac.update(content.as_bytes());
        Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
    };
    let all: Vec<String> = secrets.into_iter().map(by).collect::<Result<_>>()?;
    Ok(all.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &str = "{\"test\": 2432232314}";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_vector_of_the_standard_is_signed_alike() {
        assert_eq!(sign(ID, AT, BODY, [SECRET]).unwrap(), SIGNATURE);
        let other = generate();
        let both = sign(ID, AT, BODY, [other.as_str(), SECRET]).unwrap();
        assert_eq!(both.split(' ').nth(1), Some(SIGNATURE));
    }

    #[test]
    fn id_time_body_and_secret_all_count() {
        let other = generate();
        for (id, at, body, secret) in [
            ("msg_x", AT, BODY, SECRET),
            (ID, AT + 1, BODY, SECRET),
            (ID, AT, "{\"test\":2432232314}", SECRET),
            (ID, AT, BODY, other.as_str()),
        ] {
            assert_ne!(sign(id, at, body, [secret]).unwrap(), SIGNATURE);
        }
    }

    #[test]
    fn secrets_have_the_form_of_the_standard() {
        let secret = generate();
        assert_eq!(BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap().len(), 32);
        assert_ne!(secret, generate());
        assert!(sign(ID, AT, BODY, ["secret"]).is_err());
    }
}
