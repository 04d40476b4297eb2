//! The row of a key: running, then written with the change itself, then answered.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_customer::privacy;
use kehu_kernel::{
    AnyId, Conn, Error, Instant, Result, Store, Tx, json::Json, rotation::SealedColumn, schema::idempotency_keys as keys,
    store::given, text_enum,
};

use actix_web::http::StatusCode;

use crate::problem::Problem;

/// How long an answer is kept.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How far the clocks of two servers may be apart when an answer is compared with an erasure.
const SKEW: Duration = Duration::from_secs(5);
/// How many answers one transaction clears.
const CHUNK: i64 = 1_000;
/// Allowance above the time limit before a silent request counts as dead.
const GRACE: Duration = Duration::from_secs(5);

/// The kept answers, for key rotation.
pub const SEALED: SealedColumn =
    SealedColumn { table: "idempotency_keys", id: "row_id", column: "body_sealed", label: "idempotency_keys.body" };

text_enum! {
    /// How far the request of a key has come.
    pub enum State {
        /// Begun; nothing is written.
        Running = "running",
        /// Its change is committed; the answer is not kept (yet).
        Written = "written",
        /// It was answered. The answer is kept, unless an erasure has taken it.
        Answered = "answered",
    }
}

/// An answer that can be given again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// One request's hold on a key.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    key: Vec<u8>,
    request: Vec<u8>,
    row: AnyId,
    limit: Duration,
}

/// What a request with a key has to do.
pub(super) enum Begun {
    /// Carry it out.
    Carry,
    /// Give the kept answer.
    Replay(Kept),
    /// Answer this.
    Refused(Box<Problem>),
}

type Row = (Vec<u8>, State, Option<i32>, Option<Json<Vec<(String, String)>>>, Option<Vec<u8>>, AnyId, Instant, Instant);

impl Claim {
    pub(super) fn new(key: Vec<u8>, request: Vec<u8>, limit: Duration) -> Self {
        Self { key, request, row: AnyId::new(), limit }
    }

    /// What each write of the request does in its own transaction. A request that was taken over cannot write.
    pub(super) fn mark(&self) -> impl Fn(&mut Tx<'_>) -> Result<()> + Send + Sync + use<> {
        let (key, row) = (self.key.clone(), self.row);
        move |tx| {
            let text = "UPDATE idempotency_keys SET state = {} WHERE key_hash = {} AND row_id = {}";
            let values = vec![State::Written.as_str().into(), key.clone().into(), row.into()];
            if given::<()>(text, values).execute(&mut tx.db)? == 1 {
                Ok(())
            } else {
                Err(Error::conflict("idempotency_key_lost", "A repetition has taken this request over."))
            }
        }
    }
}

/// Takes the key, or says what became of the request that holds it.
pub(super) async fn begin(store: &Store, claim: &Claim) -> Result<Begun> {
    let claim = claim.clone();
    store.write(move |tx| begin_in(tx, &claim)).await
}

fn begin_in(tx: &mut Tx<'_>, claim: &Claim) -> Result<Begun> {
    let now = tx.now;
    let made = tx.savepoint(|tx| {
        let row = (
            keys::key_hash.eq(&claim.key),
            keys::request_hash.eq(&claim.request),
            keys::state.eq(State::Running),
            keys::row_id.eq(claim.row),
            keys::created_at.eq(now),
            keys::expires_at.eq(now.plus(LIFE)),
        );
        diesel::insert_into(keys::table).values(row).execute(&mut tx.db).map_err(kehu_kernel::error::taken("key_taken", ""))
    });
    match made {
        Ok(_) => return Ok(Begun::Carry),
        Err(Error::Conflict { code: "key_taken", .. }) => {}
        Err(other) => return Err(other),
    }
    let found: Option<Row> = keys::table
        .find(&claim.key)
        .select((
            keys::request_hash,
            keys::state,
            keys::status,
            keys::headers,
            keys::body_sealed,
            keys::row_id,
            keys::created_at,
            keys::expires_at,
        ))
        .first(&mut tx.db)
        .optional()?;
    // Its holder failed and let it go between the two statements: the caller repeats at once.
    let Some(row) = found else { return Ok(running()) };
    let (request, state, status, headers, sealed, holder, created, expires) = row;
    if expires <= now {
        return take_over(tx, claim, holder);
    }
    if request != claim.request {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
            .code("idempotency_key_reused")
            .detail("This key was used for another request. Give each request a key of its own.");
        return Ok(Begun::Refused(Box::new(problem)));
    }
    let dead = created.plus(claim.limit + GRACE) <= now;
    match (state, status, sealed) {
        (State::Answered, ..) if is_erased(tx, created)? => Ok(lost()),
        (State::Answered, Some(status), Some(sealed)) => Ok(Begun::Replay(Kept {
            status: u16::try_from(status).map_err(Error::internal)?,
            headers: headers.unwrap_or_default().0,
            body: tx.keys.open(SEALED.label, holder, &sealed)?,
        })),
        (State::Running, ..) if dead => take_over(tx, claim, holder),
        (State::Running | State::Written, ..) if !dead => Ok(running()),
        _ => Ok(lost()),
    }
}

