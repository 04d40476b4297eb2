//! The command line: every option is also an environment variable.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use kehu_kernel::{Result, Store, crypto::Keyring, store::StoreOptions, time::Clock};

mod audit;
mod demo;
mod doctor;
mod import;
mod keys;
mod matching;
mod migrate;
mod reindex;
mod serve;
mod token;

#[derive(Parser)]
#[command(name = "kehu", version, about = "Kehu, a headless bank CRM")]
struct Cli {
    #[command(flatten)]
    database: DatabaseOptions,
    /// How log lines look.
    #[arg(long, env = "KEHU_LOG_FORMAT", value_enum, default_value_t, global = true)]
    log_format: crate::logging::LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args, Clone)]
pub(crate) struct DatabaseOptions {
    /// The database: sqlite://path or postgres://user:password@host/name.
    #[arg(long, env = "DATABASE_URL", default_value = "sqlite://kehu.db", global = true, hide_env_values = true)]
    database_url: String,
    /// A read replica of a PostgreSQL database.
    #[arg(long, env = "DATABASE_READ_URL", global = true, hide_env_values = true)]
    database_read_url: Option<String>,
    /// Data keys as number:base64,…; the highest number is current. Development keys unless given.
    #[arg(long, env = "KEHU_DATA_KEYS", global = true, hide_env_values = true)]
    data_keys: Option<String>,
    /// Secret of blind indexes and cursors, base64 of 32 bytes.
    #[arg(long, env = "KEHU_INDEX_KEY", global = true, hide_env_values = true)]
    index_key: Option<String>,
    /// Reads at once, each on a connection of its own: 4 on SQLite and 8 on PostgreSQL unless set.
    #[arg(long, env = "KEHU_READERS", global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    readers: Option<u32>,
    /// Reads at once for reports and background work, beside the others.
    #[arg(long, env = "KEHU_BATCH_READERS", global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    batch_readers: Option<u32>,
    /// Writes at once on PostgreSQL, each on a connection of its own; SQLite has one writer for all.
    #[arg(long, env = "KEHU_WRITERS", global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    writers: Option<u32>,
    /// Reads, and as many writes, that wait for their turn; who comes then is answered with 503 at once.
    #[arg(long, env = "KEHU_WAITING", global = true)]
    waiting: Option<u32>,
}

impl DatabaseOptions {
    pub(crate) fn url(&self) -> &str {
        &self.database_url
    }

    pub(crate) fn keys(&self) -> Result<Keyring> {
        match (&self.data_keys, &self.index_key) {
            (Some(data), Some(index)) => Keyring::parse(data, index),
            (None, None) => Keyring::development(),
            _ => {
                Err(kehu_kernel::Error::invalid("/data_keys", "incomplete", "KEHU_DATA_KEYS and KEHU_INDEX_KEY belong together"))
            }
        }
    }

    /// What is checked of the installation; whether the keys are those of development, the caller says.
    pub(crate) fn installation<'a>(&'a self, settings: &'a crate::settings::Settings) -> crate::hardening::Installation<'a> {
        crate::hardening::Installation {
            settings,
            database_url: &self.database_url,
            read_url: self.database_read_url.as_deref(),
            development_keys: false,
            keys: self.data_keys.as_deref().zip(self.index_key.as_deref()),
        }
    }

    pub(crate) fn open(&self) -> Result<Store> {
        self.open_for(0)
    }

    /// With connections for so many jobs at once.
    pub(crate) fn open_for(&self, jobs: u32) -> Result<Store> {
        let usual = StoreOptions::new(&self.database_url);
        let options = StoreOptions {
            read_url: self.database_read_url.clone(),
            readers: self.readers.unwrap_or(usual.readers),
            batch_readers: self.batch_readers.unwrap_or(usual.batch_readers),
            jobs,
            writers: self.writers.unwrap_or(usual.writers),
            waiting: self.waiting.unwrap_or(usual.waiting),
            ..usual
        };
        Store::open(&options, self.keys()?, Clock::system())
    }
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API.
    Serve(Box<crate::settings::Settings>),
    /// Bring the database to this version, or take everything back.
    Migrate(migrate::MigrateOptions),
    /// Derive anew what customers are found by, for all of them; only what differs is written.
    Reindex,
    /// Check settings, keys, database and migrations, and say what is wrong or unsafe.
    Doctor(Box<doctor::DoctorOptions>),
    /// The audit trail.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Keys of encrypted fields.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Make a demonstration bank in an empty database.
    Demo(demo::DemoOptions),
    /// Print a token for trying, signed with the shared secret.
    Token(token::TokenOptions),
    /// Import the files of a directory.
    Import(import::ImportOptions),
    /// Find the records of files that are one and the same, as the matching engine does for customers.
    Match(matching::MatchOptions),
    /// Print the OpenAPI document.
    Openapi,
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    crate::logging::start(cli.log_format);
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(options) => serve::run(&cli.database, &options),
        Command::Migrate(options) => migrate::run(&cli.database, &options),
        Command::Reindex => reindex::run(&cli.database),
        Command::Doctor(options) => doctor::run(&cli.database, &options),
        Command::Audit(command) => audit::run(&cli.database, &command),
        Command::Keys(command) => keys::run(&cli.database, &command),
        Command::Demo(options) => demo::run(&cli.database, &options),
        Command::Token(options) => token::run(options),
        Command::Import(options) => import::run(&cli.database, &options),
        Command::Match(options) => matching::run(&options),
        Command::Openapi => print(&crate::openapi::text()),
    }
}

/// Writes to standard output; a closed pipe is an error and no panic.
pub(crate) fn print(text: &str) -> Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).map_err(kehu_kernel::Error::internal)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn walk(command: &clap::Command, wrong: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| !matches!(argument.get_id().as_str(), "help" | "version")) {
            if argument.get_env().is_none() && !argument.is_positional() {
                wrong.push(format!("{} --{}", command.get_name(), argument.get_id()));
            }
        }
        command.get_subcommands().for_each(|inner| walk(inner, wrong));
    }

    #[test]
    fn every_option_is_an_environment_variable_too() {
        let mut command = Cli::command();
        command.build();
        let mut wrong = Vec::new();
        walk(&command, &mut wrong);
        wrong.retain(|name| !name.contains("help"));
        assert_eq!(wrong, Vec::<String>::new());
    }
}
