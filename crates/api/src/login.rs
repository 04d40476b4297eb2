//! How often a secret may be guessed at `/v1/oauth/token`: attempts are counted for each address and for each client that they
//! name. Where a client has come in with its secret it is not counted for a day, so that no stranger who guesses, from anywhere,
//! locks it out; and however many guess, two hashes are computed at a time.
//!
//! All of it stands in the database: however many servers there are and however often they are started anew, they count as one.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, sql_query, sql_types::Binary};
use kehu_kernel::{
    Conn, Instant, Result, Store,
    schema::login_places::{self as places, known_until},
    store::sql,
};
use tokio::sync::Semaphore;

use crate::{rate::Shared, settings::Rate};

/// For how long the place is remembered where a client has come in.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// How old a memory may be before it is written anew: who comes in again and again does not write each time.
const FRESH: Duration = Duration::from_secs(3600);
/// Hashes are made to be slow: so many at a time, and the other work goes on.
const AT_ONCE: usize = 2;

/// Who tries to come in, and from where.
pub struct Logins {
    /// Nothing is counted without a limit.
    limits: Option<(Shared, Shared)>,
    /// Held while a secret is hashed.
    pub hashing: Semaphore,
}

impl Logins {
    /// So many attempts of one address, and so many at one client.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let limits = Shared::new("login", rate).zip(Shared::new("login-client", rate));
        Self { limits, hashing: Semaphore::new(AT_ONCE) }
    }

    /// Counts an attempt; or after how many seconds another one makes sense.
    ///
    /// # Errors
    /// The database's.
    pub async fn attempt(
        self: std::sync::Arc<Self>,
        store: &Store,
        client: &str,
        address: &str,
    ) -> Result<std::result::Result<(), u32>> {
        if self.limits.is_none() {
            return Ok(Ok(()));
        }
        let place = place(store, client, address);
        if store.read(move |conn| Ok(known(conn, &place)?.is_some_and(|until| conn.now < until))).await? {
            return Ok(Ok(()));
        }
        let (client, address) = (client.to_owned(), address.to_owned());
        let counted = move |tx: &mut kehu_kernel::Tx<'_>| {
            let Some((addresses, clients)) = &self.limits else { return Ok(Ok(())) };
            // A lock of an address is always taken before one of a client, so nobody waits in a circle.
            match addresses.take_one(tx, &address)? {
                Ok(()) => clients.take_one(tx, &client),
                refused => Ok(refused),
            }
        };
        store.write(counted).await
    }

    /// The client came in from here.
    ///
    /// # Errors
    /// The database's.
    pub async fn succeeded(&self, store: &Store, client: &str, address: &str) -> Result<()> {
        if self.limits.is_none() {
            return Ok(());
        }
        let place = place(store, client, address);
        let wanted = place.clone();
        let fresh = store.now().plus(REMEMBERED).minus(FRESH);
        if store.read(move |conn| Ok(known(conn, &wanted)?.is_some_and(|until| until > fresh))).await? {
            return Ok(());
        }
        let written = move |tx: &mut kehu_kernel::Tx<'_>| {
            let until = tx.now.plus(REMEMBERED);
            sql_query(
                "INSERT INTO login_places (place_hash, known_until) VALUES ($1, $2)
                 ON CONFLICT (place_hash) DO UPDATE SET known_until = excluded.known_until",
            )
            .bind::<Binary, _>(&place)
            .bind::<sql::Instant, _>(until)
            .execute(&mut tx.db)?;
            Ok(())
        };
        store.write(written).await
    }
}

fn place(store: &Store, client: &str, address: &str) -> Vec<u8> {
    store.keys().blind_index("login.place", &format!("{client}\0{address}"))
}

fn known(conn: &mut Conn, place: &[u8]) -> Result<Option<Instant>> {
    Ok(places::table.find(place).select(known_until).first(&mut conn.db).optional()?)
}

/// Forgets the places where nobody has come in for a day.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store) -> Result<()> {
    store.write_blocking(|tx| {
        diesel::delete(places::table.filter(known_until.lt(tx.now))).execute(&mut tx.db)?;
        Ok(())
    })
}
