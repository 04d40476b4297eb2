//! From rows to outcomes: what a batch of rows becomes, in one transaction.

use std::{collections::BTreeSet, sync::Arc};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, AnyId, Error, FieldError, Result, Tx, bulk_copy,
    feed::{Outcome, Source},
    schema::{import_effects, imports},
};
use serde_json::Value;

use super::{ImportCounts, ImportFileId, ImportId, plan::PlannedFile};
use crate::{
    dispatch::{self, Feed},
    mapping::{Document, Raw, RowError, document::FeedMapping},
    reader::Row,
};

/// Which of the feeds of a file a record belongs to. Written `accounts`, or `branches#2` where a file
/// fills one feed in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FeedKey {
    pub feed: Feed,
    pub nth: usize,
}

impl std::fmt::Display for FeedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.nth == 1 { write!(f, "{}", self.feed) } else { write!(f, "{}#{}", self.feed, self.nth) }
    }
}

impl std::str::FromStr for FeedKey {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (feed, nth) = text.split_once('#').unwrap_or((text, "1"));
        Ok(Self { feed: feed.parse()?, nth: nth.parse().map_err(|_| ())? })
    }
}

/// One record on its way.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub file_id: ImportFileId,
    pub row_no: i64,
    pub line: i64,
    /// `None` for a row that cannot be read: nobody knows what it would have become.
    pub key: Option<FeedKey>,
    pub raw: Arc<Raw>,
    pub record: Result<Value, Vec<RowError>>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Created(AnyId),
    Updated,
    Unchanged,
    Rejected(Vec<RowError>),
    Parked(String),
}

/// The feeds that a file fills, in the order of the mapping.
pub(super) fn feeds<'a>(document: &'a Document, file: &PlannedFile) -> Box<dyn Iterator<Item = Feed> + 'a> {
    match file.mapping(document) {
        Some(mapping) => Box::new(mapping.feeds.iter().map(|feed| feed.feed)),
        None => {
            let mut feeds: Vec<Feed> = Vec::new();
            for record in &document.records {
                if !feeds.contains(&record.feed) {
                    feeds.push(record.feed);
                }
            }
            Box::new(feeds.into_iter())
        }
    }
}

/// The records that a sound row becomes, each with the place of its feed in [`feeds`].
pub(super) fn records<'a>(
    document: &'a Document,
    file: &'a PlannedFile,
    row: &'a Row,
) -> Vec<(usize, FeedKey, Result<Value, Vec<RowError>>)> {
    let keys = feeds(document, file).enumerate().map(|(place, feed)| {
        let nth = feeds(document, file).take(place + 1).filter(|earlier| *earlier == feed).count();
        (place, FeedKey { feed, nth })
    });
    keys.filter_map(|(place, key)| Some((place, key, record(document, file, key, &row.raw)?))).collect()
}

/// The record that a row becomes for one feed; `None` when the row is not meant for it.
pub(super) fn record(document: &Document, file: &PlannedFile, key: FeedKey, raw: &Raw) -> Option<Result<Value, Vec<RowError>>> {
    match feed_mapping(document, file, key) {
        Some(mapping) => mapping.wants(document, raw).then(|| mapping.record(document, raw)),
        None if file.place.is_none() => {
            let meant = raw.get("feed").and_then(Value::as_str) == Some(key.feed.as_str());
            meant.then(|| Ok(raw.get("record").cloned().unwrap_or_default()))
        }
        None => None,
    }
}

/// The ids in the source of the customers of whom a row tells, as far as they can be read of it.
pub(super) fn customers(document: &Document, file: &PlannedFile, key: FeedKey, raw: &Raw) -> Vec<String> {
    let names = dispatch::names_customers_by(key.feed);
    match feed_mapping(document, file, key) {
        Some(mapping) => mapping.texts(document, raw, names),
        None => {
            let record = raw.get("record");
            let text = |name: &&str| match record?.get(*name)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            names.iter().filter_map(text).collect()
        }
    }
}

fn feed_mapping<'a>(document: &'a Document, file: &PlannedFile, key: FeedKey) -> Option<&'a FeedMapping> {
    let mapping = file.mapping(document)?;
    mapping.feeds.iter().filter(|feed| feed.feed == key.feed).nth(key.nth.checked_sub(1)?)
}

/// What an owner said about a record, with the columns that it came from.
pub(super) fn explain(document: &Document, file: &PlannedFile, key: &FeedKey, errors: Vec<FieldError>) -> Vec<RowError> {
    match feed_mapping(document, file, *key) {
        Some(mapping) => mapping.explain(errors),
        None => FeedMapping { feed: key.feed, only: Vec::new(), fields: Default::default() }.explain(errors),
    }
}

