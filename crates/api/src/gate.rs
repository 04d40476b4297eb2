//! From a request to its actor: the token is verified, the roles are resolved, headers say for whom and why.
//!
//! Callers are remembered for some seconds, so that most requests ask the database nothing here. A running server looks four
//! times a second whether anybody's rights have changed, on whatever server, and then forgets all callers; as long as it cannot
//! look, it remembers nobody. So a revoked token and a changed role count everywhere within a second.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant as Moment},
};

use actix_web::{
    HttpMessage, HttpRequest,
    http::header::{AUTHORIZATION, HeaderMap},
};
use kehu_kernel::{Actor, Error, Instant, Result, Store, access};
use sha2::{Digest, Sha256};

use crate::{
    auth::{AuthConfig, Claims, Verifier},
    caller,
    export::Asker,
    problem::Problem,
    trace,
};

/// So many callers are remembered at once; then the memory starts anew.
const REMEMBERED: usize = 20_000;
/// How often a server looks whether rights have changed.
const LOOK: Duration = Duration::from_millis(250);
/// For how long callers are remembered after a look.
const TRUSTED: Duration = Duration::from_millis(750);

/// The gate that every operation passes.
pub struct Gate {
    store: Store,
    verifier: Verifier,
    memory: Mutex<Memory>,
}

/// Who was let in lately.
#[derive(Default)]
struct Memory {
    callers: HashMap<[u8; 32], Known>,
    /// The number of changes of rights that these callers were resolved after.
    version: i64,
    /// When that was the number for the last time; `None` where nobody looks.
    looked: Option<Moment>,
}

/// A caller as resolved a moment ago.
#[derive(Clone)]
struct Known {
    claims: Claims,
    actor: Actor,
    until: Instant,
}

/// What the gate said to this request, asked by several layers.
struct Admission(Result<Actor, Problem>);

impl Gate {
    /// A gate for the tokens that are configured.
    ///
    /// # Errors
    /// As [`Verifier::new`].
    pub fn new(store: Store, config: AuthConfig) -> Result<Self> {
        let verifier = Verifier::new(config, store.keys(), store.clock().clone())?;
        Ok(Self { store, verifier, memory: Mutex::default() })
    }

    /// What tokens must be like.
    #[must_use]
    pub const fn config(&self) -> &AuthConfig {
        self.verifier.config()
    }

    /// The actor of a request.
    ///
    /// # Errors
    /// 401 when the token is missing or not to be trusted, 403 when it may not act for the person named.
    pub async fn admit(&self, request: &HttpRequest) -> Result<Actor, Problem> {
        if let Some(Admission(outcome)) = request.extensions().get::<Admission>() {
            return outcome.clone();
        }
        let outcome = self.recognise(request.headers()).await.map(|mut actor| {
            actor.request_id = trace::id_of(&request.extensions());
            actor
        });
        request.extensions_mut().insert(Admission(outcome.clone()));
        outcome
    }

    async fn recognise(&self, headers: &HeaderMap) -> Result<Actor, Problem> {
        let token = bearer(headers)?;
        let person = text(headers, "x-on-behalf-of", 128)?;
        let purpose = text(headers, "x-purpose", 200)?;
        let digest = Sha256::new().chain_update(token).chain_update([0]).chain_update(person.unwrap_or("")).finalize().into();
        let mut actor = match self.recall(&digest)? {
            Some(actor) => actor,
            None => self.resolve(digest, token, person).await?,
        };
        if let Some(purpose) = purpose {
            actor.purpose = Some(purpose.to_owned());
        }
        Ok(actor)
    }

