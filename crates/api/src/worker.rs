//! Work beside the requests: due jobs, and sweeping out what is over.

use std::{
    path::PathBuf,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use kehu_account_link::relink;
use kehu_customer::{
    matching::bank::{changes, run as match_run},
    privacy,
};
use kehu_group::by_rule;
use kehu_intake::{export, import};
use kehu_kernel::{Error, Result, Store, job::Runner};

use crate::{belonging, export::SOURCE, idempotency, login, rate, settings::Settings, webhook};

/// How long a worker without jobs sleeps; a new job waits at most so long.
const IDLE: Duration = Duration::from_millis(500);
/// How often what is over is swept out.
const SWEEP: Duration = Duration::from_secs(600);
/// How long a worker rests after an error.
const REST: Duration = Duration::from_secs(5);

/// A lane of jobs: they run one after the other, and never wait for those of another lane.
pub type Lane = (&'static str, Runner);

/// The lanes of a server: jobs that may take hours never hold up others.
#[must_use]
pub fn lanes(settings: &Settings) -> Vec<Lane> {
    let imports = || Runner::default().with(import::JOB_KIND, import::handler(settings.data_dir.clone()));
    let exports = || Runner::default().with(export::JOB_KIND, export::handler(settings.data_dir.clone(), SOURCE));
    let privacy = Runner::default().with(privacy::JOB_KIND, privacy::handler(belonging::REGISTRY));
    let matching = Runner::default().with(match_run::JOB_KIND, match_run::handler());
    let changes = Runner::default().with(changes::JOB_KIND, changes::handler());
    let relink = Runner::default().with(relink::JOB_KIND, relink::handler());
    let groups = Runner::default().with(by_rule::JOB_KIND, by_rule::handler());
    let sweep = Runner::default().with(by_rule::SWEEP_KIND, by_rule::sweep_handler());
    let mut lanes = vec![
        ("kehu-privacy", privacy),
        ("kehu-matching", matching),
        ("kehu-changes", changes),
        ("kehu-relink", relink),
        ("kehu-groups", groups),
        ("kehu-sweep", sweep),
    ];
    lanes.extend((0..settings.imports_at_once).map(|_| ("kehu-imports", imports())));
    lanes.extend((0..settings.exports_at_once).map(|_| ("kehu-exports", exports())));
    lanes
}

/// What runs each kind of job, all in one lane.
#[must_use]
pub fn runner(settings: &Settings) -> Runner {
    lanes(settings).into_iter().fold(Runner::default(), |all, (_, runner)| all.and(runner))
}

/// Threads that work until they are stopped.
pub struct Workers {
    threads: Vec<(Sender<()>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts a thread for each lane, which runs its jobs one at a time, and those that keep house, also below `data_dir`.
    ///
    /// # Errors
    /// [`Error::Internal`] when the machine gives no thread.
    pub fn start(store: &Store, lanes: Vec<Lane>, data_dir: PathBuf) -> Result<Self> {
        let mut workers = Self { threads: Vec::new() };
        for (name, runner) in lanes {
            workers.add(name, store, move |store| Ok(if runner.run_one(store)? { Duration::ZERO } else { IDLE }))?;
        }
        workers.add("kehu-wake", store, |store| changes::wake(store).and_then(|()| by_rule::wake(store)).map(|()| IDLE))?;
        workers.add("kehu-house", store, move |store| {
            idempotency::sweep(store)?;
            privacy::sweep(store)?;
            export::sweep(store, &data_dir)?;
            webhook::sweep(store)?;
            rate::sweep(store)?;
            login::sweep(store)?;
            Ok(SWEEP)
        })?;
        Ok(workers)
    }

    /// Starts one more thread, for a piece of work that says how long to pause after it.
    ///
    /// # Errors
    /// [`Error::Internal`] when the machine gives no thread.
    pub fn add(&mut self, name: &str, store: &Store, work: impl Fn(&Store) -> Result<Duration> + Send + 'static) -> Result<()> {
        self.threads.push(repeat(name, store.clone(), work)?);
        Ok(())
    }

    /// Tells the threads to end and waits for them. A job that is running ends first; should the process be
    /// killed meanwhile, the job's lease runs out and another server resumes it.
    pub fn stop(self) {
        let handles: Vec<_> = self.threads.into_iter().map(|(stop, handle)| (drop(stop), handle).1).collect();
        for handle in handles {
            if handle.join().is_err() {
                log::error!("a worker thread panicked");
            }
        }
    }
}

/// Repeats a piece of work, which says how long to pause after it.
fn repeat(
    name: &str,
    store: Store,
    work: impl Fn(&Store) -> Result<Duration> + Send + 'static,
) -> Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel();
    let body = move || {
        let mut pause = Duration::ZERO;
        // The sender is dropped to stop us.
        while matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
            pause = work(&store).unwrap_or_else(|error| {
                log::warn!("background work: {error}");
                REST
            });
        }
    };
    let handle = std::thread::Builder::new().name(name.into()).spawn(body).map_err(Error::internal)?;
    Ok((stop, handle))
}
