//! Transactions from callers: booked at once, or parked until their account comes.

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, Insertable, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, AnyId, Error, FieldError, Id, Instant, Result, Tx, bulk_copy,
    crypto::BlindIndex,
    event::NewEvent,
    feed::{Outcome, Source},
    json::Json,
    schema::parked_transactions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{Entry, book};
use crate::{
    feed::{Known, TransactionRecord, accounts_by_index, in_chunks},
    number,
};

/// Transactions to be ingested.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TransactionBatch {
    /// Code of the system that they come from.
    #[schema(example = "core", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub source_system: String,
    /// The transactions, at most 1,000.
    #[schema(min_items = 1, max_items = 1_000)]
    #[validate(length(min = 1, max = 1_000), nested)]
    pub items: Vec<TransactionRecord>,
}

/// What became of a batch. Every transaction is counted exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestReport {
    /// How many were new.
    #[schema(minimum = 0)]
    pub created: i64,
    /// How many were known already.
    #[schema(minimum = 0)]
    pub unchanged: i64,
    /// How many wait for their account; they attach when it comes.
    #[schema(minimum = 0)]
    pub parked: i64,
    /// How many break rules; nothing of them was kept.
    #[schema(minimum = 0)]
    pub rejected: i64,
    /// Why those were rejected.
    #[schema(max_items = 1_000)]
    pub errors: Vec<IngestError>,
}

/// Why a transaction was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct IngestError {
    /// Its id in the source system.
    #[schema(example = "695247", max_length = 128)]
    pub source_id: String,
    /// The broken rules; pointers name fields of the batch.
    #[schema(max_items = 20)]
    pub errors: Vec<FieldError>,
}

#[derive(Clone, Insertable)]
#[diesel(table_name = parked_transactions, treat_none_as_default_value = false)]
struct ParkedRow {
    id: AnyId,
    source_system: String,
    source_id: String,
    number_index: BlindIndex,
    payload: Json<Entry>,
    received_at: Instant,
}

/// Ingests a batch. The same transaction again changes nothing; one whose account is unknown is parked.
///
/// # Errors
/// [`Error::Forbidden`] without `transaction.ingest` for the whole bank.
pub fn ingest(tx: &mut Tx<'_>, actor: &Actor, batch: &TransactionBatch) -> Result<IngestReport> {
    actor.allow_everywhere(Action::TransactionIngest)?;
    let source = Source::new(&batch.source_system);
    let outcomes = apply(tx, actor, &source, &batch.items)?;
    let unknown = batch.items.iter().zip(&outcomes).filter(|(_, outcome)| matches!(outcome, Outcome::Parked { .. }));
    park(tx, &source, unknown.map(|(record, _)| record))?;
    Ok(IngestReport::new(&batch.items, outcomes))
}

/// Books records whose account is known; the others are told to wait.
pub(crate) fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[TransactionRecord]) -> Result<Vec<Outcome>> {
    let keys = std::sync::Arc::clone(&tx.keys);
    let mut indexes: HashMap<&str, BlindIndex> = HashMap::new();
    for record in records {
        indexes.entry(&record.account_number).or_insert_with(|| number::index(&keys, &record.account_number));
    }
    let known = accounts_by_index(tx, source, indexes.values().cloned())?;
    let account_of = |record: &TransactionRecord| indexes.get(record.account_number.as_str()).and_then(|index| known.get(index));
    let entries: Vec<Entry> = records.iter().map(|record| Entry::new(&keys, record)).collect();
    let pairs = records.iter().zip(&entries);
    let booked: Vec<(&Known, &Entry)> = pairs.filter_map(|(record, entry)| Some((account_of(record)?, entry))).collect();
    let mut outcomes = book(tx, source, &booked)?.into_iter();
    announce(tx, actor, source, outcomes.as_slice());
    let parked = |number: &str| Outcome::Parked { waiting_for: format!("account:{}:{number}", source.code) };
    let of = |record: &TransactionRecord| match account_of(record) {
        Some(_) => outcomes.next().ok_or_else(|| Error::internal("a booking without an outcome")),
        None => Ok(parked(&record.account_number)),
    };
    records.iter().map(of).collect()
}

