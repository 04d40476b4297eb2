//! Standing orders as sources deliver them.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Actor, Result, Tx, bulk_copy,
    event::NewEvent,
    feed::{Outcome, Source},
    schema::standing_orders,
    store::distributed,
};
use serde_json::json;

use super::{
    check::Check,
    content_hash,
    record::StandingOrderRecord,
    refer::{self, Known, in_chunks},
};
use crate::{
    account::AccountId,
    number,
    standing_order::{StandingOrderId, StandingOrderRow, StandingOrderStatus},
};

/// Applies a batch of standing orders.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[StandingOrderRecord]) -> Result<Vec<Outcome>> {
    let accounts = refer::accounts_by_number(tx, source, records.iter().map(|record| record.account_number.as_str()))?;
    let ids = records.iter().map(|record| record.source_id.as_bytes());
    distributed::hold_keys(tx, "standing_order", &source.code, ids)?;
    let rows: Vec<StandingOrderRow> = in_chunks(records.iter().map(|record| record.source_id.clone()), |chunk| {
        let query = standing_orders::table
            .filter(standing_orders::source_system.eq(&source.code))
            .filter(standing_orders::source_id.eq_any(chunk));
        Ok(query.select(StandingOrderRow::as_select()).load(&mut tx.db)?)
    })?;
    let mut known: HashMap<String, StandingOrderRow> = rows.into_iter().map(|row| (row.source_id.clone(), row)).collect();
    let mut new: Vec<StandingOrderRow> = Vec::new();
    let mut outcomes = Vec::new();
    for record in records {
        let Some(account) = accounts.get(&number::index(&tx.keys, &record.account_number)) else {
            outcomes.push(Outcome::Parked { waiting_for: format!("account:{}:{}", source.code, record.account_number) });
            continue;
        };
        let before = known.get(&record.source_id);
        let row = match row_of(tx, source, record, account, before)? {
            Ok(row) => row,
            Err(rejected) => {
                outcomes.push(rejected);
                continue;
            }
        };
        let data = json!({ "account_id": row.account_id, "status": row.status });
        outcomes.push(match before {
            Some(before) if before.content_hash == row.content_hash => Outcome::Unchanged(row.id.cast()),
            Some(before) => {
                // A row of this very batch must exist before it can be changed.
                bulk_copy!(tx, standing_orders::table, &new)?;
                new.clear();
                change(tx, &row, before.account_id)?;
                tx.emit(actor, NewEvent::new("standing_order.updated", row.id, data).of_account(row.account_id));
                Outcome::Updated(row.id.cast())
            }
            None => {
                new.push(row.clone());
                tx.emit(actor, NewEvent::new("standing_order.created", row.id, data).of_account(row.account_id));
                Outcome::Created(row.id.cast())
            }
        });
        known.insert(row.source_id.clone(), row);
    }
    bulk_copy!(tx, standing_orders::table, &new)?;
    Ok(outcomes)
}

fn row_of(
    tx: &Tx<'_>,
    source: &Source,
    record: &StandingOrderRecord,
    account: &Known,
    before: Option<&StandingOrderRow>,
) -> Result<std::result::Result<StandingOrderRow, Outcome>> {
    let currency = record.currency.unwrap_or(account.currency);
    let mut check = Check::default();
    check.text(&record.source_id, 128, "/source_id");
    let amount_minor = check.amount(&record.amount, currency, "/amount");
    check.must(amount_minor >= 0, "/amount", "negative", "A standing order cannot pay a negative amount.");
    check.optional(record.purpose.as_ref(), 200, "/purpose");
    check.optional(record.counterparty_bank.as_ref(), 64, "/counterparty_bank");
    check.optional(record.counterparty_account.as_ref(), 64, "/counterparty_account");
    check.optional(record.frequency.as_ref(), 32, "/frequency");
    check.not_before(record.valid_to, record.valid_from, "/valid_to", "A standing order cannot end before it begins.");
    if let Some(rejected) = check.verdict() {
        return Ok(Err(rejected));
    }
    let counterparty = record.counterparty_account.as_deref().map(number::normalise);
    Ok(Ok(StandingOrderRow {
        id: before.map_or_else(StandingOrderId::new, |row| row.id),
        account_id: account.id,
        source_system: source.code.clone(),
        source_id: record.source_id.clone(),
        amount_minor,
        currency,
        purpose: record.purpose.clone(),
        counterparty_bank: record.counterparty_bank.clone(),
        counterparty_masked: counterparty.as_deref().map(number::mask),
        counterparty_hash: counterparty.as_deref().map(|text| tx.keys.blind_index(number::COUNTERPARTY, text)),
        frequency: record.frequency.clone(),
        status: record.status.unwrap_or(StandingOrderStatus::Active),
        valid_from: record.valid_from,
        valid_to: record.valid_to,
        content_hash: content_hash(&tx.keys, &(record, account.id))?,
        created_at: before.map_or(tx.now, |row| row.created_at),
        updated_at: tx.now,
        version: before.map_or(1, |row| row.version + 1),
    }))
}

fn change(tx: &mut Tx<'_>, row: &StandingOrderRow, account: AccountId) -> Result<()> {
    let of = standing_orders::table.find(row.id).filter(standing_orders::account_id.eq(account));
    if account != row.account_id {
        // It lies beside its account, which may be on another machine.
        diesel::delete(of).execute(&mut tx.db)?;
        diesel::insert_into(standing_orders::table).values(row).execute(&mut tx.db)?;
        return Ok(());
    }
    let change = (
        standing_orders::amount_minor.eq(row.amount_minor),
        standing_orders::currency.eq(row.currency),
        standing_orders::purpose.eq(&row.purpose),
        standing_orders::counterparty_bank.eq(&row.counterparty_bank),
        standing_orders::counterparty_masked.eq(&row.counterparty_masked),
        standing_orders::counterparty_hash.eq(&row.counterparty_hash),
        standing_orders::frequency.eq(&row.frequency),
        standing_orders::status.eq(row.status),
        (standing_orders::valid_from.eq(row.valid_from), standing_orders::valid_to.eq(row.valid_to)),
        standing_orders::content_hash.eq(&row.content_hash),
        (standing_orders::updated_at.eq(row.updated_at), standing_orders::version.eq(standing_orders::version + 1)),
    );
    diesel::update(of).set(change).execute(&mut tx.db)?;
    Ok(())
}
