//! Public keys of an issuer (RFC 7517), from a file or a URL: pinned to one algorithm each, kept in
//! memory, read again periodically and when a token names a key that is not known yet.

use std::{
    collections::HashMap,
    io::Read,
    path::PathBuf,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use kehu_kernel::{Error, Instant, Result, time::Clock};

/// A key set is not asked for more often than this, however many unknown keys are named.
const MIN_INTERVAL: Duration = Duration::from_secs(15);
/// A key set of an issuer is small; more is no key set.
const MAX_BYTES: u64 = 256 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key and the only algorithm that it may be used with.
#[derive(Clone)]
pub(super) struct PinnedKey {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

enum Source {
    File(PathBuf),
    Url(String),
}

/// The key set of an issuer.
pub struct Jwks {
    source: Source,
    refresh: Duration,
    clock: Clock,
    known: RwLock<Known>,
    /// One fetch at a time; the others wait for its result.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, PinnedKey>,
    tried_at: Option<Instant>,
}

impl Jwks {
    /// A key set at a path or an `https://` URL (`http://` for the same machine), read anew every `refresh`.
    #[must_use]
    pub fn new(location: &str, refresh: Duration, clock: Clock) -> Self {
        let remote = location.starts_with("https://") || location.starts_with("http://");
        let source = if remote { Source::Url(location.to_owned()) } else { Source::File(PathBuf::from(location)) };
        Self { source, refresh, clock, known: RwLock::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// Reads the key set now.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be had, [`Error::Invalid`] when it holds no usable key.
    pub fn load(&self) -> Result<()> {
        let result = self.source.read().and_then(|text| parse(&text));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.tried_at = Some(self.clock.now());
        known.keys = result?;
        Ok(())
    }

    /// The key of this id; without an id the only key of the set, if it has only one.
    pub(super) async fn key(self: &std::sync::Arc<Self>, id: Option<&str>) -> Option<PinnedKey> {
        let found = self.find(id);
        let age = self.age();
        let due = age.is_none_or(|age| age >= if found.is_some() { self.refresh } else { MIN_INTERVAL });
        if !due {
            return found;
        }
        // Whoever has a known key need not wait for the request that fetches.
        if found.is_some() && self.fetching.try_lock().is_err() {
            return found;
        }
        self.reload(age).await;
        // A key that the issuer has withdrawn is gone now; when the issuer was silent, the old keys stay.
        self.find(id)
    }

    async fn reload(self: &std::sync::Arc<Self>, seen: Option<Duration>) {
        let _one = self.fetching.lock().await;
        if seen.is_some() && self.age() < seen {
            return;
        }
        let set = std::sync::Arc::clone(self);
        let outcome = tokio::task::spawn_blocking(move || set.load()).await;
        if let Ok(Err(error)) = outcome {
            log::warn!("the key set cannot be read, the keys known before stay in use: {error}");
        }
    }

    fn find(&self, id: Option<&str>) -> Option<PinnedKey> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => known.keys.get(id).cloned(),
            None if known.keys.len() == 1 => known.keys.values().next().cloned(),
            None => None,
        }
    }

    fn age(&self) -> Option<Duration> {
        let tried = self.known.read().unwrap_or_else(PoisonError::into_inner).tried_at?;
        Some(Duration::from_micros(u64::try_from(self.clock.now().micros() - tried.micros()).unwrap_or(0)))
    }
}

impl Source {
    fn read(&self) -> Result<String> {
        match self {
            Self::File(path) => std::fs::read_to_string(path)
                .map_err(|error| Error::Unavailable(format!("the key set {} cannot be read: {error}", path.display()))),
            Self::Url(url) => {
                fetch(url).map_err(|error| Error::Unavailable(format!("the key set {url} cannot be fetched: {error}")))
            }
        }
    }
}

fn fetch(url: &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(2).build().into();
    let mut response = agent.get(url).call()?;
    let mut text = String::new();
    response.body_mut().as_reader().take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a key set; keys that Kehu cannot or must not use are left out.
fn parse(text: &str) -> Result<HashMap<String, PinnedKey>> {
    let set: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::invalid("/jwks", "invalid_json", error.to_string()))?;
    let listed = set.get("keys").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    let mut keys = HashMap::new();
    for (position, value) in listed.into_iter().enumerate() {
        let Ok(jwk) = serde_json::from_value::<Jwk>(value) else { continue };
        let id = jwk.common.key_id.clone().unwrap_or_else(|| format!("#{position}"));
        let Some(algorithm) = algorithm_of(&jwk) else { continue };
        let Ok(key) = DecodingKey::from_jwk(&jwk) else { continue };
        keys.insert(id, PinnedKey { algorithm, key });
    }
    if keys.is_empty() {
        return Err(Error::invalid("/jwks", "no_usable_key", "The key set holds no key for RS256/384/512, ES256/384 or EdDSA."));
    }
    Ok(keys)
}

/// The one algorithm of a key: its own `alg`, else the usual one of its type. Shared secrets, keys for
/// encryption and short RSA keys have none.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let signs = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let verifies = jwk.common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    if !signs || !verifies {
        return None;
    }
    let stated = jwk.common.key_algorithm;
    match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if rsa.n.len() >= 342 => match stated {
            None | Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
            Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
            Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
            Some(_) => None,
        },
        AlgorithmParameters::EllipticCurve(curve) => match (&curve.curve, stated) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Some(Algorithm::ES256),
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Some(Algorithm::ES384),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => match (&pair.curve, stated) {
            (EllipticCurve::Ed25519, None | Some(KeyAlgorithm::EdDSA)) => Some(Algorithm::EdDSA),
            _ => None,
        },
        _ => None,
    }
}
