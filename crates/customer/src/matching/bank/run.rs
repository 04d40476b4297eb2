//! Comparing the whole base, as a background job.
//!
//! A run reads all customers, compares those that share a key, and writes the plausible pairs into the work queue, some
//! hundred in each transaction. It changes no customer. What was written stays when it is cancelled or its server dies;
//! whoever takes it over begins anew and finds those pairs unchanged.

use std::{
    collections::HashSet,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, BasisPoints, Error, Instant, Result, Store, Tx,
    event::NewEvent,
    job::{self, Handler, Job, JobState, Lease},
    schema::jobs,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    band::MatchBand,
    base::{self, Base},
    candidate::MatchSource,
    engine::{self, Scale},
    facts::{self, MatchSubject},
    keys, parameters,
    queue::{self, Proposal, Proposed},
    stale,
};
use crate::{
    CustomerId,
    facts::Known,
    matching::{Index, Pair, batch, components, estimate},
};

/// Kind of the jobs that compare the whole base.
pub const JOB_KIND: &str = "match_run";

/// How many pairs are written at once.
const PAIRS: usize = 500;
/// How many customers get new keys at once.
const KEYED: usize = 1_000;
/// How often a run that computes shows that it lives; well within the lease of its job.
const PULSE: Duration = Duration::from_secs(15);
/// Seed of everything random in an estimation: the same customers give the same parameters.
const SEED: u64 = 20_261_122;
/// The number that two starts of a run hold, one after the other.
const START: i64 = 7_305_811_905_426_113_417;

/// What a run is to do.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewMatchRun {
    /// What is compared; people, then organisations unless given.
    pub subject: Option<MatchSubject>,
    /// Whether to estimate first, from the bank's own data, what comparisons weigh. The new version is in use from then on.
    #[serde(default)]
    pub estimate: bool,
    /// Whether to write the keys of all customers anew first; for a database whose customers are older than matching.
    #[serde(default)]
    pub rebuild_keys: bool,
}

/// What a run has found of one subject.
#[derive(Clone, Debug, Default, Serialize)]
struct Counts {
    /// Customers that were compared.
    customers: usize,
    /// Pairs with a common key.
    compared: usize,
    /// Pairs that are plausible or better.
    plausible: usize,
    /// Groups of customers that are probably one each.
    groups: usize,
    /// Customers in those groups.
    grouped: usize,
    /// Version of the parameters.
    parameters_version: i64,
    /// Open pairs that are no longer plausible.
    closed: i64,
    /// What became of the plausible pairs.
    #[serde(flatten)]
    proposed: Proposed,
}

/// Asks for a run.
///
/// # Errors
/// [`Error::Forbidden`] without `match.manage` everywhere; [`Error::Conflict`] `match_run_active` while one runs.
pub fn start(tx: &mut Tx<'_>, actor: &Actor, new: &NewMatchRun) -> Result<Job> {
    actor.allow_everywhere(Action::MatchManage)?;
    tx.hold(&[START])?;
    let active: i64 = jobs::table
        .filter(jobs::kind.eq(JOB_KIND))
        .filter(jobs::state.eq_any([JobState::Queued, JobState::Running]))
        .count()
        .get_result(&mut tx.db)?;
    if active > 0 {
        return Err(Error::conflict("match_run_active", "A run is under way. Wait for it, or cancel its job."));
    }
    let id = job::enqueue(tx, actor, JOB_KIND, serde_json::to_value(new).map_err(Error::internal)?)?;
    tx.emit(actor, NewEvent::new("match_run.started", id, json!({ "subject": new.subject, "estimate": new.estimate })));
    job::get(tx, actor, id)
}

