//! Balances as sources deliver them.

use std::collections::{BTreeMap, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Date, Id, Result, Tx,
    event::NewEvent,
    feed::{Outcome, Source},
    schema::account_balances,
};
use serde_json::json;

use super::{
    check::Check,
    record::BalanceRecord,
    refer::{self, in_chunks},
};
use crate::{
    account::AccountId,
    balance::{self, Snapshot},
    number,
};

/// Applies a batch of balances. The latest day's is the balance of the account.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[BalanceRecord]) -> Result<Vec<Outcome>> {
    let known = refer::accounts_by_number(tx, source, records.iter().map(|record| record.account_number.as_str()))?;
    let mut days = days(tx, known.values().map(|account| account.id), records)?;
    let (mut outcomes, mut snapshots, mut latest) = (Vec::new(), Vec::new(), BTreeMap::new());
    for record in records {
        let Some(account) = known.get(&number::index(&tx.keys, &record.account_number)) else {
            outcomes.push(Outcome::Parked { waiting_for: format!("account:{}:{}", source.code, record.account_number) });
            continue;
        };
        let mut check = Check::default();
        let balance_minor = check.amount(&record.balance, account.currency, "/balance");
        check.must(record.day <= tx.now.date(), "/day", "in_future", "A balance cannot lie in the future.");
        if let Some(rejected) = check.verdict() {
            outcomes.push(rejected);
            continue;
        }
        let subject = account.id.cast();
        outcomes.push(match days.insert((account.id, record.day), balance_minor) {
            Some(before) if before == balance_minor => Outcome::Unchanged(subject),
            before => {
                let row = Snapshot { account_id: account.id, day: record.day, balance_minor, recorded_at: tx.now };
                snapshots.push(row);
                let moment = balance::end_of(record.day);
                if account.balance_as_of.is_none_or(|as_of| as_of <= moment) {
                    let entry = latest.entry(account.id).or_insert((moment, balance_minor));
                    if entry.0 <= moment {
                        *entry = (moment, balance_minor);
                    }
                }
                if before.is_some() { Outcome::Updated(subject) } else { Outcome::Created(subject) }
            }
        });
    }
    balance::record(tx, &snapshots)?;
    balance::move_on(tx, &latest)?;
    if !snapshots.is_empty() {
        let data = json!({ "source_system": source.code, "count": snapshots.len() });
        tx.emit(actor, NewEvent::new("account_balances.recorded", Id::<()>::new(), data));
    }
    Ok(outcomes)
}

/// The balances that are known for the days of the batch.
fn days(
    tx: &mut Tx<'_>,
    accounts: impl Iterator<Item = AccountId>,
    records: &[BalanceRecord],
) -> Result<HashMap<(AccountId, Date), i64>> {
    let (Some(first), Some(last)) =
        (records.iter().map(|record| record.day).min(), records.iter().map(|record| record.day).max())
    else {
        return Ok(HashMap::new());
    };
    let rows: Vec<(AccountId, Date, i64)> = in_chunks(accounts, |chunk| {
        let query = account_balances::table
            .filter(account_balances::account_id.eq_any(chunk))
            .filter(account_balances::day.ge(first))
            .filter(account_balances::day.le(last));
        let columns = (account_balances::account_id, account_balances::day, account_balances::balance_minor);
        Ok(query.select(columns).load(&mut tx.db)?)
    })?;
    Ok(rows.into_iter().map(|(id, day, balance)| ((id, day), balance)).collect())
}
