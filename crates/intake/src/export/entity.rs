//! The export itself: asked for, followed, stopped.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx,
    access::Reach,
    event::NewEvent,
    job::{self, JobId, JobState},
    json::Json,
    schema::{exports, jobs},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    Column, ExportList, Source, link,
    record::{self, Record, Request},
    run::JOB_KIND,
};

/// Identifier of an export.
pub type ExportId = Id<Export>;

text_enum! {
    /// The format of an export.
    pub enum ExportFormat {
        /// Comma-separated values (RFC 4180) in UTF-8: a header, then a line for each item. Objects are spread over columns
        /// with dotted names; lists are JSON. A text that a spreadsheet would take for a formula begins with an apostrophe.
        Csv = "csv",
        /// One JSON object a line, as the list shows it.
        Ndjson = "ndjson",
        /// Apache Parquet: the columns of the CSV with types. Amounts are texts, instants microseconds in UTC.
        Parquet = "parquet",
    }
}

text_enum! {
    /// Where an export stands.
    pub enum ExportState {
        /// It waits for a worker.
        Queued = "queued",
        /// Its rows are being read.
        Running = "running",
        /// Its file can be fetched.
        Ready = "ready",
        /// It could not be made; `error` says why.
        Failed = "failed",
        /// It was stopped or taken back on request, or because a customer in it was erased.
        Cancelled = "cancelled",
        /// Its time is over, its file is gone.
        Expired = "expired",
    }
}

/// A list as a file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Export {
    /// Identifier of the export.
    pub id: ExportId,
    /// The list.
    pub list: ExportList,
    /// What the list was filtered by.
    #[schema(value_type = Object)]
    pub filter: Map<String, Value>,
    /// The format of the file.
    pub format: ExportFormat,
    /// The columns that were chosen; null for all.
    #[schema(value_type = Option<Vec<kehu_kernel::limits::Line>>, max_items = 200)]
    pub columns: Option<Vec<String>>,
    /// Whether the CSV file begins with a byte order mark.
    pub byte_order_mark: bool,
    /// Why it was asked for.
    #[schema(example = "monthly report to the regulator", max_length = 200)]
    pub purpose: String,
    /// Where it stands.
    pub state: ExportState,
    /// The job that makes it.
    pub job_id: JobId,
    /// Rows that were read so far.
    #[schema(minimum = 0)]
    pub rows_done: i64,
    /// Rows in all, as counted at the beginning; null where the list was not counted.
    #[schema(minimum = 0)]
    pub rows_total: Option<i64>,
    /// Size of the file in bytes; null until it is ready.
    #[schema(minimum = 0)]
    pub size_bytes: Option<i64>,
    /// Why it failed.
    #[schema(max_length = 2000)]
    pub error: Option<String>,
    /// Who asked for it.
    #[schema(max_length = 128)]
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: Instant,
    /// When it was ready; null before.
    pub finished_at: Option<Instant>,
    /// Until when the file is kept; null before it is ready.
    pub expires_at: Option<Instant>,
    /// Path, with a signature, from which the file can be fetched without a token until `download_expires_at`; null unless it
    /// is ready and the caller asked for it. Each read of the export gives a fresh one.
    #[schema(
        max_length = 500,
        example = "/v1/exports/01890a5d-ac96-774b-bcce-b302099a8057/content?expires=1767225600&signature=4kYx0mZ5rZ7v3s1p2q8w9e6r5t4y3u2i1o0pAsDfGhJ"
    )]
    pub download_url: Option<String>,
    /// Until when that path can be used.
    pub download_expires_at: Option<Instant>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// An export to be made.
#[derive(Clone, Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewExport {
    /// The list.
    pub list: ExportList,
    /// What the list is filtered by: the ids of its path and the parameters of its query by their names, or the fields of a
    /// search; without paging. Absent: no filter.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({ "status": "active" }))]
    pub filter: Option<Map<String, Value>>,
    /// The format of the file.
    pub format: ExportFormat,
    /// The columns of the file, in this order: dotted names such as `home_branch.label`, or the name of an object for all
    /// that it holds. Absent: all, in the order of the list's schema.
    #[schema(value_type = Option<Vec<kehu_kernel::limits::Line>>, min_items = 1, max_items = 200, example = json!(["id", "number"]))]
    #[validate(length(min = 1, max = 200), custom(function = "kehu_kernel::limits::lines"))]
    pub columns: Option<Vec<String>>,
    /// Whether a CSV file begins with a byte order mark, by which Excel knows UTF-8. False unless given.
    pub byte_order_mark: Option<bool>,
    /// Why the data is taken out; recorded. `X-Purpose` unless given, and one of them is needed.
    #[schema(example = "monthly report to the regulator", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub purpose: Option<String>,
}