/// What runs jobs of [`JOB_KIND`].
#[must_use]
pub fn handler() -> Handler {
    Box::new(|store: &Store, lease: &Lease| -> Result<Value> {
        let wanted: NewMatchRun = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        // The right was checked when the run was asked for; its deeds stay the asker's.
        let actor = Actor { subject: lease.job.created_by.clone(), ..Actor::system() };
        let subjects: Vec<MatchSubject> = wanted.subject.map_or_else(|| MatchSubject::ALL.to_vec(), |subject| vec![subject]);
        let mut all = Vec::new();
        for subject in &subjects {
            all.extend(store.read_blocking(|conn| base::ids(conn, *subject))?.into_iter().map(|id| (*subject, id)));
        }
        let rounds = if wanted.rebuild_keys { 3 } else { 2 };
        let mut run = Run { store, lease, actor, done: 0, total: count(all.len() * rounds) };
        if wanted.rebuild_keys {
            let ids: Vec<CustomerId> = all.iter().map(|(_, id)| *id).collect();
            run.rebuild_keys(&ids)?;
        }
        let mut result = json!({});
        for subject in subjects {
            let ids: Vec<CustomerId> = all.iter().filter(|(of, _)| *of == subject).map(|(_, id)| *id).collect();
            let counts = run.subject(subject, &ids, wanted.estimate)?;
            let counts = serde_json::to_value(counts).map_err(Error::internal)?;
            if let Some(result) = result.as_object_mut() {
                result.insert(subject.to_string(), counts);
            }
        }
        run.finish(result)
    })
}

/// A run under way.
struct Run<'a> {
    store: &'a Store,
    lease: &'a Lease,
    actor: Actor,
    done: i64,
    total: i64,
}

