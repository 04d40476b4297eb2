//! Makes an export: reads page after page, and saves how far it came with every step.

use std::{
    collections::BTreeSet,
    io::{BufReader, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Actor, AnyId, Error, Instant, PageParams, Result, Store, Tx,
    audit::{self, Access},
    event::NewEvent,
    job::{self, Handler, Lease},
    json::Json,
    page::MAX_LIMIT,
    schema::{customers, exports},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Column, Content, ExportFormat, ExportId, Reading, Source, encode, entity,
    file::{self, Part, Writer, directory, unwritable},
    parquet,
    record::{self, Record, Request},
};

/// Kind of the jobs that make exports.
pub const JOB_KIND: &str = "export";
/// What the access log calls them.
pub(super) const RESOURCE: &str = "export";
/// How long a file is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// How many pages make a step, which is saved.
const PAGES: usize = 10;
/// How many ids one query looks up.
const IDS: usize = 1_000;
/// How far the clocks of servers may be apart.
const SKEW: Duration = Duration::from_secs(5);
/// The most fields that an access names.
const FIELDS: usize = 100;

/// Label of the rows while they are gathered; for formats that are written row by row, of the file itself.
const ROWS: &str = "rows";
/// Label of a file that is made of all rows.
const FILE: &str = "file";

/// Under which label the file of a format lies.
pub(super) const fn label_of(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv | ExportFormat::Ndjson => ROWS,
        ExportFormat::Parquet => FILE,
    }
}

#[derive(Deserialize)]
struct Payload {
    export_id: ExportId,
}

/// What runs jobs of [`JOB_KIND`]; files lie below `data_dir`.
#[must_use]
pub fn handler(data_dir: PathBuf, source: Source) -> Handler {
    Box::new(move |store: &Store, lease: &Lease| -> Result<Value> {
        let payload: Payload = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        let id = payload.export_id;
        let outcome = Run::begin(store, lease, &data_dir, source, id).and_then(|run| run.map_or(Ok(0), Run::through));
        if let Err(error) = &outcome
            && !error.is_transient()
            && !matches!(error, Error::Conflict { code: "lease_lost", .. })
        {
            store.write_blocking(move |tx| entity::void(tx, id))?;
            file::remove(&data_dir, id);
        }
        Ok(json!({ "export_id": id, "rows": outcome? }))
    })
}

/// A run of the job: one worker's turn.
struct Run<'a> {
    store: &'a Store,
    lease: &'a Lease,
    directory: PathBuf,
    source: Source,
    row: Record,
    request: Request,
    reading: Reading,
    columns: Vec<Column>,
    /// The parts of workers before this one.
    before: Vec<Part>,
}

impl<'a> Run<'a> {
    /// Takes up the work where it was left; nothing when it is done already.
    fn begin(store: &'a Store, lease: &'a Lease, data_dir: &Path, source: Source, id: ExportId) -> Result<Option<Self>> {
        // Of the database that is written to: a replica may be behind what the worker before this one saved.
        let row = store.write_blocking(move |tx| record::find(tx, id))?;
        if row.finished_at.is_some() {
            return Ok(None);
        }
        let request = row.request(store.keys())?;
        let opened = (source.open)(row.list, &request.filter)?;
        let columns = entity::chosen(opened.columns, request.columns.as_deref())?;
        let before = row.parts.0.clone();
        let directory = directory(data_dir, id);
        Ok(Some(Self { store, lease, directory, source, row, request, reading: opened.reading, columns, before }))
    }

    fn through(mut self) -> Result<i64> {
        let (part, size) = self.gather()?;
        self.row.parts = Json(self.before.iter().cloned().chain(part).collect());
        let content = Content::new(self.directory.clone(), self.key()?, ROWS, self.row.parts.0.clone(), size);
        let (parts, size) = match self.row.format {
            ExportFormat::Csv | ExportFormat::Ndjson => (self.row.parts.0.clone(), size),
            ExportFormat::Parquet => self.convert(&content)?,
        };
        self.finish(parts, size)?;
        self.tidy();
        Ok(self.row.rows_done)
    }