fn announce(tx: &mut Tx<'_>, actor: &Actor, source: &Source, outcomes: &[Outcome]) {
    let count = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Created(_))).count();
    if count > 0 {
        let data = json!({ "source_system": source.code, "count": count });
        tx.emit(actor, NewEvent::new("transactions.ingested", Id::<IngestReport>::new(), data));
    }
}

fn park<'a>(tx: &mut Tx<'_>, source: &Source, records: impl Iterator<Item = &'a TransactionRecord>) -> Result<()> {
    let records: Vec<&TransactionRecord> = records.collect();
    let waiting: Vec<String> = in_chunks(records.iter().map(|record| record.source_id.clone()), |chunk| {
        let query = parked_transactions::table
            .filter(parked_transactions::source_system.eq(&source.code))
            .filter(parked_transactions::source_id.eq_any(chunk));
        Ok(query.select(parked_transactions::source_id).load(&mut tx.db)?)
    })?;
    let mut seen: BTreeSet<String> = waiting.into_iter().collect();
    let mut rows = Vec::new();
    for record in records {
        if seen.insert(record.source_id.clone()) {
            rows.push(ParkedRow {
                id: AnyId::new(),
                source_system: source.code.clone(),
                source_id: record.source_id.clone(),
                number_index: number::index(&tx.keys, &record.account_number),
                payload: Json(Entry::new(&tx.keys, record)),
                received_at: tx.now,
            });
        }
    }
    match bulk_copy!(tx, parked_transactions::table, &rows) {
        Err(Error::Conflict { .. }) => Err(Error::Busy),
        other => other.map(|_| ()),
    }
}

/// Books what was parked for accounts that have come. What breaks rules stays parked.
pub(crate) fn attach(tx: &mut Tx<'_>, actor: &Actor, source: &Source, new: impl Iterator<Item = BlindIndex>) -> Result<()> {
    type Parked = (AnyId, BlindIndex, Json<Entry>);
    let parked: Vec<Parked> = in_chunks(new, |chunk| {
        let query = parked_transactions::table
            .filter(parked_transactions::source_system.eq(&source.code))
            .filter(parked_transactions::number_index.eq_any(chunk));
        Ok(query
            .select((parked_transactions::id, parked_transactions::number_index, parked_transactions::payload))
            .load(&mut tx.db)?)
    })?;
    if parked.is_empty() {
        return Ok(());
    }
    let known = accounts_by_index(tx, source, parked.iter().map(|(_, index, _)| index.clone()))?;
    let mut entries = Vec::new();
    let mut ids = Vec::new();
    for (id, index, entry) in &parked {
        if let Some(account) = known.get(index) {
            ids.push(*id);
            entries.push((account, &entry.0));
        }
    }
    let outcomes = book(tx, source, &entries)?;
    announce(tx, actor, source, &outcomes);
    let settled = ids.iter().zip(&outcomes).filter(|(_, outcome)| !matches!(outcome, Outcome::Rejected(_))).map(|(id, _)| *id);
    in_chunks(settled, |chunk| {
        diesel::delete(parked_transactions::table.filter(parked_transactions::id.eq_any(chunk))).execute(&mut tx.db)?;
        Ok(Vec::<()>::new())
    })?;
    Ok(())
}

impl IngestReport {
    fn new(items: &[TransactionRecord], outcomes: Vec<Outcome>) -> Self {
        let mut report = Self { created: 0, unchanged: 0, parked: 0, rejected: 0, errors: Vec::new() };
        for (i, (record, outcome)) in items.iter().zip(outcomes).enumerate() {
            match outcome {
                Outcome::Created(_) | Outcome::Updated(_) => report.created += 1,
                Outcome::Unchanged(_) => report.unchanged += 1,
                Outcome::Parked { .. } => report.parked += 1,
                Outcome::Rejected(errors) => {
                    report.rejected += 1;
                    let errors = errors
                        .into_iter()
                        .map(|error| FieldError { pointer: format!("/items/{i}{}", error.pointer), ..error })
                        .collect();
                    report.errors.push(IngestError { source_id: record.source_id.clone(), errors });
                }
            }
        }
        report
    }
}
