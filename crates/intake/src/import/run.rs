//! Works on an import: counts and checks, then takes in batch after batch. Each batch saves how far it
//! came in its own transaction, so that a run that was killed goes on where it stopped.

use std::{path::Path, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Error, Result, Store, Tx,
    job::Lease,
    json::Json,
    schema::{import_files, imports},
};

use super::{
    ImportCounts, ImportId, ImportState, batch,
    entity::{self, ended},
    parked,
    plan::{Plan, PlannedFile},
    preview::{self, Collector, Kept},
    rows,
};
use crate::reader::Row;

/// How many rows share a transaction: enough to be fast, few enough that others can write in between.
const BATCH: usize = 1_000;
/// After how many rows of reading alone the job shows that it lives.
const PULSE: i64 = 50_000;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading and checking all rows.
    Validating,
    /// Taking rows in.
    Running,
    /// Trying parked rows again.
    Retrying,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Rows done in this phase.
    pub done: i64,
    /// Rows in all, once they are counted.
    pub total: Option<i64>,
}

/// What a run works with.
pub(super) struct Run<'a> {
    pub store: &'a Store,
    pub actor: Actor,
    pub lease: Option<&'a Lease>,
    pub data_dir: &'a Path,
    pub show: &'a mut dyn FnMut(Progress),
}

/// Works on an import, to its end or up to the preview. Goes on where an earlier run stopped.
///
/// # Errors
/// What stops it; the import is then `failed` and says why, and may be run again.
pub fn execute(
    store: &Store,
    actor: &Actor,
    id: ImportId,
    preview_only: bool,
    data_dir: &Path,
    lease: Option<&Lease>,
    show: &mut dyn FnMut(Progress),
) -> Result<ImportCounts> {
    let mut run = Run { store, actor: actor.clone(), lease, data_dir, show };
    let outcome = run.through(id, preview_only);
    if let Err(error) = &outcome {
        // A job is run again once the database is back, and the import goes on.
        let goes_on = error.is_transient() && run.lease.is_some();
        if !goes_on && !matches!(error, Error::Conflict { code: "lease_lost" | "import_taken_over", .. }) {
            run.fail(id, error)?;
        }
    }
    outcome
}

impl Run<'_> {
    fn through(&mut self, id: ImportId, preview_only: bool) -> Result<ImportCounts> {
        let mut plan = self.store.read_blocking(move |conn| Plan::read(conn, id))?;
        if plan.files.iter().any(|file| file.rows_total.is_none()) {
            let after = if preview_only { ImportState::Previewed } else { ImportState::Running };
            self.validate(&mut plan, after)?;
        }
        if !preview_only {
            self.set_running(id)?;
            self.take_in(&plan)?;
            parked::retry_all(self, &plan)?;
            self.finish(&plan)?;
        }
        let record = self.store.read_blocking(move |conn| entity::find(conn, id))?;
        Ok(ImportCounts {
            read: record.read_count,
            created: record.created_count,
            updated: record.updated_count,
            unchanged: record.unchanged_count,
            rejected: record.rejected_count,
            parked: record.parked_count,
        })
    }

    /// Reads everything once: a file that cannot be read, or lacks a column, stops the import before
    /// anything is written.
    fn validate(&mut self, plan: &mut Plan, after: ImportState) -> Result<()> {
        let id = plan.import_id;
        self.store.write_blocking(move |tx| set_state(tx, id, ImportState::Validating))?;
        let (mut previews, mut samples, mut read) = (Vec::new(), Vec::new(), 0);
        let document = Arc::clone(&plan.document);
        for file in &mut plan.files {
            let mut collector = Collector::new(&document, file);
            for row in file.open(&document, self.data_dir).map_err(|error| in_file(error, &file.name))? {
                collector.take(&row.map_err(|error| in_file(error, &file.name))?);
                read += 1;
                if collector.is_full() {
                    collector.search(self.store, &plan.source)?;
                }
                if read % PULSE == 0 {
                    self.pulse(read)?;
                }
            }
            collector.search(self.store, &plan.source)?;
            let (found, of_file) = (collector.found, collector.samples);
            file.rows_total = Some(found.rows);
            if file.place.is_some() || found.rows > 0 {
                previews.push(found);
            }
            samples.extend(of_file);
        }
        let totals: Vec<_> = plan.files.iter().map(|file| (file.id, file.rows_total)).collect();
        let kept = Kept::seal(self.store.keys(), id, previews, samples)?;
        self.store.write_blocking(move |tx| {
            for (file, total) in &totals {
                diesel::update(import_files::table.find(*file)).set(import_files::rows_total.eq(*total)).execute(&mut tx.db)?;
            }
            diesel::update(imports::table.find(id)).set(imports::preview.eq(Json(kept.clone()))).execute(&mut tx.db)?;
            set_state(tx, id, after)
        })
    }

    fn pulse(&mut self, read: i64) -> Result<()> {
        (self.show)(Progress { phase: Phase::Validating, done: read, total: None });
        let Some(lease) = self.lease.cloned() else { return Ok(()) };
        self.store.write_blocking(move |tx| lease.progress(tx, 0, None))
    }

    fn set_running(&self, id: ImportId) -> Result<()> {
        self.store.write_blocking(move |tx| {
            let record = entity::find(tx, id)?;
            if record.started_at.is_none() {
                diesel::update(imports::table.find(id)).set(imports::started_at.eq(tx.now)).execute(&mut tx.db)?;
            }
            set_state(tx, id, ImportState::Running)
        })
    }

    fn take_in(&mut self, plan: &Plan) -> Result<()> {
        let total = plan.files.iter().filter_map(|file| file.rows_total).sum();
        let mut done = plan.files.iter().map(|file| file.rows_done).sum();
        for file in plan.files.iter().filter(|file| !file.done) {
            let rows = file.open(&plan.document, self.data_dir).map_err(|error| in_file(error, &file.name))?;
            let mut rows = rows.skip(usize::try_from(file.rows_done).map_err(Error::internal)?);
            let mut file_done = file.rows_done;
            loop {
                let batch: Vec<Row> =
                    rows.by_ref().take(BATCH).collect::<Result<_>>().map_err(|error| in_file(error, &file.name))?;
                let size = i64::try_from(batch.len()).map_err(Error::internal)?;
                let last = batch.len() < BATCH;
                done += size;
                self.take_batch(plan, file, batch, Step { from: file_done, size, last, done, total })?;
                file_done += size;
                (self.show)(Progress { phase: Phase::Running, done, total: Some(total) });
                if last {
                    break;
                }
            }
        }
        Ok(())
    }

    fn take_batch(&self, plan: &Plan, file: &PlannedFile, rows: Vec<Row>, step: Step) -> Result<()> {
        let items = Arc::new(batch::items(&plan.document, file, rows));
        let (actor, lease, plan, file) = (self.actor.clone(), self.lease.cloned(), plan.clone(), file.clone());
        again_when_raced(self.store, move |tx| {
            let fates = batch::apply(tx, &actor, &plan.source, &plan.document, &file, &items)?;
            batch::settle(tx, plan.import_id, step.size, &items, &fates)?;
            rows::keep(tx, &plan, &file, &items, &fates)?;
            step.save(tx, &file)?;
            match &lease {
                Some(lease) => lease.progress(tx, step.done, Some(step.total)),
                None => Ok(()),
            }
        })
    }

    fn finish(&self, plan: &Plan) -> Result<()> {
        let (id, actor) = (plan.import_id, self.actor.clone());
        self.store.write_blocking(move |tx| {
            set_state(tx, id, ImportState::Done)?;
            diesel::update(imports::table.find(id))
                .set((imports::finished_at.eq(tx.now), imports::error.eq(None::<String>)))
                .execute(&mut tx.db)?;
            preview::forget_samples(tx, id)?;
            let record = entity::find(tx, id)?;
            tx.emit(&actor, ended("import.done", id, &record));
            Ok(())
        })?;
        // All that is not in the tables is in the kept rows; the upload itself is not needed any more.
        for file in plan.files.iter().filter(|file| file.is_ours()) {
            if let Err(error) = std::fs::remove_file(file.location(self.data_dir)) {
                log::warn!(import:% = id; "an imported file stays behind: {error}");
            }
        }
        Ok(())
    }

    fn fail(&self, id: ImportId, error: &Error) -> Result<()> {
        let (reason, actor) = (reason(error), self.actor.clone());
        self.store.write_blocking(move |tx| {
            set_state(tx, id, ImportState::Failed)?;
            diesel::update(imports::table.find(id))
                .set((imports::error.eq(&reason), imports::finished_at.eq(tx.now)))
                .execute(&mut tx.db)?;
            preview::forget_samples(tx, id)?;
            let record = entity::find(tx, id)?;
            tx.emit(&actor, ended("import.failed", id, &record));
            Ok(())
        })
    }
}