impl Run<'_> {
    fn subject(&mut self, subject: MatchSubject, ids: &[CustomerId], with_estimate: bool) -> Result<Counts> {
        let read_at = self.store.now();
        let base = self.read(subject, ids)?;
        let model = engine::model(subject);
        let salt = engine::salt(self.store.keys());
        let index = self.alive(|| Index::build(model, &base.records, &salt))?;
        if with_estimate {
            self.estimate(subject, &base, &index)?;
        }
        let scale = self.store.read_blocking(|conn| Scale::in_use(conn, subject))?;
        let least = f64::from(MatchBand::LEAST_QUEUED.0) / f64::from(BasisPoints::WHOLE.0);
        let found = self.alive(|| batch(model, &scale.parameters, &base.records, &index, least))?;
        drop(index);
        let groups = self.alive(|| components(model, &scale.parameters, &base.records, &found.pairs, least))?;
        let pairs = base.with_documents(&found.pairs);
        let mut counts = Counts {
            customers: ids.len(),
            compared: found.candidates,
            plausible: pairs.len(),
            groups: groups.len(),
            grouped: groups.iter().map(Vec::len).sum(),
            parameters_version: scale.version,
            ..Counts::default()
        };
        self.write(&scale, &base, &pairs, &mut counts)?;
        counts.closed = self.close_stale(&scale, &base, &pairs, read_at)?;
        Ok(counts)
    }

    /// Reads and prepares the customers of a subject.
    fn read(&mut self, subject: MatchSubject, ids: &[CustomerId]) -> Result<Base> {
        let mut base = Base::with_capacity(subject, ids.len());
        for some in ids.chunks(base::CHUNK) {
            self.store.read_blocking(|conn| {
                let known = facts::load(conn, some)?;
                base.take(conn, some, &known)
            })?;
            self.step(some.len())?;
        }
        Ok(base)
    }

    /// Estimates parameters and brings them into use; once, also when the run is taken over.
    fn estimate(&self, subject: MatchSubject, base: &Base, index: &Index) -> Result<()> {
        let (by, since) = (self.actor.subject.clone(), self.lease.job.created_at);
        if self.store.read_blocking(|conn| parameters::made_since(conn, subject, &by, since))? {
            return Ok(());
        }
        let estimated = self.alive(|| estimate(engine::model(subject), &base.records, index, SEED))?;
        let (actor, records) = (self.actor.clone(), count(base.records.len()));
        self.store.write_blocking(move |tx| parameters::bring_in(tx, &actor, subject, &estimated, records).map(|_| ()))
    }

    fn write(&mut self, scale: &Scale, base: &Base, pairs: &[Pair], counts: &mut Counts) -> Result<()> {
        let scorer = scale.scorer();
        let share = base.ids.len() / pairs.len().div_ceil(PAIRS).max(1);
        for some in pairs.chunks(PAIRS) {
            let proposals: Vec<Proposal> = some.iter().filter_map(|pair| base.proposal(&scorer, scale.version, pair)).collect();
            let (actor, lease) = (self.actor.clone(), self.lease.clone());
            let (done, total) = (self.done + count(share), self.total);
            let proposed = self.store.write_blocking(move |tx| {
                lease.progress(tx, done, Some(total))?;
                queue::propose(tx, &actor, MatchSource::Run, proposals.clone())
            })?;
            counts.proposed += proposed;
            self.done = done;
        }
        Ok(())
    }

    /// Looks again at open pairs that the run has not found, and closes those that are no longer plausible.
    fn close_stale(&mut self, scale: &Scale, base: &Base, pairs: &[Pair], read_at: Instant) -> Result<i64> {
        let found: HashSet<(CustomerId, CustomerId)> = pairs.iter().filter_map(|pair| base.ids_of(pair)).collect();
        let mut after = None;
        let mut closed = 0;
        loop {
            let page = self.store.read_blocking(|conn| stale::page(conn, after, read_at))?;
            let Some(last) = page.last() else { return Ok(closed) };
            after = Some(last.0);
            let doubtful: Vec<_> = page.into_iter().filter(|(_, left, right)| !found.contains(&(*left, *right))).collect();
            if doubtful.is_empty() {
                continue;
            }
            let (actor, lease) = (self.actor.clone(), self.lease.clone());
            let (subject, parameters, version) = (scale.subject, scale.parameters.clone(), scale.version);
            let (done, total) = (self.done, self.total);
            closed += self.store.write_blocking(move |tx| {
                lease.progress(tx, done, Some(total))?;
                stale::close(tx, &actor, &Scale { subject, parameters: parameters.clone(), version }, &doubtful)
            })?;
        }
    }

    fn rebuild_keys(&mut self, ids: &[CustomerId]) -> Result<()> {
        for some in ids.chunks(KEYED) {
            let (some, lease) = (some.to_vec(), self.lease.clone());
            let (done, total) = (self.done + count(some.len()), self.total);
            self.store.write_blocking(move |tx| {
                let known = Known::load(tx, &some)?;
                keys::refresh(tx, &known, &some)?;
                lease.progress(tx, done, Some(total))
            })?;
            self.done = done;
        }
        Ok(())
    }

    /// Does a long computation, showing all the while that the run lives; stops after it if that is no longer wanted.
    fn alive<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        std::thread::scope(|scope| {
            let (ended, end) = mpsc::channel::<()>();
            let pulse = scope.spawn(move || {
                let mut alive = Ok(());
                while alive.is_ok() && matches!(end.recv_timeout(PULSE), Err(RecvTimeoutError::Timeout)) {
                    alive = self.beat();
                }
                alive
            });
            let value = work();
            drop(ended);
            pulse.join().map_err(|_| Error::internal("the pulse of a run panicked"))??;
            self.beat()?;
            Ok(value)
        })
    }

    fn beat(&self) -> Result<()> {
        let (lease, done, total) = (self.lease.clone(), self.done, self.total);
        self.store.write_blocking(move |tx| lease.progress(tx, done, Some(total)))
    }

    fn step(&mut self, customers: usize) -> Result<()> {
        self.done += count(customers);
        self.beat()
    }

    fn finish(self, result: Value) -> Result<Value> {
        let (actor, lease, total, counts) = (self.actor, self.lease.clone(), self.total, result.clone());
        self.store.write_blocking(move |tx| {
            lease.progress(tx, total, Some(total))?;
            tx.emit(&actor, NewEvent::new("match_run.finished", lease.job.id, counts.clone()));
            Ok(())
        })?;
        Ok(result)
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
