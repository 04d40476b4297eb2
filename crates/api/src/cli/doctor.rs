//! `kehu doctor`: says what is wrong before a customer does.

use kehu_kernel::{Error, Result, event, store::migrate};

use super::{DatabaseOptions, print};

pub(crate) fn run(database: &DatabaseOptions) -> Result<()> {
    let mut faults = 0;
    let mut report = |name: &str, outcome: Result<String>| -> Result<()> {
        let (mark, text) = match outcome {
            Ok(text) => ("ok   ", text),
            Err(error) => {
                faults += 1;
                ("FAULT", error.to_string())
            }
        };
        print(&format!("{mark}  {name:<11} {text}\n"))
    };
    report("keys", keys(database))?;
    report("migrations", migrations(database))?;
    report("database", read_and_write(database))?;
    report("events", chain(database))?;
    if faults == 0 { Ok(()) } else { Err(Error::internal(format!("{faults} faults found"))) }
}

fn keys(database: &DatabaseOptions) -> Result<String> {
    let keys = database.keys()?;
    let warning = if keys.is_development() { "; the well-known development keys: good for trying only" } else { "" };
    Ok(format!("key {} seals new values{warning}", keys.current()))
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
    Ok(format!("{} can be read and written", store.backend().name()))
}

fn chain(database: &DatabaseOptions) -> Result<String> {
    let found = event::verify(&database.open()?)?;
    match found.fault {
        None => Ok(format!("{} events, the chain is whole", found.checked)),
        Some(fault) => Err(Error::internal(fault)),
    }
}
