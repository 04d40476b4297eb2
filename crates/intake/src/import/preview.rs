//! What the files hold, found without writing anything: counts, first errors, samples.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::feed::RecordMatch;
use kehu_kernel::{Action, Actor, Result, Store, Tx, crypto::Keyring, feed::Source, json::Json, schema::imports};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{ImportId, batch, mask::masked, plan::PlannedFile};
use crate::{
    dispatch::{self, Feed},
    mapping::{Document, RowError},
    reader::Row,
};

/// How many samples and errors a preview shows per feed of a file.
const SAMPLES: usize = 3;
const ERRORS: usize = 20;
/// How many customers are searched for at a time.
const SEARCHED: usize = 1_000;

/// What the files of an import hold.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Preview {
    /// Each file, in the order of reading.
    #[schema(max_items = 1000)]
    pub files: Vec<FilePreview>,
    /// The first records as the mapping makes them: `{file, feed, record}`, numbers of documents and accounts
    /// masked; null for callers without `import.manage`, and once the import has ended.
    #[schema(value_type = Option<Vec<Object>>, max_items = 10000)]
    pub samples: Option<Value>,
}

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilePreview {
    /// Name of the file.
    #[schema(max_length = 255)]
    pub name: String,
    /// How many rows it has.
    #[schema(minimum = 0)]
    pub rows: i64,
    /// How many of them cannot be read at all.
    #[schema(minimum = 0)]
    pub broken: i64,
    /// What the rows become.
    #[schema(max_items = 100)]
    pub feeds: Vec<FeedPreview>,
    /// The first errors.
    #[schema(max_items = 20)]
    pub errors: Vec<PreviewError>,
}

/// What the rows of a file become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FeedPreview {
    /// The feed.
    pub feed: Feed,
    /// How many records it gets.
    #[schema(minimum = 0)]
    pub records: i64,
    /// How many rows do not make a record.
    #[schema(minimum = 0)]
    pub rejected: i64,
    /// How many records tell about customers that are known already, by the way in which they were found;
    /// the others will make customers. Empty for feeds other than `customers`.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub matches: Vec<MatchCount>,
}

/// How many records found their customer in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MatchCount {
    /// The way.
    pub method: RecordMatch,
    /// How many records.
    #[schema(minimum = 1)]
    pub records: i64,
}

impl FeedPreview {
    fn count(&mut self, method: RecordMatch) {
        match self.matches.iter_mut().find(|count| count.method == method) {
            Some(count) => count.records += 1,
            None => self.matches.push(MatchCount { method, records: 1 }),
        }
    }
}

/// An error of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewError {
    /// The line on which the row begins.
    #[schema(minimum = 0)]
    pub line: i64,
    /// What is wrong.
    pub error: RowError,
}

/// A preview as it is kept: samples are personal data and sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    files: Vec<FilePreview>,
    samples: String,
}

const LABEL: &str = "imports.preview";

/// Drops the samples of an import: they were there to judge what it would bring.
pub(super) fn forget_samples(tx: &mut Tx<'_>, import: ImportId) -> Result<()> {
    let kept: Option<Json<Kept>> = imports::table.find(import).select(imports::preview).first(&mut tx.db)?;
    let Some(Json(kept)) = kept.filter(|kept| !kept.0.samples.is_empty()) else { return Ok(()) };
    let without = Kept { samples: String::new(), ..kept };
    diesel::update(imports::table.find(import)).set(imports::preview.eq(Json(without))).execute(&mut tx.db)?;
    Ok(())
}

impl Kept {
    pub(super) fn seal(keys: &Keyring, import: ImportId, files: Vec<FilePreview>, samples: Vec<Value>) -> Result<Self> {
        let sealed = keys.seal(LABEL, import, &Value::Array(samples).to_string())?;
        Ok(Self { files, samples: BASE64.encode(sealed) })
    }

    pub(super) fn open(self, keys: &Keyring, actor: &Actor, import: ImportId) -> Result<Preview> {
        let samples = if actor.reach(Action::ImportManage).is_some() {
            // After a rotation of keys the samples of old previews stay closed.
            let opened = BASE64.decode(&self.samples).ok().and_then(|sealed| keys.open(LABEL, import, &sealed).ok());
            opened.and_then(|text| serde_json::from_str(&text).ok()).map(|samples| masked(&samples))
        } else {
            None
        };
        Ok(Preview { files: self.files, samples })
    }
}

/// Collects the preview of one file.
pub(super) struct Collector<'a> {
    document: &'a Document,
    file: &'a PlannedFile,
    pub(super) found: FilePreview,
    pub(super) samples: Vec<Value>,
    sampled: Vec<usize>,
    /// Records of each feed that were not searched for yet.
    waiting: Vec<Vec<Value>>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(document: &'a Document, file: &'a PlannedFile) -> Self {
        let feeds: Vec<FeedPreview> =
            batch::feeds(document, file).map(|feed| FeedPreview { feed, records: 0, rejected: 0, matches: Vec::new() }).collect();
        let (sampled, waiting) = (vec![0; feeds.len()], vec![Vec::new(); feeds.len()]);
        let found = FilePreview { name: file.name.clone(), feeds, ..FilePreview::default() };
        Self { document, file, found, samples: Vec::new(), sampled, waiting }
    }

    pub(super) fn take(&mut self, row: &Row) {
        self.found.rows += 1;
        if let Some(fault) = &row.fault {
            self.found.broken += 1;
            self.error(row.line, std::slice::from_ref(fault));
            return;
        }
        for (place, key, record) in batch::records(self.document, self.file, row) {
            let checked = record.and_then(|record| match dispatch::check(key.feed, &record) {
                Ok(()) => Ok(record),
                Err(errors) => Err(batch::explain(self.document, self.file, &key, errors)),
            });
            if let Err(errors) = &checked {
                self.error(row.line, errors);
            }
            let (Some(feed), Some(sampled)) = (self.found.feeds.get_mut(place), self.sampled.get_mut(place)) else { continue };
            match checked {
                Ok(record) => {
                    feed.records += 1;
                    if *sampled < SAMPLES {
                        *sampled += 1;
                        self.samples.push(serde_json::json!({ "file": self.file.name, "feed": key.feed, "record": &record }));
                    }
                    if let Some(waiting) = self.waiting.get_mut(place).filter(|_| key.feed == Feed::Customers) {
                        waiting.push(record);
                    }
                }
                Err(_) => feed.rejected += 1,
            }
        }
    }

    /// Whether it is time to [search](Self::search).
    pub(super) fn is_full(&self) -> bool {
        self.waiting.iter().any(|records| records.len() >= SEARCHED)
    }

    /// Looks for the customers of the records that were taken.
    pub(super) fn search(&mut self, store: &Store, source: &Source) -> Result<()> {
        for (feed, records) in self.found.feeds.iter_mut().zip(&mut self.waiting) {
            if !records.is_empty() {
                let found = store.read_blocking(|conn| dispatch::foresee(feed.feed, conn, source, records))?;
                found.into_iter().flatten().for_each(|method| feed.count(method));
                records.clear();
            }
        }
        Ok(())
    }

    fn error(&mut self, line: i64, errors: &[RowError]) {
        let room = ERRORS.saturating_sub(self.found.errors.len());
        self.found.errors.extend(errors.iter().take(room).map(|error| PreviewError { line, error: error.clone() }));
    }
}
