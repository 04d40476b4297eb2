//! What a token says, and the rules of time and audience that it must keep.

use std::time::Duration;

use kehu_kernel::Instant;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// How far the clocks of issuer and server may be apart.
const LEEWAY: Duration = Duration::from_secs(30);

/// The claims of a token that was verified.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who calls: an employee number, a customer's id, a machine client's id.
    #[serde(default)]
    pub sub: String,
    /// When the token ends, in seconds since the epoch.
    pub exp: serde_json::Number,
    /// From when on it holds.
    pub nbf: Option<serde_json::Number>,
    /// Who issued it.
    pub iss: Option<String>,
    /// For whom it was issued.
    aud: Option<Audience>,
    /// Codes of the caller's roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Code of the branch at which the caller works.
    pub branch: Option<String>,
    /// The actions that the token is limited to, separated by spaces.
    pub scope: Option<String>,
    /// The customer of a `customer_self` token.
    pub customer_id: Option<String>,
    /// Why sensitive data is read.
    pub purpose: Option<String>,
    /// Whether Kehu itself issued the token, to a machine client.
    #[serde(skip)]
    pub machine: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Claims {
    /// Checks everything about the claims that does not depend on the signature.
    pub(super) fn check(&self, issuer: &str, audience: &str, now: Instant) -> Result<(), Refusal> {
        self.check_time(now)?;
        let for_us = match &self.aud {
            Some(Audience::One(one)) => one == audience,
            Some(Audience::Many(many)) => many.iter().any(|one| one == audience),
            None => false,
        };
        if self.iss.as_deref() != Some(issuer) || !for_us {
            return Err(Refusal::Stranger);
        }
        let plain = !self.sub.is_empty() && self.sub.len() <= 128 && self.sub.chars().all(|c| !c.is_control());
        if plain { Ok(()) } else { Err(Refusal::Invalid) }
    }

    /// Whether the token holds at this instant; asked again each time a cached token is used.
    pub(crate) fn check_time(&self, now: Instant) -> Result<(), Refusal> {
        if at(&self.exp)?.plus(LEEWAY) <= now {
            return Err(Refusal::Expired);
        }
        match &self.nbf {
            Some(nbf) if at(nbf)?.minus(LEEWAY) > now => Err(Refusal::Early),
            _ => Ok(()),
        }
    }

    /// When the token stops being taken.
    pub(crate) fn ends(&self) -> Option<Instant> {
        at(&self.exp).ok().map(|exp| exp.plus(LEEWAY))
    }

    /// When the token ends.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        at(&self.exp).ok()
    }
}

/// A NumericDate (RFC 7519) may have a fraction, and a token may claim any number.
fn at(number: &serde_json::Number) -> Result<Instant, Refusal> {
    if let Some(seconds) = number.as_i64() {
        return Ok(Instant::from_seconds(seconds));
    }
    let whole = number.as_f64().filter(|seconds| seconds.is_finite() && seconds.abs() < 1e12).ok_or(Refusal::Invalid)?;
    let millis = Duration::try_from_secs_f64(whole.abs()).map_err(|_| Refusal::Invalid)?;
    let epoch = Instant::from_micros(0);
    Ok(if whole < 0.0 { epoch.minus(millis) } else { epoch.plus(millis) })
}