    fn key(&self) -> Result<kehu_kernel::crypto::FileKey> {
        self.row.key(self.store.keys())?.ok_or_else(withdrawn)
    }

    fn name(&self, label: &str) -> String {
        format!("{}-{label}", self.lease.job.attempts)
    }

    /// Reads all pages that are not read yet; returns what this worker wrote, and the size of all rows.
    fn gather(&mut self) -> Result<(Option<Part>, u64)> {
        let key = self.key()?;
        let rest = file::open_rest(&key, self.row.tail.as_deref())?;
        let first = self.before.iter().fold(0_u64, |sum, part| sum.saturating_add(part.chunks));
        let mut writer = Writer::create(&self.directory, self.name(ROWS), key, ROWS, first, rest)?;
        while !self.row.gathered {
            let (store, lease) = (self.store, self.lease);
            lease.during(store, job::BEAT, || self.step(&mut writer))?;
        }
        let (part, size) = writer.finish()?;
        Ok(((part.chunks > 0).then_some(part), size))
    }

    /// Reads some pages, and saves that they were read.
    fn step(&mut self, writer: &mut Writer) -> Result<()> {
        // Asked again at each step: rights may be taken away meanwhile.
        let (row, source, request) = (&self.row, &self.source, &self.request);
        let actor = self.store.read_blocking(|conn| row.actor(conn, source, request))?;
        let since = self.store.now().minus(SKEW);
        let mut ids = BTreeSet::new();
        if self.row.rows_done == 0 && self.row.cursor.is_none() && self.row.format == ExportFormat::Csv {
            let mark = if self.request.byte_order_mark { encode::BYTE_ORDER_MARK } else { &[] };
            writer.write_all(mark).map_err(unwritable)?;
            writer.write_all(&encode::csv_header(&self.columns)?).map_err(unwritable)?;
        }
        for _ in 0..PAGES {
            let first = self.row.cursor.is_none();
            let params = PageParams { limit: Some(MAX_LIMIT), cursor: self.row.cursor.clone(), include_total: Some(first) };
            let page = self.reading.page(self.store, &actor, &params)?;
            writer.write_all(&self.lines(&page.items)?).map_err(unwritable)?;
            page.items.iter().for_each(|item| collect_ids(item, &mut ids));
            self.row.rows_done += i64::try_from(page.items.len()).map_err(Error::internal)?;
            if first {
                self.row.rows_total = page.total;
            }
            self.row.gathered = page.next_cursor.is_none();
            self.row.cursor = page.next_cursor;
            if self.row.gathered {
                break;
            }
        }
        self.save(writer, actor, ids, since)
    }

    fn lines(&self, items: &[Value]) -> Result<Vec<u8>> {
        let chosen = self.request.columns.as_ref().map(|_| self.columns.as_slice());
        match self.row.format {
            ExportFormat::Csv => encode::csv_lines(&self.columns, items),
            ExportFormat::Ndjson => encode::json_lines(chosen, items),
            ExportFormat::Parquet => encode::json_lines(Some(&self.columns), items),
        }
    }

    /// Saves how far the rows came, together with whose data they are.
    fn save(&mut self, writer: &mut Writer, actor: Actor, ids: BTreeSet<AnyId>, since: Instant) -> Result<()> {
        self.row.tail = Some(writer.sync()?);
        let part = writer.part().clone();
        self.row.parts = Json(self.before.iter().cloned().chain((part.chunks > 0).then_some(part)).collect());
        let (row, lease, fields) = (self.row.clone(), self.lease.clone(), self.fields());
        let ids: Vec<CustomerId> = ids.into_iter().map(AnyId::cast).collect();
        self.store.write_blocking(move |tx| {
            lease.progress(tx, row.rows_done, row.rows_total)?;
            let held = customers_among(tx, &ids, since)?;
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            audit::record_of_each(tx, &actor, access(row.id, &fields), &held)?;
            let kept = exports::table.find(row.id).filter(exports::key_sealed.is_not_null());
            let saved = diesel::update(kept)
                .set((
                    exports::parts.eq(&row.parts),
                    exports::cursor.eq(&row.cursor),
                    exports::tail.eq(&row.tail),
                    exports::gathered.eq(row.gathered),
                    exports::rows_done.eq(row.rows_done),
                    exports::rows_total.eq(row.rows_total),
                    exports::version.eq(exports::version + 1),
                ))
                .execute(&mut tx.db)?;
            if saved == 1 { Ok(()) } else { Err(withdrawn()) }
        })
    }

