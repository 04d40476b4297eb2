//! `kehu migrate`

use kehu_customer::{index, tag};
use kehu_kernel::{
    Error, Result,
    store::{distributed, migrate},
};
use kehu_organization::role;

use super::{DatabaseOptions, print, reindex};

#[derive(clap::Args)]
pub(crate) struct MigrateOptions {
    /// Take all migrations back. Every record is lost; asks for --yes.
    #[arg(long, env = "KEHU_MIGRATE_DOWN")]
    down: bool,
    /// Answers the question of --down.
    #[arg(long, env = "KEHU_MIGRATE_YES", requires = "down")]
    yes: bool,
    /// After the migrations, spread the tables over the nodes of this engine: once, while no server runs.
    #[arg(long, env = "KEHU_MIGRATE_DISTRIBUTED", value_enum, conflicts_with = "down")]
    distributed: Option<Engine>,
}

/// What spreads tables over machines.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Engine {
    /// Citus, an extension of PostgreSQL.
    Citus,
}

pub(crate) fn run(database: &DatabaseOptions, options: &MigrateOptions) -> Result<()> {
    if options.down && !options.yes {
        return Err(Error::invalid("/yes", "confirmation", "--down deletes every record: say --yes as well"));
    }
    if let Some(Engine::Citus) = options.distributed {
        distributed::require(database.url())?;
    }
    let names = if options.down { migrate::down(database.url())? } else { migrate::up(database.url())? };
    if !options.down {
        let store = database.open()?;
        store.write_blocking(|tx| Ok(role::seed(tx)? + tag::seed(tx)?))?;
        // Customers that are older than what this version finds them by.
        if store.read_blocking(index::is_stale)? {
            reindex::all(&store)?;
        }
    }
    let verb = if options.down { "taken back" } else { "applied" };
    print(&format!("{} migrations {verb}\n", names.len()))?;
    match options.distributed {
        Some(Engine::Citus) => print(&format!("{} statements of citus applied\n", distributed::apply(database.url())?)),
        None => Ok(()),
    }
}
