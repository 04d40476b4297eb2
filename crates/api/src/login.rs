//! How often a secret may be guessed at `/v1/oauth/token`: attempts are counted for each address and for each client that they
//! name. Where a client has come in with its secret it is not counted for a day, so that no stranger who guesses, from anywhere,
//! locks it out; and however many guess, two hashes are computed at a time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kehu_kernel::Instant;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::{rate::Policy, settings::Rate};

/// For how long the place is remembered where a client has come in.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// So many places are remembered at once; then the memory starts anew.
const PLACES: usize = 50_000;
/// Hashes are made to be slow: so many at a time, and the other work goes on.
const AT_ONCE: usize = 2;

/// Who tries to come in, and from where.
pub struct Logins {
    addresses: Policy,
    clients: Policy,
    places: Mutex<HashMap<[u8; 32], Instant>>,
    /// Held while a secret is hashed.
    pub hashing: Semaphore,
}

impl Logins {
    /// So many attempts of one address, and so many at one client.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            addresses: Policy::new("login", rate),
            clients: Policy::new("login-client", rate),
            places: Mutex::default(),
            hashing: Semaphore::new(AT_ONCE),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// After how many seconds another attempt makes sense.
    pub fn attempt(&self, client: &str, address: &str, now: Instant) -> Result<(), u32> {
        let known = self.places.lock().unwrap_or_else(PoisonError::into_inner).get(&place(client, address)).copied();
        if known.is_some_and(|until| now < until) {
            return Ok(());
        }
        for (policy, key) in [(&self.addresses, address), (&self.clients, client)] {
            if let Some(Err(seconds)) = policy.take(key) {
                return Err(seconds);
            }
        }
        Ok(())
    }

    /// The client came in from here.
    pub fn succeeded(&self, client: &str, address: &str, now: Instant) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES {
            places.clear();
        }
        places.insert(place(client, address), now.plus(REMEMBERED));
    }
}

fn place(client: &str, address: &str) -> [u8; 32] {
    Sha256::new().chain_update(client).chain_update([0]).chain_update(address).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_locks_nobody_out() {
        let logins = Logins::new(Rate { requests: 3, seconds: 60 });
        let now = Instant::from_seconds(1_000);
        assert_eq!(logins.attempt("bank", "10.0.0.1", now), Ok(()));
        logins.succeeded("bank", "10.0.0.1", now);
        // From many addresses, and from the client's own.
        let guesses = (0..50).filter(|n| logins.attempt("bank", &format!("192.0.2.{n}"), now).is_ok()).count();
        assert_eq!(guesses, 2, "of three for the client, one was its own");
        assert!((0..50).all(|_| logins.attempt("bank", "10.0.0.1", now).is_ok()));
        // One address that tries many clients, existing or not.
        assert_eq!((0..50).filter(|n| logins.attempt(&format!("c{n}"), "198.51.100.1", now).is_ok()).count(), 3);
        let later = now.plus(REMEMBERED);
        assert_eq!((0..50).filter(|_| logins.attempt("bank", "10.0.0.1", later).is_ok()).count(), 0, "forgotten after a day");
    }
}
