//! The demonstration bank: deterministic, of any size, streamed.
//!
//! Its customers come through the same feeds as a real bank's, in batches, so that memory stays flat. The
//! n-th customer of a seed is the same in a bank of any size. Its books close on 2026-06-30.

mod accounts;
mod bank;
mod names;
mod numbers;
mod people;
mod random;
mod traffic;
mod typo;

use std::collections::BTreeMap;

use kehu_intake::{
    dispatch::{self, Feed},
    source_system,
};
use kehu_kernel::{Actor, Date, Error, Result, Store, Tx, feed::Outcome, feed::Source};
use serde_json::Value;

/// What bank to make.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many customers, duplicates not counted.
    pub customers: u64,
    /// Another seed makes another bank.
    pub seed: u64,
}

/// A duplicate and the customer that it really is, as `source:id` each.
pub type Truth = (String, String);

/// The records of one batch, by feed in the order in which they depend on each other.
#[derive(Default)]
struct Records(BTreeMap<(&'static str, Feed), Vec<Value>>);

impl Records {
    /// Adds a record of the core system.
    fn core(&mut self, feed: Feed, record: Value) {
        self.add("core", feed, record);
    }

    fn add(&mut self, source: &'static str, feed: Feed, record: Value) {
        self.0.entry((source, feed)).or_default().push(record);
    }
}

/// How many customers one transaction makes.
const BATCH: u64 = 250;

/// The day on which the books of the bank close.
fn closing_day() -> Date {
    Date::new(2026, 6, 30).unwrap_or_else(|| unreachable!("the day exists"))
}

/// Makes the bank. `show` hears how many customers are there, and of each duplicate.
///
/// # Errors
/// The database's; [`Error::Internal`] when a record of ours is refused.
pub fn make(store: &Store, plan: Plan, show: &mut dyn FnMut(u64, &[Truth])) -> Result<()> {
    let bank = bank::Bank::of_size(plan.customers);
    let base = bank.records();
    store.write_blocking(move |tx| {
        for source in ["core", "card"] {
            source_system::ensure(tx, &Actor::system(), source)?;
        }
        apply(tx, &base)
    })?;
    let mut done = 0;
    while done < plan.customers {
        let until = (done + BATCH).min(plan.customers);
        let mut records = Records::default();
        let mut truth = Vec::new();
        for index in done..until {
            truth.extend(people::customer(&bank, plan.seed, index, &mut records));
        }
        store.write_blocking(move |tx| apply(tx, &records))?;
        done = until;
        show(done, &truth);
    }
    Ok(())
}

/// Whether the database has customers already.
///
/// # Errors
/// The database's.
pub fn is_needed(store: &Store) -> Result<bool> {
    let page = kehu_kernel::PageParams { limit: Some(1), ..kehu_kernel::PageParams::default() };
    let customers = store.read_blocking(move |conn| {
        kehu_customer::list::list(conn, &Actor::system(), &kehu_customer::list::CustomerFilter::default(), &page)
    })?;
    Ok(customers.items.is_empty())
}

fn apply(tx: &mut Tx<'_>, records: &Records) -> Result<()> {
    // The order of the enumeration is the order of dependence.
    let mut feeds: Vec<_> = records.0.iter().collect();
    feeds.sort_by_key(|((_, feed), _)| *feed);
    for ((source, feed), records) in feeds {
        let borrowed: Vec<&Value> = records.iter().collect();
        let outcomes = dispatch::apply(*feed, tx, &Actor::system(), &Source::new(source), &borrowed)?;
        for (outcome, record) in outcomes.iter().zip(records) {
            if let Outcome::Rejected(_) | Outcome::Parked { .. } = outcome {
                return Err(Error::internal(format!("{feed} of the demonstration bank: {outcome:?} for {record}")));
            }
        }
    }
    Ok(())
}
