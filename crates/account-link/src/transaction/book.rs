//! Booking: new transactions are written, known ones skipped, sums and balances brought up to date.

use std::collections::{BTreeMap, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Currency, Date, Error, Instant, Result, Tx, bulk_copy,
    crypto::Keyring,
    feed::{Outcome, Source},
    schema::transactions,
};
use serde::{Deserialize, Serialize};

use super::{Channel, Direction, Sums, TransactionId, TransactionRow, add};
use crate::{
    account::AccountId,
    balance,
    feed::{Check, Known, TransactionRecord, in_chunks},
    number,
};

/// A transaction without the number of its account: what may wait for the account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub source_id: String,
    booked_on: Date,
    booked_at: Option<Instant>,
    direction: Direction,
    amount: String,
    currency: Option<Currency>,
    transaction_type: String,
    channel: Channel,
    purpose: Option<String>,
    counterparty_hash: Option<Vec<u8>>,
    balance_after: Option<String>,
}

impl Entry {
    pub fn new(keys: &Keyring, record: &TransactionRecord) -> Self {
        let hash = |counterparty: &String| keys.blind_index(number::COUNTERPARTY, &number::normalise(counterparty));
        Self {
            source_id: record.source_id.clone(),
            booked_on: record.booked_on,
            booked_at: record.booked_at,
            direction: record.direction,
            amount: record.amount.clone(),
            currency: record.currency,
            transaction_type: record.transaction_type.clone(),
            channel: record.channel.unwrap_or(Channel::Other),
            purpose: record.purpose.clone(),
            counterparty_hash: record.counterparty.as_ref().map(hash),
            balance_after: record.balance_after.clone(),
        }
    }

    /// The row, or the rules that it breaks.
    fn row(&self, source: &Source, account: &Known, now: Instant) -> std::result::Result<TransactionRow, Outcome> {
        let mut check = Check::default();
        check.text(&self.source_id, 128, "/source_id");
        check.text(&self.transaction_type, 64, "/transaction_type");
        check.optional(self.purpose.as_ref(), 200, "/purpose");
        let amount_minor = check.amount(&self.amount, account.currency, "/amount");
        check.must(amount_minor >= 0, "/amount", "negative", "The direction says whether money came in or went out.");
        let balance_after_minor = check.optional_amount(self.balance_after.as_ref(), account.currency, "/balance_after");
        let same = self.currency.is_none_or(|currency| currency == account.currency);
        check.must(same, "/currency", "currency_mismatch", &format!("The account's currency is {}.", account.currency));
        check.must(
            self.booked_on <= now.date().next(),
            "/booked_on",
            "in_future",
            "A transaction cannot be booked in the future.",
        );
        if let Some(rejected) = check.verdict() {
            return Err(rejected);
        }
        Ok(TransactionRow {
            id: TransactionId::new(),
            account_id: account.id,
            source_system: source.code.clone(),
            source_id: self.source_id.clone(),
            booked_at: self.booked_at.unwrap_or_else(|| self.booked_on.start()),
            booked_on: self.booked_on,
            direction: self.direction,
            amount_minor,
            currency: account.currency,
            transaction_type: self.transaction_type.clone(),
            channel: self.channel,
            purpose: self.purpose.clone(),
            counterparty_hash: self.counterparty_hash.clone(),
            balance_after_minor,
            created_at: now,
        })
    }
}

