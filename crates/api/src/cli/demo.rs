//! `kehu demo`

use std::{fs::File, io::Write, path::PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use kehu_kernel::{Error, Result};

use super::{DatabaseOptions, print};
use crate::demo::{self, Plan};

#[derive(clap::Args)]
pub(crate) struct DemoOptions {
    /// How many customers.
    #[arg(long, env = "KEHU_DEMO_CUSTOMERS", default_value_t = 1_000)]
    customers: u64,
    /// Another seed makes another bank; the same makes the same.
    #[arg(long, env = "KEHU_DEMO_SEED", default_value_t = 1)]
    seed: u64,
    /// Do nothing when the database has customers already.
    #[arg(long, env = "KEHU_DEMO_IF_EMPTY")]
    if_empty: bool,
    /// Where to write which records are the same customer, a line `source:id,source:id` a pair.
    #[arg(long, env = "KEHU_DEMO_TRUTH")]
    truth: Option<PathBuf>,
}

pub(crate) fn run(database: &DatabaseOptions, options: &DemoOptions) -> Result<()> {
    let store = database.open()?;
    if !demo::is_needed(&store)? {
        return if options.if_empty {
            Ok(())
        } else {
            Err(Error::conflict("not_empty", "The database has customers already; a demonstration bank wants an empty one."))
        };
    }
    let mut truth = options.truth.as_ref().map(File::create).transpose().map_err(Error::internal)?;
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} customers  {per_sec}  {eta} left").map_err(Error::internal)?;
    let bar = ProgressBar::new(options.customers).with_style(style);
    let mut lost = None;
    demo::make(&store, Plan { customers: options.customers, seed: options.seed }, &mut |done, pairs| {
        bar.set_position(done);
        for (one, other) in pairs {
            if let Some(file) = &mut truth {
                lost = writeln!(file, "{one},{other}").err().or(lost.take());
            }
        }
    })?;
    bar.finish_and_clear();
    match lost {
        Some(error) => Err(Error::internal(error)),
        None => print(&format!("a demonstration bank of {} customers\n", options.customers)),
    }
}
