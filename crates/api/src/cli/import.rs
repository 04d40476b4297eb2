//! `kehu import`

use std::{fs, path::PathBuf, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use kehu_intake::import::{Directory, Phase, Progress, Summary, run_directory};
use kehu_kernel::{Actor, Error, Result};

use super::{DatabaseOptions, print};

#[derive(clap::Args)]
pub(crate) struct ImportOptions {
    /// Code of the source system; it is defined when it is new.
    #[arg(long, env = "KEHU_IMPORT_SOURCE")]
    source: String,
    /// The mapping: a JSON file with code, name and document, as POST /v1/mappings takes it.
    #[arg(long, env = "KEHU_IMPORT_MAPPING")]
    mapping: PathBuf,
    /// The directory with the files.
    directory: PathBuf,
}

pub(crate) fn run(database: &DatabaseOptions, options: &ImportOptions) -> Result<()> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Error::invalid("/mapping", "unreadable_file", format!("{}: {error}.", options.mapping.display()))
    };
    let text = fs::read(&options.mapping).map_err(|error| unreadable(&error))?;
    let mapping = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
    let store = database.open()?;
    let directory = Directory { source: options.source.clone(), mapping, path: options.directory.clone() };
    let bar = Bar::new();
    let started = store.now();
    let summary = run_directory(&store, &Actor::system(), &directory, &mut |progress| bar.show(progress));
    bar.0.finish_and_clear();
    let seconds = Duration::from_micros(u64::try_from(store.now().micros() - started.micros()).unwrap_or(0)).as_secs_f64();
    print(&report(&summary?, seconds))
}

struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    fn show(&self, progress: Progress) {
        let word = match progress.phase {
            Phase::Validating => "reading",
            Phase::Running => "importing",
            Phase::Retrying => "attaching parked rows",
        };
        if self.0.message() != word {
            self.0.reset();
            self.0.set_message(word);
            let template = match progress.total {
                Some(_) => "{msg} {wide_bar} {human_pos}/{human_len} rows {per_sec} {eta}",
                None => "{spinner} {msg} {human_pos} rows",
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.0.set_style(style);
            }
        }
        if let Some(total) = progress.total {
            self.0.set_length(u64::try_from(total).unwrap_or(0));
        }
        self.0.set_position(u64::try_from(progress.done).unwrap_or(0));
    }
}

fn report(summary: &Summary, seconds: f64) -> String {
    let counts = &summary.counts;
    let verb = if summary.resumed { "resumed" } else { "done" };
    let mut text = format!(
        "import {} {verb}: {} rows read in {seconds:.1} s; records: {} created, {} updated, {} unchanged, {} rejected, {} parked\n",
        summary.import_id, counts.read, counts.created, counts.updated, counts.unchanged, counts.rejected, counts.parked
    );
    if !summary.skipped.is_empty() {
        text.push_str(&format!("left alone, because the mapping has no pattern for them: {}\n", summary.skipped.join(", ")));
    }
    if counts.rejected > 0 {
        text.push_str(&format!("what was rejected, and why: GET /v1/imports/{}/errors\n", summary.import_id));
    }
    text
}