/// A dead or expired row becomes ours, unless another repetition was faster.
fn take_over(tx: &mut Tx<'_>, claim: &Claim, holder: AnyId) -> Result<Begun> {
    let taken = diesel::update(keys::table.find(&claim.key).filter(keys::row_id.eq(holder)))
        .set((
            keys::request_hash.eq(&claim.request),
            keys::state.eq(State::Running),
            keys::status.eq(None::<i32>),
            keys::headers.eq(None::<Json<Vec<(String, String)>>>),
            keys::body_sealed.eq(None::<Vec<u8>>),
            keys::row_id.eq(claim.row),
            keys::created_at.eq(tx.now),
            keys::expires_at.eq(tx.now.plus(LIFE)),
        ))
        .execute(&mut tx.db)?;
    Ok(if taken == 1 { Begun::Carry } else { running() })
}

fn running() -> Begun {
    let problem = Problem::new(StatusCode::CONFLICT)
        .code("idempotency_key_running")
        .detail("The first request with this key is still being carried out.")
        .retry_after(1);
    Begun::Refused(Box::new(problem))
}

fn lost() -> Begun {
    let problem = Problem::new(StatusCode::CONFLICT)
        .code("idempotency_answer_lost")
        .detail("The request was carried out, but its answer was not kept. Read the record to see the outcome.");
    Begun::Refused(Box::new(problem))
}

/// Whether somebody was erased since a request began: its answer may name that person.
fn is_erased(conn: &mut Conn, begun: Instant) -> Result<bool> {
    Ok(privacy::last_erasure(conn)?.is_some_and(|erased| begun <= erased.plus(SKEW)))
}

/// Keeps the answer. One that makes no promise for the next time (5xx, 408, 429), or that cannot or must not be kept, lets
/// the key go, unless something was written.
pub(super) async fn end(store: &Store, claim: &Claim, kept: Option<Kept>) -> Result<()> {
    let claim = claim.clone();
    store.write(move |tx| end_in(tx, &claim, kept.as_ref())).await
}

fn end_in(tx: &mut Tx<'_>, claim: &Claim, kept: Option<&Kept>) -> Result<()> {
    let promised = kept.filter(|kept| kept.status < 500 && !matches!(kept.status, 401 | 408 | 429));
    let mine = keys::table.find(&claim.key).filter(keys::row_id.eq(claim.row));
    let begun: Option<(Instant, State)> = mine.select((keys::created_at, keys::state)).first(&mut tx.db).optional()?;
    let Some((begun, state)) = begun else { return Ok(()) };
    // What succeeded without having written anything has only read.
    let read = |kept: &&Kept| kept.status < 300 && state == State::Running;
    let needed = promised.filter(|kept| !read(kept));
    let erased = is_erased(tx, begun)?;
    if needed.is_some() && erased && state == State::Written {
        diesel::update(mine).set(keys::state.eq(State::Answered)).execute(&mut tx.db)?;
        return Ok(());
    }
    let Some(kept) = needed.filter(|_| !erased) else {
        diesel::delete(mine.filter(keys::state.eq(State::Running))).execute(&mut tx.db)?;
        return Ok(());
    };
    let sealed = tx.keys.seal(SEALED.label, claim.row, &kept.body)?;
    diesel::update(mine)
        .set((
            keys::state.eq(State::Answered),
            keys::status.eq(i32::from(kept.status)),
            keys::headers.eq(Json(kept.headers.clone())),
            keys::body_sealed.eq(sealed),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Clears some of the answers from before the last erasure; whether there may be more. Their keys stay, so that nothing is
/// carried out twice.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Tx<'_>) -> Result<bool> {
    let Some(erased) = privacy::last_erasure(tx)? else { return Ok(false) };
    let named: Vec<Vec<u8>> = keys::table
        .filter(keys::body_sealed.is_not_null())
        .filter(keys::created_at.le(erased.plus(SKEW)))
        .limit(CHUNK)
        .select(keys::key_hash)
        .load(&mut tx.db)?;
    let all = i64::try_from(named.len()).map_err(Error::internal)?;
    diesel::update(keys::table.filter(keys::key_hash.eq_any(named)))
        .set((
            keys::status.eq(None::<i32>),
            keys::headers.eq(None::<Json<Vec<(String, String)>>>),
            keys::body_sealed.eq(None::<Vec<u8>>),
        ))
        .execute(&mut tx.db)?;
    Ok(all == CHUNK)
}

/// Removes keys whose day is over, and answers that an erasure left behind.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store) -> Result<usize> {
    while store.write_blocking(forget)? {}
    store.write_blocking(|tx| Ok(diesel::delete(keys::table.filter(keys::expires_at.le(tx.now))).execute(&mut tx.db)?))
}
