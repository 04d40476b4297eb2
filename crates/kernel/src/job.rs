//! Background jobs as leased rows: any server takes any due job, a dead server's lease runs out and
//! another one resumes, and progress is visible all along.

use std::{collections::HashMap, sync::mpsc, time::Duration};

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, OptionalExtension, QueryDsl, Queryable,
    RunQueryDsl, Selectable, SelectableHelper,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    Action, Actor, AnyId, Conn, Error, Id, Instant, Page, PageParams, Result, Store, Tx, event::NewEvent, json::Json,
    schema::jobs,
};

/// How long a worker owns a job without a sign of life.
const LEASE: Duration = Duration::from_secs(60);
/// How often work that takes long shows that it lives.
pub const BEAT: Duration = Duration::from_secs(15);
/// The longest pause between attempts is two to this power, in seconds.
const LONGEST_PAUSE: i32 = 6;

/// Identifier of a job.
pub type JobId = Id<Job>;

crate::text_enum! {
    /// Where a job stands.
    pub enum JobState {
        /// Waits for its time or for a worker.
        Queued = "queued",
        /// A worker holds its lease.
        Running = "running",
        /// Finished.
        Done = "done",
        /// Gave up; `error` says why.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }
}

/// A background job.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = jobs)]
pub struct Job {
    /// Identifier of the job.
    pub id: JobId,
    /// What it does.
    #[schema(example = "import", max_length = 64)]
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// What it was asked to do.
    #[serde(skip)]
    pub payload: Json<Value>,
    /// What came out; null until it is done.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Json<Value>>,
    /// Why it failed.
    #[schema(max_length = 2000)]
    pub error: Option<String>,
    /// Units of work done.
    pub progress_done: i64,
    /// Units of work in all; null while unknown.
    pub progress_total: Option<i64>,
    /// How often it was begun.
    pub attempts: i32,
    /// Not before this instant.
    pub run_after: Instant,
    /// The worker that holds it.
    #[serde(skip)]
    pub lease_owner: Option<AnyId>,
    /// Until when the worker holds it.
    #[serde(skip)]
    pub lease_until: Option<Instant>,
    /// Whether somebody asked it to stop.
    pub cancel_requested: bool,
    /// Who asked for it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it was first begun.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// Version of the record, for `ETag`.
    #[serde(skip)]
    pub version: i64,
}

/// Asks for a job, in the transaction of the request that wants it.
///
/// # Errors
/// The database's.
pub fn enqueue(tx: &mut Tx<'_>, actor: &Actor, kind: &str, payload: Value) -> Result<JobId> {
    let job = Job {
        id: JobId::new(),
        kind: kind.to_owned(),
        state: JobState::Queued,
        payload: Json(payload),
        result: None,
        error: None,
        progress_done: 0,
        progress_total: None,
        attempts: 0,
        run_after: tx.now,
        lease_owner: None,
        lease_until: None,
        cancel_requested: false,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        started_at: None,
        finished_at: None,
        version: 1,
    };
    diesel::insert_into(jobs::table).values(&job).execute(&mut tx.db)?;
    Ok(job.id)
}

/// The number that those hold who ask for recurring jobs, one after the other.
const RECURRING: i64 = 6_914_530_277_815_104_203;

/// Asks for a job of a kind that comes again and again: not while one of the kind is open, and not before `pause` is over
/// since the last one was asked for. Of those that have ended only the last one is kept.
///
/// # Errors
/// The database's.
pub fn recur(store: &Store, kind: &'static str, pause: Duration) -> Result<Option<JobId>> {
    let rests = move |conn: &mut Conn| -> Result<bool> {
        let last: Option<(JobState, Instant)> = jobs::table
            .filter(jobs::kind.eq(kind))
            .order(jobs::id.desc())
            .select((jobs::state, jobs::created_at))
            .first(&mut conn.db)
            .optional()?;
        let open = |state| matches!(state, JobState::Queued | JobState::Running);
        Ok(last.is_some_and(|(state, asked)| open(state) || asked.plus(pause) > conn.now))
    };
    // A look without a lock first: who asks again and again does not write.
    if store.read_blocking(rests)? {
        return Ok(None);
    }
    store.write_blocking(move |tx| {
        tx.hold(&[RECURRING])?;
        if rests(tx)? {
            return Ok(None);
        }
        diesel::delete(jobs::table.filter(jobs::kind.eq(kind))).execute(&mut tx.db)?;
        enqueue(tx, &Actor::system(), kind, Value::Object(serde_json::Map::new())).map(Some)
    })
}

/// Jobs that the caller may see, newest first: all with `job.manage`, else the caller's own.
///
/// # Errors
/// [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<Job>> {
    let all = actor.reach(Action::JobManage).is_some();
    let window = params.window::<JobId>(&conn.keys, &format!("jobs?all={all}&by={}", actor.subject))?;
    let visible = || {
        let query = jobs::table.into_boxed();
        if all { query } else { query.filter(jobs::created_by.eq(actor.subject.clone())) }
    };
    let total = if window.include_total { Some(visible().count().get_result(&mut conn.db)?) } else { None };
    let mut query = visible().order(jobs::id.desc()).limit(window.fetch()).select(Job::as_select());
    if let Some(before) = window.after {
        query = query.filter(jobs::id.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |job: &Job| job.id)
}

/// One job, if the caller may see it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: JobId) -> Result<Job> {
    let job: Job = jobs::table.find(id).select(Job::as_select()).first(&mut conn.db)?;
    if job.created_by == actor.subject || actor.reach(Action::JobManage).is_some() { Ok(job) } else { Err(Error::NotFound) }
}