    /// Whose rights count in what goes on after this request, to be looked up anew then.
    ///
    /// # Errors
    /// 401 as [`Gate::admit`].
    pub async fn asker(&self, request: &HttpRequest) -> Result<Asker, Problem> {
        let token = bearer(request.headers())?;
        let person = text(request.headers(), "x-on-behalf-of", 128)?.map(ToOwned::to_owned);
        let claims = self.verifier.verify(token).await.map_err(|refusal| Problem::unauthenticated(refusal.text()))?;
        Ok(Asker::new(claims, person))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all callers if anybody's rights have changed; how long to wait before the next look. Once this was called it
    /// has to be called again and again: callers are remembered for less than a second after it.
    pub fn look(&self) -> Duration {
        let began = Moment::now();
        match self.store.read_blocking(access::version) {
            Ok(version) => {
                let mut memory = self.memory();
                if memory.version != version {
                    memory.callers.clear();
                    memory.version = version;
                }
                memory.looked = Some(began);
            }
            Err(error) => log::warn!("callers are not remembered: {error}"),
        }
        LOOK
    }

    fn recall(&self, digest: &[u8; 32]) -> Result<Option<Actor>, Problem> {
        let memory = self.memory();
        if memory.looked.is_some_and(|looked| looked.elapsed() > TRUSTED) {
            return Ok(None);
        }
        let now = self.store.now();
        let Some(known) = memory.callers.get(digest).filter(|known| now < known.until) else { return Ok(None) };
        known.claims.check_time(now).map_err(|refusal| Problem::unauthenticated(refusal.text()))?;
        Ok(Some(known.actor.clone()))
    }

    /// The actor of these headers at this moment, whatever is remembered, and when its token ends; for answers that take long.
    ///
    /// # Errors
    /// As [`Gate::admit`].
    pub async fn renew(&self, headers: &HeaderMap) -> Result<(Actor, Option<Instant>), Problem> {
        let (claims, actor) = self.identify(bearer(headers)?, text(headers, "x-on-behalf-of", 128)?).await?;
        Ok((actor, claims.ends()))
    }

    async fn identify(&self, token: &str, person: Option<&str>) -> Result<(Claims, Actor), Problem> {
        let claims = self.verifier.verify(token).await.map_err(|refusal| Problem::unauthenticated(refusal.text()))?;
        let (asked, for_whom) = (claims.clone(), person.map(ToOwned::to_owned));
        let found = self.store.read(move |conn| caller::resolve(conn, &asked, for_whom.as_deref())).await;
        let actor = found.map_err(|error| match error {
            Error::NotFound => Problem::unauthenticated("The caller of this token is not known, or not any more."),
            other => other.into(),
        })?;
        Ok((claims, actor))
    }

    async fn resolve(&self, digest: [u8; 32], token: &str, person: Option<&str>) -> Result<Actor, Problem> {
        let version = self.memory().version;
        let (claims, actor) = self.identify(token, person).await?;
        let life = self.verifier.config().memory;
        if life > Duration::ZERO {
            let known = Known { claims, actor: actor.clone(), until: self.store.now().plus(life) };
            let mut memory = self.memory();
            if memory.callers.len() >= REMEMBERED {
                memory.callers.clear();
            }
            // What was read before a change is not to be remembered after it.
            if memory.version == version {
                memory.callers.insert(digest, known);
            }
        }
        Ok(actor)
    }
}

/// The actor of a request that an outer layer has admitted.
#[must_use]
pub(crate) fn admitted(request: &HttpRequest) -> Option<Actor> {
    request.extensions().get::<Admission>().and_then(|Admission(outcome)| outcome.as_ref().ok().cloned())
}

/// What kind of caller it was, for the log.
#[must_use]
pub(crate) fn kind_of(request: &HttpRequest) -> Option<&'static str> {
    let extensions = request.extensions();
    extensions.get::<Admission>().and_then(|Admission(outcome)| outcome.as_ref().ok().map(|actor| actor.kind.as_str()))
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::unauthenticated("Send a bearer token.");
    let mut lines = headers.get_all(AUTHORIZATION);
    let (line, None) = (lines.next().ok_or_else(missing)?, lines.next()) else {
        return Err(Problem::unauthenticated("Send one Authorization header."));
    };
    let (scheme, token) = line.to_str().ok().and_then(|line| line.split_once(' ')).ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(missing()) }
}

/// A header of readable text.
fn text<'a>(headers: &'a HeaderMap, name: &str, max: usize) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
    if text.is_empty() || text.chars().count() > max || text.chars().any(char::is_control) {
        return Err(Problem::malformed(format!("{name} is a text of 1 to {max} characters.")));
    }
    Ok(Some(text))
}
