//! `kehu reindex`

use indicatif::ProgressBar;
use kehu_customer::index;
use kehu_kernel::{Result, Store};

use super::{DatabaseOptions, print};

pub(crate) fn run(database: &DatabaseOptions) -> Result<()> {
    let customers = all(&database.open()?)?;
    print(&format!("{customers} customers reindexed\n"))
}

/// Reindexes all customers and says how far it has come.
pub(crate) fn all(store: &Store) -> Result<u64> {
    let bar = ProgressBar::new_spinner().with_message("customers reindexed");
    let done = index::reindex(store, &mut |done| bar.set_position(done))?;
    bar.finish_and_clear();
    Ok(done)
}