/// Asks a job to stop. A waiting one stops at once, a running one at its next sign of life.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it has ended already.
pub fn cancel(tx: &mut Tx<'_>, actor: &Actor, id: JobId) -> Result<Job> {
    let job = get(tx, actor, id)?;
    let now = tx.now;
    let waiting = diesel::update(jobs::table.find(id).filter(jobs::state.eq(JobState::Queued)))
        .set((jobs::state.eq(JobState::Cancelled), jobs::finished_at.eq(now), jobs::version.eq(jobs::version + 1)))
        .execute(&mut tx.db)?;
    let running = diesel::update(jobs::table.find(id).filter(jobs::state.eq(JobState::Running)))
        .set((jobs::cancel_requested.eq(true), jobs::version.eq(jobs::version + 1)))
        .execute(&mut tx.db)?;
    if waiting + running == 0 {
        return Err(Error::conflict("job_ended", format!("The job is {} already.", job.state)));
    }
    tx.emit(actor, NewEvent::new("job.cancelled", id, serde_json::json!({ "kind": job.kind })));
    get(tx, actor, id)
}

/// A worker's hold on a running job.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job as it was when it was taken.
    pub job: Job,
    owner: AnyId,
}

impl Lease {
    /// Shows progress and renews the lease, inside the transaction that did the work: progress and work
    /// are saved together, and a worker that lost its lease loses that work.
    ///
    /// # Errors
    /// [`Error::Conflict`] `job_cancelled` or `lease_lost`: stop.
    pub fn progress(&self, tx: &mut Tx<'_>, done: i64, total: Option<i64>) -> Result<()> {
        let mine = jobs::table.find(self.job.id).filter(jobs::lease_owner.eq(self.owner));
        let cancelled: Option<bool> = diesel::update(mine)
            .set((
                jobs::progress_done.eq(done),
                jobs::progress_total.eq(total),
                jobs::lease_until.eq(tx.now.plus(LEASE)),
                jobs::version.eq(jobs::version + 1),
            ))
            .returning(jobs::cancel_requested)
            .get_result(&mut tx.db)
            .optional()?;
        match cancelled {
            Some(false) => Ok(()),
            Some(true) => Err(Error::conflict("job_cancelled", "Somebody asked the job to stop.")),
            None => Err(Error::conflict("lease_lost", "Another worker has taken the job over.")),
        }
    }

    /// Does work that takes long and saves nothing, and renews the lease beside it, `every` so often. When the lease is
    /// lost or the job cancelled meanwhile, the work goes on; [`Lease::progress`] tells it in the transaction that saves.
    pub fn during<T>(&self, store: &Store, every: Duration, work: impl FnOnce() -> T) -> T {
        let (working, over) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while over.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                    let lease = self.clone();
                    let (done, total) = (self.job.progress_done, self.job.progress_total);
                    match store.write_blocking(move |tx| lease.progress(tx, done, total)) {
                        Ok(()) => {}
                        Err(Error::Conflict { .. }) => return,
                        Err(error) => log::warn!(job:% = self.job.id; "a lease is not renewed: {error}"),
                    }
                }
            });
            // Dropped at the end of the work, however it ends.
            let _working = working;
            work()
        })
    }
}

/// What runs a kind of job. It may be run again after a crash, so it resumes from what it saved.
pub type Handler = Box<dyn Fn(&Store, &Lease) -> Result<Value> + Send + Sync>;

/// Runs due jobs, one at a time a call.
#[derive(Default)]
pub struct Runner {
    owner: AnyId,
    handlers: HashMap<&'static str, Handler>,
}

impl Runner {
    /// Names what runs a kind of job.
    #[must_use]
    pub fn with(mut self, kind: &'static str, handler: Handler) -> Self {
        self.handlers.insert(kind, handler);
        self
    }