/// Books entries on their accounts; one outcome an entry, in their order.
pub(crate) fn book(tx: &mut Tx<'_>, source: &Source, entries: &[(&Known, &Entry)]) -> Result<Vec<Outcome>> {
    let mut known = known_ids(tx, source, entries)?;
    let (mut outcomes, mut rows) = (Vec::with_capacity(entries.len()), Vec::new());
    for (account, entry) in entries {
        outcomes.push(match known.get(&entry.source_id) {
            Some(id) => Outcome::Unchanged(id.cast()),
            None => match entry.row(source, account, tx.now) {
                Err(rejected) => rejected,
                Ok(row) => {
                    let id = row.id;
                    known.insert(row.source_id.clone(), id);
                    rows.push(row);
                    Outcome::Created(id.cast())
                }
            },
        });
    }
    // Accounts first and in the order of their ids: whoever books on the same ones waits here.
    update_balances(tx, entries, &rows)?;
    match bulk_copy!(tx, transactions::table, &rows) {
        // Somebody else booked the same ids meanwhile: the whole unit of work runs again and finds them.
        Err(Error::Conflict { .. }) => return Err(Error::Busy),
        other => other?,
    };
    let mut days: BTreeMap<(AccountId, Date), Sums> = BTreeMap::new();
    for row in &rows {
        days.entry((row.account_id, row.booked_on)).or_default().count(row.direction, row.amount_minor);
    }
    add(tx, &days)?;
    Ok(outcomes)
}

fn known_ids(tx: &mut Tx<'_>, source: &Source, entries: &[(&Known, &Entry)]) -> Result<HashMap<String, TransactionId>> {
    let rows: Vec<(String, TransactionId)> = in_chunks(entries.iter().map(|(_, entry)| entry.source_id.clone()), |chunk| {
        let query = transactions::table
            .filter(transactions::source_system.eq(&source.code))
            .filter(transactions::source_id.eq_any(chunk));
        Ok(query.select((transactions::source_id, transactions::id)).load(&mut tx.db)?)
    })?;
    Ok(rows.into_iter().collect())
}

/// Balances of the accounts whose latest known moment the rows pass.
fn update_balances(tx: &mut Tx<'_>, entries: &[(&Known, &Entry)], rows: &[TransactionRow]) -> Result<()> {
    let accounts: HashMap<AccountId, &Known> = entries.iter().map(|(account, _)| (account.id, *account)).collect();
    let mut of: BTreeMap<AccountId, Vec<&TransactionRow>> = BTreeMap::new();
    for row in rows {
        of.entry(row.account_id).or_default().push(row);
    }
    let moved = of.into_iter().filter_map(|(id, rows)| Some((id, balance_after(accounts.get(&id)?, &rows)?)));
    balance::move_on(tx, &moved.collect())
}

/// The balance after new transactions, if they pass the moment of the known one: what the source says
/// it is after the last of them, or else the known balance with them added.
fn balance_after(account: &Known, rows: &[&TransactionRow]) -> Option<(Instant, i64)> {
    let later = |row: &&&TransactionRow| account.balance_as_of.is_none_or(|as_of| row.booked_at > as_of);
    let same = |row: &&&TransactionRow| account.balance_as_of.is_none_or(|as_of| row.booked_at >= as_of);
    let moment = rows.iter().filter(same).map(|row| row.booked_at).max()?;
    let last: Vec<&&TransactionRow> = rows.iter().filter(|row| row.booked_at == moment).collect();
    if let Some(told) = closing(&last) {
        return Some((moment, told));
    }
    let added: i64 = rows.iter().filter(later).map(|row| row.direction.signed(row.amount_minor)).sum();
    let moves = rows.iter().any(|row| later(&row));
    moves.then(|| (moment, account.balance_minor.unwrap_or(0).saturating_add(added)))
}

/// The balance at the end of one moment. Rows of one moment come in no order: the last one is the one
/// from whose balance no other goes on.
fn closing(rows: &[&&TransactionRow]) -> Option<i64> {
    let told = |row: &TransactionRow| row.balance_after_minor;
    let before = |row: &TransactionRow| told(row).map(|after| after - row.direction.signed(row.amount_minor));
    let ends = |row: &&&&TransactionRow| {
        told(row).is_some() && !rows.iter().any(|other| other.id != row.id && before(other) == told(row))
    };
    rows.iter().rev().find(ends).or(rows.last()).and_then(|row| told(row))
}