/// Where a batch stands in its file and in the import.
#[derive(Clone, Copy)]
struct Step {
    from: i64,
    size: i64,
    last: bool,
    done: i64,
    total: i64,
}

impl Step {
    /// Moves the checkpoint; only from where this run believes it to be.
    fn save(self, tx: &mut Tx<'_>, file: &PlannedFile) -> Result<()> {
        let here = import_files::table.find(file.id).filter(import_files::rows_done.eq(self.from));
        let moved = diesel::update(here)
            .set((import_files::rows_done.eq(self.from + self.size), import_files::done.eq(self.last)))
            .execute(&mut tx.db)?;
        if moved == 1 { Ok(()) } else { Err(Error::conflict("import_taken_over", "Another run works on this import.")) }
    }
}

/// Two imports may want to create the same record at the same moment; the loser finds it the next time.
pub(super) fn again_when_raced<T: Send + 'static>(
    store: &Store,
    work: impl FnMut(&mut Tx<'_>) -> Result<T> + Clone + Send + 'static,
) -> Result<T> {
    match store.write_blocking(work.clone()) {
        Err(Error::Conflict { code: "duplicate" | "reference_broken", .. }) => store.write_blocking(work),
        other => other,
    }
}

pub(super) fn set_state(tx: &mut Tx<'_>, id: ImportId, state: ImportState) -> Result<()> {
    diesel::update(imports::table.find(id))
        .set((imports::state.eq(state), imports::version.eq(imports::version + 1)))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Names the file in what is wrong with it.
fn in_file(error: Error, name: &str) -> Error {
    match error {
        Error::Invalid(mut errors) => {
            errors.iter_mut().for_each(|error| error.message = format!("{name}: {}", error.message));
            Error::Invalid(errors)
        }
        other => other,
    }
}

/// For people; internal causes stay in the log.
fn reason(error: &Error) -> String {
    let text = match error {
        Error::Invalid(errors) => errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join(" "),
        Error::Conflict { detail, .. } => detail.clone(),
        Error::Busy | Error::Unavailable(_) => "The database cannot be reached or is busy.".to_owned(),
        other => {
            log::error!("an import failed: {other}");
            "A fault of Kehu or of the machine; see its log.".to_owned()
        }
    };
    text.chars().take(2000).collect()
}
