//! `kehu keys`

use kehu_kernel::{Result, rotation};

use super::{DatabaseOptions, print};

#[derive(clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// Seal every value that an old key sealed anew with the current one. Add the new key with a higher
    /// number to KEHU_DATA_KEYS first; remove the old one when this has ended.
    Rotate,
}

pub(crate) fn run(database: &DatabaseOptions, command: &KeysCommand) -> Result<()> {
    let KeysCommand::Rotate = command;
    let store = database.open()?;
    for column in crate::sealed::columns() {
        let count = rotation::rotate(&store, column)?;
        print(&format!("{}.{}: {count} values sealed with key {}\n", column.table, column.column, store.keys().current()))?;
    }
    Ok(())
}
