//! `kehu doctor`: says what is wrong before a customer does.

use diesel::{QueryableByName, RunQueryDsl, sql_query};
use kehu_kernel::{
    Error, Instant, Result, event,
    store::{Backend, migrate, sql},
};

use super::{DatabaseOptions, print};
use crate::{
    hardening::{self, Installation},
    settings::Settings,
};

/// What is looked at: the same options as those of `kehu serve`, from the same environment.
#[derive(clap::Args)]
pub(crate) struct DoctorOptions {
    /// Judge as what others reach, though the server listens on this machine only: behind a proxy.
    #[arg(long, env = "KEHU_PRODUCTION")]
    production: bool,
    #[command(flatten)]
    settings: Settings,
}

/// So many milliseconds may clocks be apart.
const CLOCKS_APART: i64 = 1_000;

#[derive(QueryableByName)]
struct DatabaseClock {
    #[diesel(sql_type = sql::Instant)]
    now: Instant,
}

#[derive(Default)]
struct Report {
    faults: usize,
}

impl Report {
    fn say(&mut self, mark: &str, name: &str, text: &str) -> Result<()> {
        self.faults += usize::from(mark == "FAULT");
        print(&format!("{mark:<5}  {name:<11} {text}\n"))
    }

    fn tell(&mut self, name: &str, outcome: Result<String>) -> Result<()> {
        match outcome {
            Ok(text) => self.say("ok", name, &text),
            Err(error) => self.say("FAULT", name, &error.to_string()),
        }
    }
}

pub(crate) fn run(database: &DatabaseOptions, options: &DoctorOptions) -> Result<()> {
    let mut report = Report::default();
    report.tell("keys", keys(database))?;
    settings(&mut report, database, options)?;
    report.tell("migrations", migrations(database))?;
    report.tell("database", read_and_write(database))?;
    report.tell("events", chain(database))?;
    if report.faults == 0 { Ok(()) } else { Err(Error::internal(format!("{} faults found", report.faults))) }
}

fn keys(database: &DatabaseOptions) -> Result<String> {
    Ok(format!("key {} seals new values", database.keys()?.current()))
}

/// What is unsafe where others come in is no more than a warning for trying.
fn settings(report: &mut Report, database: &DatabaseOptions, options: &DoctorOptions) -> Result<()> {
    let development_keys = database.keys().is_ok_and(|keys| keys.is_development());
    let installation = Installation { settings: &options.settings, development_keys, ..database.installation(&options.settings) };
    let found = hardening::findings(&installation);
    if found.is_empty() {
        return report.say("ok", "settings", "safe for production");
    }
    let reached = options.production || !options.settings.listen.ip().is_loopback();
    for finding in found {
        report.say(if reached { "FAULT" } else { "warn" }, "settings", &format!("{}: {}", finding.code, finding.text))?;
    }
    Ok(())
}

fn migrations(database: &DatabaseOptions) -> Result<String> {
    let pending = migrate::pending(database.url())?;
    if pending.is_empty() {
        Ok("current".into())
    } else {
        Err(Error::internal(format!("{} are missing, run kehu migrate: {}", pending.len(), pending.join(", "))))
    }
}

fn read_and_write(database: &DatabaseOptions) -> Result<String> {
    let store = database.open()?;
    store.read_blocking(|conn| conn.ping())?;
    // An empty transaction still takes the write lock, so a full or read-only disk shows.
    store.write_blocking(|tx| tx.ping())?;
    let read_and_written = format!("{} can be read and written", store.backend().name());
    if store.backend() == Backend::Sqlite {
        return Ok(read_and_written);
    }
    // Servers compare leases and limits by their own clocks; that of the database is the one they can all be held against.
    let clock: DatabaseClock =
        store.read_blocking(|conn| Ok(sql_query("SELECT clock_timestamp() AS now").get_result(&mut conn.db)?))?;
    let apart = (store.now().micros() - clock.now.micros()).abs() / 1_000;
    if apart > CLOCKS_APART {
        return Err(Error::internal(format!("the clocks of this machine and of the database are {apart} ms apart")));
    }
    Ok(format!("{read_and_written}, its clock is {apart} ms from ours"))
}

fn chain(database: &DatabaseOptions) -> Result<String> {
    let found = event::verify(&database.open()?)?;
    match found.fault {
        None => Ok(format!("{} events, the chain is whole", found.checked)),
        Some(fault) => Err(Error::internal(fault)),
    }
}