    /// What runs these kinds as well, in the same lane.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.handlers.extend(other.handlers);
        self
    }

    /// The kinds of jobs that it runs.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.handlers.keys().copied()
    }

    /// Takes one due job and runs it to its end; `false` when none is due.
    ///
    /// # Errors
    /// The database's; a failing job is no error here but a state of the job.
    pub fn run_one(&self, store: &Store) -> Result<bool> {
        let Some(lease) = self.claim(store)? else { return Ok(false) };
        let outcome = match self.handlers.get(lease.job.kind.as_str()) {
            Some(handler) => handler(store, &lease),
            None => Err(Error::internal(format!("nothing runs jobs of kind {:?}", lease.job.kind))),
        };
        self.finish(store, &lease, outcome)?;
        Ok(true)
    }

    fn claim(&self, store: &Store) -> Result<Option<Lease>> {
        let owner = self.owner;
        let kinds: Vec<String> = self.handlers.keys().map(|kind| (*kind).to_owned()).collect();
        // A look without a lock first: an idle server does not write.
        let wanted = kinds.clone();
        let due = store.read_blocking(move |conn| next_due(conn, &wanted))?;
        if due.is_none() {
            return Ok(None);
        }
        store.write_blocking(move |tx| {
            let Some(job) = next_due(tx, &kinds)? else { return Ok(None) };
            let now = tx.now;
            // Only if nobody else changed the row since it was read.
            let taken = diesel::update(jobs::table.find(job.id).filter(jobs::version.eq(job.version)))
                .set((
                    jobs::state.eq(JobState::Running),
                    jobs::lease_owner.eq(owner),
                    jobs::lease_until.eq(now.plus(LEASE)),
                    jobs::attempts.eq(jobs::attempts + 1),
                    jobs::started_at.eq(job.started_at.unwrap_or(now)),
                    jobs::version.eq(jobs::version + 1),
                ))
                .execute(&mut tx.db)?;
            if taken == 0 {
                return Ok(None);
            }
            let job = jobs::table.find(job.id).select(Job::as_select()).first(&mut tx.db)?;
            Ok(Some(Lease { job, owner }))
        })
    }

    fn finish(&self, store: &Store, lease: &Lease, outcome: Result<Value>) -> Result<()> {
        if matches!(outcome, Err(Error::Conflict { code: "lease_lost", .. })) {
            return Ok(());
        }
        let (id, owner, attempts, before) = (lease.job.id, lease.owner, lease.job.attempts, lease.job.progress_done);
        let (state, result, error) = match outcome {
            Ok(value) => (JobState::Done, Some(Json(value)), None),
            Err(Error::Conflict { code: "job_cancelled", .. }) => (JobState::Cancelled, None, None),
            // However often the database goes away: the job goes on when it is back, and nobody has to see to it.
            Err(error) if error.is_transient() => (JobState::Queued, None, Some(error.to_string())),
            Err(error) => (JobState::Failed, None, Some(error.to_string())),
        };
        if let Some(error) = &error {
            log::warn!(job:% = id, kind = lease.job.kind.as_str(); "job {state}: {error}");
        }
        store.write_blocking(move |tx| {
            let now = tx.now;
            let ended = (state != JobState::Queued).then_some(now);
            let reached: i64 = jobs::table.find(id).select(jobs::progress_done).first(&mut tx.db)?;
            // Who has got on tries again at once, who has not waits longer each time.
            let power = u32::try_from(attempts.min(LONGEST_PAUSE)).unwrap_or(0);
            let pause = if reached > before { Duration::ZERO } else { Duration::from_secs(2_u64.pow(power)) };
            diesel::update(jobs::table.filter(jobs::id.eq(id).and(jobs::lease_owner.eq(owner))))
                .set((
                    jobs::state.eq(state),
                    jobs::result.eq(result.clone()),
                    jobs::error.eq(error.clone()),
                    jobs::lease_owner.eq(None::<AnyId>),
                    jobs::lease_until.eq(None::<Instant>),
                    jobs::run_after.eq(now.plus(pause)),
                    jobs::finished_at.eq(ended),
                    jobs::version.eq(jobs::version + 1),
                ))
                .execute(&mut tx.db)?;
            Ok(())
        })
    }
}

fn next_due(conn: &mut Conn, kinds: &[String]) -> Result<Option<Job>> {
    let queued = jobs::state.eq(JobState::Queued).and(jobs::run_after.le(conn.now));
    let abandoned = jobs::state.eq(JobState::Running).and(jobs::lease_until.lt(conn.now));
    let job = jobs::table
        .filter(jobs::kind.eq_any(kinds.to_vec()))
        .filter(queued.nullable().or(abandoned))
        .order(jobs::run_after)
        .select(Job::as_select())
        .first(&mut conn.db)
        .optional()?;
    Ok(job)
}