/// Asks for an export. The list is opened at once, so that who may not read it, or filters it wrongly, is told so.
///
/// # Errors
/// [`Error::Forbidden`] without `export.create`; those of the list itself; [`Error::Invalid`] for a wrong filter or column,
/// or without a purpose.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, source: &Source, asker: Value, new: &NewExport) -> Result<Export> {
    actor.allow(Action::ExportCreate)?;
    let given = new.purpose.as_deref().or(actor.purpose.as_deref()).map(str::trim).filter(|purpose| !purpose.is_empty());
    let purpose =
        given.ok_or_else(|| Error::invalid("/purpose", "required", "Say in purpose why the data is taken out."))?.to_owned();
    let filter = new.filter.clone().unwrap_or_default();
    let opened = (source.open)(new.list, &filter)?;
    chosen(opened.columns, new.columns.as_deref())?;
    // Nothing is kept of the page, so nothing sensitive is asked for: without a purpose lists show none.
    let asking = Actor { purpose: None, ..actor.clone() };
    opened.reading.page_within(tx, &asking, &PageParams { limit: Some(1), ..PageParams::default() })?;
    let id = ExportId::new();
    let request = Request {
        filter,
        columns: new.columns.clone(),
        byte_order_mark: new.byte_order_mark.unwrap_or(false),
        asker,
        request_id: actor.request_id.clone(),
    };
    let row = Record {
        id,
        list: new.list,
        format: new.format,
        purpose,
        request_sealed: record::seal_request(&tx.keys, id, &request)?,
        job_id: job::enqueue(tx, actor, JOB_KIND, json!({ "export_id": id }))?,
        requested_by: actor.subject.clone(),
        requested_at: tx.now,
        key_sealed: Some(record::new_key(&tx.keys, id)?),
        parts: Json(Vec::new()),
        cursor: None,
        tail: None,
        gathered: false,
        rows_done: 0,
        rows_total: None,
        size_bytes: None,
        finished_at: None,
        expires_at: None,
        withdrawn_at: None,
        version: 1,
    };
    diesel::insert_into(exports::table).values(&row).execute(&mut tx.db)?;
    let data = json!({ "list": new.list, "format": new.format });
    tx.emit(actor, NewEvent::new("export.requested", id, data));
    get(tx, actor, id)
}

/// The columns of an export: those that were chosen, by name or by the name of an object around them, or all.
pub(super) fn chosen(all: Vec<Column>, names: Option<&[String]>) -> Result<Vec<Column>> {
    let Some(names) = names else { return Ok(all) };
    let mut columns: Vec<Column> = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let within = format!("{name}.");
        let mut fits = all.iter().filter(|column| column.name() == *name || column.name().starts_with(&within)).peekable();
        if fits.peek().is_none() {
            let message = "The list has no such column; its columns are the fields of its items.";
            return Err(Error::invalid(format!("/columns/{place}"), "unknown_column", message));
        }
        for column in fits {
            if !columns.contains(column) {
                columns.push(column.clone());
            }
        }
    }
    Ok(columns)
}

/// The exports that a caller may see: all with depth `all`, else the caller's own.
fn visible<'a>(actor: &Actor) -> exports::BoxedQuery<'a, MultiBackend> {
    let query = exports::table.into_boxed();
    if sees_all(actor) { query } else { query.filter(exports::requested_by.eq(actor.subject.clone())) }
}

fn sees_all(actor: &Actor) -> bool {
    actor.reach(Action::ExportCreate) == Some(Reach::All)
}

/// Exports, the newest first.
///
/// # Errors
/// [`Error::Forbidden`] without `export.create`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<Export>> {
    actor.allow(Action::ExportCreate)?;
    let all = sees_all(actor);
    let window = params.window::<ExportId>(&conn.keys, &format!("exports?all={all}&by={}", actor.subject))?;
    let total = if window.include_total { Some(visible(actor).count().get_result(&mut conn.db)?) } else { None };
    let mut query = visible(actor).order(exports::id.desc()).limit(window.fetch()).select(Record::as_select());
    if let Some(before) = window.after {
        query = query.filter(exports::id.lt(before));
    }
    let rows: Vec<Record> = query.load(&mut conn.db)?;
    let rows = shown(conn, actor, rows)?;
    window.page(&conn.keys, rows, total, |export: &Export| export.id)
}

/// One export.
///
/// # Errors
/// [`Error::NotFound`], also for the exports of others; [`Error::Forbidden`] without `export.create`.
pub fn get(conn: &mut Conn, actor: &Actor, id: ExportId) -> Result<Export> {
    actor.allow(Action::ExportCreate)?;
    let row: Record = visible(actor).filter(exports::id.eq(id)).select(Record::as_select()).first(&mut conn.db)?;
    shown(conn, actor, vec![row])?.pop().ok_or(Error::NotFound)
}