/// The items of a batch of rows: grouped by feed in the order of the mapping, rows in their order.
pub(super) fn items(document: &Document, file: &PlannedFile, rows: Vec<Row>) -> Vec<Item> {
    let mut items: Vec<(usize, Item)> = Vec::new();
    for row in rows {
        let made: Vec<_> = match &row.fault {
            Some(fault) => vec![(0, None, Err(vec![fault.clone()]))],
            None => records(document, file, &row).into_iter().map(|(place, key, record)| (place, Some(key), record)).collect(),
        };
        let raw = Arc::new(row.raw);
        items.extend(made.into_iter().map(|(place, key, record)| {
            let item = Item { file_id: file.id, row_no: row.number, line: row.line, key, raw: Arc::clone(&raw), record };
            (place, item)
        }));
    }
    items.sort_by_key(|(place, item)| (*place, item.key, item.row_no));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Hands items to the owners of their tables, feed by feed. One fate for each item, in order.
pub(super) fn apply(
    tx: &mut Tx<'_>,
    actor: &Actor,
    source: &Source,
    document: &Document,
    file: &PlannedFile,
    items: &[Item],
) -> Result<Vec<Fate>> {
    let mut fates = Vec::with_capacity(items.len());
    for group in items.chunk_by(|a, b| a.key == b.key) {
        let records: Vec<&Value> = group.iter().filter_map(|item| item.record.as_ref().ok()).collect();
        let key = group.first().and_then(|item| item.key);
        let mut outcomes = match key {
            Some(key) => hand_over(tx, actor, source, key.feed, &records)?.into_iter(),
            None => Vec::new().into_iter(),
        };
        for item in group {
            fates.push(match (&item.record, key) {
                (Err(errors), _) => Fate::Rejected(errors.clone()),
                (Ok(_), None) => return Err(Error::internal("a record without a feed")),
                (Ok(_), Some(key)) => match outcomes.next() {
                    Some(Outcome::Created(id)) => Fate::Created(id),
                    Some(Outcome::Updated(_)) => Fate::Updated,
                    Some(Outcome::Unchanged(_)) => Fate::Unchanged,
                    Some(Outcome::Rejected(errors)) => Fate::Rejected(explain(document, file, &key, errors)),
                    Some(Outcome::Parked { waiting_for }) => Fate::Parked(waiting_for),
                    None => return Err(Error::internal(format!("{} answered too few outcomes", key.feed))),
                },
            });
        }
    }
    Ok(fates)
}

/// A batch that breaks a constraint of the database is taken record by record, so that one of them
/// cannot stop the others.
fn hand_over(tx: &mut Tx<'_>, actor: &Actor, source: &Source, feed: Feed, records: &[&Value]) -> Result<Vec<Outcome>> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    match tx.savepoint(|tx| dispatch::apply(feed, tx, actor, source, records)) {
        Err(error) if is_about_a_record(&error) => {}
        other => return other,
    }
    let mut outcomes = Vec::with_capacity(records.len());
    for record in records {
        let one = tx.savepoint(|tx| dispatch::apply(feed, tx, actor, source, std::slice::from_ref(record)));
        match one {
            Ok(mut outcome) => outcomes.extend(outcome.pop()),
            Err(error) if is_about_a_record(&error) => outcomes.push(refusal(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(outcomes)
}

const fn is_about_a_record(error: &Error) -> bool {
    matches!(error, Error::Conflict { .. } | Error::Invalid(_) | Error::NotFound)
}

fn refusal(error: Error) -> Outcome {
    match error {
        Error::Invalid(errors) => Outcome::Rejected(errors),
        Error::Conflict { code, detail } => Outcome::rejected("", code, detail),
        other => Outcome::rejected("", "not_found", other.to_string()),
    }
}

/// Counts fates and remembers what was created.
pub(super) fn settle(tx: &mut Tx<'_>, import: ImportId, rows_read: i64, items: &[Item], fates: &[Fate]) -> Result<ImportCounts> {
    let counts = count(rows_read, fates);
    let created: BTreeSet<(Feed, AnyId)> = items
        .iter()
        .zip(fates)
        .filter_map(|(item, fate)| match (fate, item.key) {
            (Fate::Created(id), Some(key)) => Some((key.feed, *id)),
            _ => None,
        })
        .collect();
    let effects: Vec<_> = created
        .into_iter()
        .map(|(feed, id)| {
            (import_effects::import_id.eq(import), import_effects::entity.eq(feed.as_str()), import_effects::entity_id.eq(id))
        })
        .collect();
    if !effects.is_empty() {
        bulk_copy!(tx, import_effects::table, effects)?;
    }
    add(tx, import, &counts)?;
    Ok(counts)
}

pub(super) fn count(read: i64, fates: &[Fate]) -> ImportCounts {
    let mut counts = ImportCounts { read, ..ImportCounts::default() };
    for fate in fates {
        *match fate {
            Fate::Created(_) => &mut counts.created,
            Fate::Updated => &mut counts.updated,
            Fate::Unchanged => &mut counts.unchanged,
            Fate::Rejected(_) => &mut counts.rejected,
            Fate::Parked(_) => &mut counts.parked,
        } += 1;
    }
    counts
}

/// Adds to the counts of an import; what has left a state is a negative number.
pub(super) fn add(tx: &mut Tx<'_>, import: ImportId, by: &ImportCounts) -> Result<()> {
    diesel::update(imports::table.find(import))
        .set((
            imports::read_count.eq(imports::read_count + by.read),
            imports::created_count.eq(imports::created_count + by.created),
            imports::updated_count.eq(imports::updated_count + by.updated),
            imports::unchanged_count.eq(imports::unchanged_count + by.unchanged),
            imports::rejected_count.eq(imports::rejected_count + by.rejected),
            imports::parked_count.eq(imports::parked_count + by.parked),
            imports::version.eq(imports::version + 1),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}
