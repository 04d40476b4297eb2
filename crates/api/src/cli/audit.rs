//! `kehu audit`

use kehu_kernel::{Error, Result, event};

use super::{DatabaseOptions, print};

#[derive(clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// Check every event against the hash chain: changed, missing and reordered ones are found.
    Verify,
}

pub(crate) fn run(database: &DatabaseOptions, command: &AuditCommand) -> Result<()> {
    let AuditCommand::Verify = command;
    let store = database.open()?;
    while event::sequence(&store)? > 0 {}
    let found = event::verify(&store)?;
    match found.fault {
        None => print(&format!("{} events, the chain is whole\n", found.checked)),
        Some(fault) => Err(Error::internal(format!("after {} good events: {fault}", found.checked))),
    }
}