/// Stops an export, or takes one back that is ready: its link leads nowhere any more, its file is gone.
///
/// # Errors
/// As [`get`]; [`Error::Conflict`] `export_ended` when there is nothing left to stop.
pub fn cancel(tx: &mut Tx<'_>, actor: &Actor, id: ExportId) -> Result<Export> {
    let found = get(tx, actor, id)?;
    match found.state {
        ExportState::Queued | ExportState::Running => {
            // Whoever may stop the export may stop its job.
            let entitled = Actor { grants: Actor::system().grants, ..actor.clone() };
            job::cancel(tx, &entitled, found.job_id)?;
        }
        ExportState::Ready => {}
        state => return Err(Error::conflict("export_ended", format!("The export is {state} already."))),
    }
    void(tx, id)?;
    tx.emit(actor, NewEvent::new("export.cancelled", id, json!({ "list": found.list })));
    get(tx, actor, id)
}

/// Makes the file unreadable for ever; what lies on the disk is swept out later.
pub(super) fn void(tx: &mut Tx<'_>, id: ExportId) -> Result<bool> {
    let kept = exports::table.find(id).filter(exports::key_sealed.is_not_null());
    let voided = diesel::update(kept)
        .set((
            exports::key_sealed.eq(None::<Vec<u8>>),
            exports::tail.eq(None::<Vec<u8>>),
            exports::cursor.eq(None::<String>),
            exports::withdrawn_at.eq(tx.now),
            exports::version.eq(exports::version + 1),
        ))
        .execute(&mut tx.db)?;
    Ok(voided == 1)
}

fn shown(conn: &mut Conn, actor: &Actor, rows: Vec<Record>) -> Result<Vec<Export>> {
    let ids: Vec<JobId> = rows.iter().map(|row| row.job_id).collect();
    let jobs: Vec<(JobId, JobState, Option<String>)> =
        jobs::table.filter(jobs::id.eq_any(ids)).select((jobs::id, jobs::state, jobs::error)).load(&mut conn.db)?;
    let of = |row: Record| {
        let job = jobs.iter().find(|(id, ..)| *id == row.job_id).map(|(_, state, error)| (*state, error.clone()));
        show(conn, actor, row, job)
    };
    rows.into_iter().map(of).collect()
}

fn show(conn: &Conn, actor: &Actor, row: Record, job: Option<(JobState, Option<String>)>) -> Result<Export> {
    let state = state(&row, job.as_ref().map(|(state, _)| *state), conn.now);
    let request = row.request(&conn.keys)?;
    let mine = row.requested_by == actor.subject;
    let link = (state == ExportState::Ready && mine).then(|| link::sign(&conn.keys, row.id, row.expires_at, conn.now));
    Ok(Export {
        id: row.id,
        list: row.list,
        filter: request.filter,
        format: row.format,
        columns: request.columns,
        byte_order_mark: request.byte_order_mark,
        purpose: row.purpose,
        state,
        job_id: row.job_id,
        rows_done: row.rows_done,
        rows_total: row.rows_total,
        size_bytes: row.size_bytes,
        error: job.filter(|_| state == ExportState::Failed).and_then(|(_, error)| error),
        requested_by: row.requested_by,
        requested_at: row.requested_at,
        finished_at: row.finished_at,
        expires_at: row.expires_at,
        download_url: link.as_ref().map(|(url, _)| url.clone()),
        download_expires_at: link.map(|(_, until)| until),
        version: row.version,
    })
}

fn state(row: &Record, job: Option<JobState>, now: Instant) -> ExportState {
    let withdrawn = row.withdrawn_at.is_some_and(|at| row.expires_at.is_none_or(|end| at < end));
    match (row.expires_at, job) {
        (None, Some(JobState::Failed)) => ExportState::Failed,
        (_, Some(JobState::Cancelled)) => ExportState::Cancelled,
        _ if withdrawn => ExportState::Cancelled,
        (None, Some(JobState::Queued)) => ExportState::Queued,
        // A job that is done saved the export before: the row was read a moment earlier.
        (None, Some(JobState::Running | JobState::Done)) => ExportState::Running,
        (Some(end), _) if end <= now => ExportState::Expired,
        (Some(_), _) => ExportState::Ready,
        (None, _) => ExportState::Failed,
    }
}

/// A live export of this id, for whoever has a link to it.
pub(super) fn ready(conn: &mut Conn, id: ExportId) -> Result<Record> {
    let row: Option<Record> = exports::table
        .find(id)
        .filter(exports::key_sealed.is_not_null())
        .filter(exports::expires_at.gt(conn.now))
        .select(Record::as_select())
        .first(&mut conn.db)
        .optional()?;
    row.ok_or(Error::NotFound)
}