    /// The fields that an access names: those of the items, without what is within them.
    fn fields(&self) -> Vec<String> {
        let mut fields: Vec<String> = self.columns.iter().filter_map(|column| column.path.first().cloned()).collect();
        fields.dedup();
        fields.truncate(FIELDS);
        fields
    }

    /// Makes the file of the gathered rows, from its beginning even if a worker before this one had begun.
    fn convert(&self, rows: &Content) -> Result<(Vec<Part>, u64)> {
        let mut writer = Writer::create(&self.directory, self.name(FILE), self.key()?, FILE, 0, Vec::new())?;
        let lines = BufReader::new(rows.reader());
        self.lease.during(self.store, job::BEAT, || parquet::write(&self.columns, lines, &mut writer))?;
        let (part, size) = writer.finish()?;
        Ok((vec![part], size))
    }

    fn finish(&self, parts: Vec<Part>, size: u64) -> Result<()> {
        let (row, lease, fields) = (self.row.clone(), self.lease.clone(), self.fields());
        let size = i64::try_from(size).map_err(Error::internal)?;
        let (source, request) = (self.source, self.request.clone());
        self.store.write_blocking(move |tx| {
            lease.progress(tx, row.rows_done, Some(row.rows_done))?;
            let actor = row.actor(tx, &source, &request)?;
            let kept = exports::table.find(row.id).filter(exports::key_sealed.is_not_null());
            let finished = diesel::update(kept)
                .set((
                    exports::parts.eq(Json(parts.clone())),
                    exports::size_bytes.eq(size),
                    exports::tail.eq(None::<Vec<u8>>),
                    exports::cursor.eq(None::<String>),
                    exports::finished_at.eq(tx.now),
                    exports::expires_at.eq(tx.now.plus(KEPT)),
                    exports::version.eq(exports::version + 1),
                ))
                .execute(&mut tx.db)?;
            if finished == 0 {
                return Err(withdrawn());
            }
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            audit::record(tx, &actor, access(row.id, &fields))?;
            let data = json!({ "list": row.list, "format": row.format, "rows": row.rows_done });
            tx.emit(&actor, NewEvent::new("export.finished", row.id, data));
            Ok(())
        })
    }

    /// Removes what only the making needed.
    fn tidy(&self) {
        if self.row.format != ExportFormat::Parquet {
            return;
        }
        for part in &self.row.parts.0 {
            if let Err(error) = std::fs::remove_file(self.directory.join(&part.name)) {
                log::warn!(export:% = self.row.id; "gathered rows stay behind: {error}");
            }
        }
    }
}

fn withdrawn() -> Error {
    Error::conflict("export_withdrawn", "The export was taken back while it was made.")
}

const fn access<'a>(id: ExportId, fields: &'a [&'a str]) -> Access<'a> {
    Access { customer_id: None, resource: RESOURCE, resource_id: id.cast(), action: "export.create", fields }
}

/// Everything in an item that may be the id of a customer.
fn collect_ids(value: &Value, into: &mut BTreeSet<AnyId>) {
    match value {
        Value::String(text) if text.len() == 36 => into.extend(text.parse::<AnyId>()),
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect_ids(field, into)),
        _ => {}
    }
}

/// Those of the ids that are customers. When one was erased since it was read, the step is to be done again, without it.
fn customers_among(tx: &mut Tx<'_>, ids: &[CustomerId], since: Instant) -> Result<Vec<AnyId>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(IDS) {
        let rows: Vec<(CustomerId, Option<Instant>)> = customers::table
            .filter(customers::id.eq_any(chunk))
            .select((customers::id, customers::erased_at))
            .load(&mut tx.db)?;
        if rows.iter().any(|(_, erased)| erased.is_some_and(|at| at >= since)) {
            return Err(Error::Busy);
        }
        found.extend(rows.into_iter().map(|(id, _)| id.cast()));
    }
    Ok(found)
}
