//! The import itself: who asked for it, which files, how far it is.

use std::collections::HashMap;

use diesel::{ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, FieldError, Id, Instant, Page, PageParams, Reference, Result, Tx,
    event::NewEvent,
    job,
    json::Json,
    schema::{import_files, imports, mappings, source_systems},
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{
    job::JOB_KIND,
    preview::{Kept, Preview},
};
use crate::{
    mapping::{self, Document, MappingId},
    source_system::{self, SourceSystemId},
};

/// Identifier of an import.
pub type ImportId = Id<Import>;
/// Identifier of a file of an import.
pub type ImportFileId = Id<ImportFile>;

text_enum! {
    /// Where an import stands.
    pub enum ImportState {
        /// The files are here; nothing was read yet.
        Received = "received",
        /// All rows are read and mapped, nothing is written.
        Validating = "validating",
        /// The preview is there; the import waits to be run.
        Previewed = "previewed",
        /// Rows are being taken in.
        Running = "running",
        /// All rows were taken in, rejected or parked.
        Done = "done",
        /// It stopped; `error` says why. It may be run again and goes on where it stopped.
        Failed = "failed",
        /// What it created was taken back.
        Reverted = "reverted",
    }
}

/// An import.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = FileImport)]
pub struct Import {
    /// Identifier of the import.
    pub id: ImportId,
    /// Where the files come from.
    pub source_system: Reference,
    /// The revision of the mapping by which they are read.
    pub mapping: Reference,
    /// Where the import stands.
    pub state: ImportState,
    /// The background job that works on it; null when the command line does.
    pub job_id: Option<AnyId>,
    /// What the files hold, found before anything was written; null until then.
    pub preview: Option<Preview>,
    /// What became of the rows so far.
    pub counts: ImportCounts,
    /// The files, in the order in which they are read. The records of the mapping itself come first.
    #[schema(max_items = 1000)]
    pub files: Vec<ImportFile>,
    /// Why it failed.
    #[schema(max_length = 2000)]
    pub error: Option<String>,
    /// Who asked for it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Instant,
    /// When the first row was taken in.
    pub started_at: Option<Instant>,
    /// When it ended.
    pub finished_at: Option<Instant>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// What became of the rows of an import. A row can become several records, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = imports)]
pub struct ImportCounts {
    /// Rows that were read.
    #[schema(minimum = 0)]
    #[diesel(column_name = read_count)]
    pub read: i64,
    /// Records that were created.
    #[schema(minimum = 0)]
    #[diesel(column_name = created_count)]
    pub created: i64,
    /// Records that were changed.
    #[schema(minimum = 0)]
    #[diesel(column_name = updated_count)]
    pub updated: i64,
    /// Records that were known and the same.
    #[schema(minimum = 0)]
    #[diesel(column_name = unchanged_count)]
    pub unchanged: i64,
    /// Records that broke rules and wait to be corrected.
    #[schema(minimum = 0)]
    #[diesel(column_name = rejected_count)]
    pub rejected: i64,
    /// Records that wait for another record.
    #[schema(minimum = 0)]
    #[diesel(column_name = parked_count)]
    pub parked: i64,
}

/// A file of an import.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = import_files)]
pub struct ImportFile {
    /// Identifier of the file.
    pub id: ImportFileId,
    /// The import.
    #[serde(skip)]
    pub import_id: ImportId,
    /// Place in the order of reading; 0 is the mapping's own records.
    #[schema(minimum = 0)]
    pub ordinal: i32,
    /// Name of the file.
    #[schema(example = "clients.csv.gz", max_length = 255)]
    pub name: String,
    /// The feeds that it fills, separated by commas.
    #[schema(example = "accounts,account_links", max_length = 200)]
    pub feed: Option<String>,
    /// Where it is kept.
    #[serde(skip)]
    pub path: String,
    /// Its size as it came, in bytes.
    #[schema(minimum = 0)]
    pub size_bytes: i64,
    /// Rows that were taken in.
    #[schema(minimum = 0)]
    pub rows_done: i64,
    /// Rows in all; null until they were counted.
    #[schema(minimum = 0)]
    pub rows_total: Option<i64>,
    /// Whether all rows were taken in.
    pub done: bool,
}

/// A file that was stored and is to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name, by which the mapping finds it.
    pub name: String,
    /// Where it is kept: absolute, or relative to the data directory (then it is removed in the end).
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: i64,
}

/// An import to be made.
#[derive(Clone, Debug)]
pub struct NewImport {
    /// Its identifier; the files may be stored under it.
    pub id: ImportId,
    /// Code of the source system.
    pub source_system: String,
    /// The revision of the mapping.
    pub mapping_id: MappingId,
    /// The files.
    pub files: Vec<StoredFile>,
}

/// Filters of the list of imports.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ImportFilter {
    /// Only imports of the source system with this code.
    #[param(max_length = 32, example = "core")]
    pub source_system: Option<String>,
    /// Only imports in this state.
    pub state: Option<ImportState>,
}

/// The row, with what it refers to by id.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = imports)]
pub(super) struct ImportRecord {
    pub id: ImportId,
    pub source_system_id: SourceSystemId,
    pub mapping_id: MappingId,
    pub state: ImportState,
    pub job_id: Option<AnyId>,
    pub preview: Option<Json<Kept>>,
    pub read_count: i64,
    pub created_count: i64,
    pub updated_count: i64,
    pub unchanged_count: i64,
    pub rejected_count: i64,
    pub parked_count: i64,
    pub error: Option<String>,
    pub created_by: String,
    pub created_at: Instant,
    pub started_at: Option<Instant>,
    pub finished_at: Option<Instant>,
    pub version: i64,
}

/// Imports, newest first.
///
/// # Errors
/// [`Error::Forbidden`] without `import.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &ImportFilter, params: &PageParams) -> Result<Page<Import>> {
    actor.allow(Action::ImportRead)?;
    let name = format!("imports?source_system={:?}&state={:?}", filter.source_system, filter.state);
    let window = params.window::<ImportId>(&conn.keys, &name)?;
    let matching = || {
        let mut query = imports::table.into_boxed();
        if let Some(code) = filter.source_system.clone() {
            let systems = source_systems::table.filter(source_systems::code.eq(code)).select(source_systems::id);
            query = query.filter(imports::source_system_id.eq_any(systems));
        }
        if let Some(state) = filter.state {
            query = query.filter(imports::state.eq(state));
        }
        query
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(imports::id.desc()).limit(window.fetch()).select(ImportRecord::as_select());
    if let Some(before) = window.after {
        query = query.filter(imports::id.lt(before));
    }
    let records = query.load(&mut conn.db)?;
    let rows = complete(conn, actor, records)?;
    window.page(&conn.keys, rows, total, |import: &Import| import.id)
}

/// One import.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `import.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: ImportId) -> Result<Import> {
    actor.allow(Action::ImportRead)?;
    let record = find(conn, id)?;
    complete(conn, actor, vec![record])?.pop().ok_or(Error::NotFound)
}

/// Receives files for an import. The order of the files does not matter.
///
/// # Errors
/// [`Error::Invalid`] when the source system, the mapping or the feed of a file is unknown.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &NewImport) -> Result<Import> {
    actor.allow_everywhere(Action::ImportManage)?;
    let system = source_system::by_code(tx, &new.source_system)?.filter(|system| system.active).ok_or_else(|| {
        Error::invalid("/source_system", "unknown_source_system", "There is no active source system with this code.")
    })?;
    let mapping = mapping::find(tx, new.mapping_id)
        .map_err(|_| Error::invalid("/mapping_id", "unknown_mapping", "There is no mapping with this id."))?;
    let document = mapping.read()?;
    let files = arrange(&document, new)?;
    let record = ImportRecord {
        id: new.id,
        source_system_id: system.id,
        mapping_id: mapping.id,
        state: ImportState::Received,
        job_id: None,
        preview: None,
        read_count: 0,
        created_count: 0,
        updated_count: 0,
        unchanged_count: 0,
        rejected_count: 0,
        parked_count: 0,
        error: None,
        created_by: actor.subject.clone(),
        created_at: tx.now,
        started_at: None,
        finished_at: None,
        version: 1,
    };
    diesel::insert_into(imports::table).values(&record).execute(&mut tx.db)?;
    for file in &files {
        diesel::insert_into(import_files::table).values(file).execute(&mut tx.db)?;
    }
    let data = json!({ "source_system": system.code, "mapping": mapping.label(), "files": files.len() - 1 });
    tx.emit(actor, NewEvent::new("import.created", new.id, data));
    get(tx, actor, new.id)
}

/// Asks for a job that works on the import: to its end, or up to the preview.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] `import_state` unless it waits or failed.
pub fn start(tx: &mut Tx<'_>, actor: &Actor, id: ImportId, preview_only: bool) -> Result<Import> {
    actor.allow_everywhere(Action::ImportManage)?;
    let record = find(tx, id)?;
    if !matches!(record.state, ImportState::Received | ImportState::Previewed | ImportState::Failed) {
        return Err(Error::conflict("import_state", format!("The import is {}; it cannot be run.", record.state)));
    }
    let job = job::enqueue(tx, actor, JOB_KIND, json!({ "import_id": id, "preview_only": preview_only }))?;
    let job: AnyId = job.cast();
    // Busy from now on, so that a second order is refused.
    let state = if preview_only { ImportState::Validating } else { ImportState::Running };
    let started = diesel::update(imports::table.find(id).filter(imports::version.eq(record.version)))
        .set((imports::job_id.eq(job), imports::state.eq(state), imports::version.eq(record.version + 1)))
        .execute(&mut tx.db)?;
    if started == 0 {
        return Err(Error::PreconditionFailed { current: record.version + 1 });
    }
    get(tx, actor, id)
}

/// Runs a previewed import, or goes on with one that failed.
///
/// # Errors
/// As [`start`]; [`Error::PreconditionFailed`].
pub fn run(tx: &mut Tx<'_>, actor: &Actor, id: ImportId, version: i64) -> Result<Import> {
    actor.allow_everywhere(Action::ImportManage)?;
    check_version(tx, id, version)?;
    start(tx, actor, id, false)
}

/// The import as it is, if that is how the caller saw it.
pub(super) fn check_version(conn: &mut Conn, id: ImportId, version: i64) -> Result<ImportRecord> {
    let record = find(conn, id)?;
    if record.version == version { Ok(record) } else { Err(Error::PreconditionFailed { current: record.version }) }
}

/// The files in the order of the mapping, then by name; before them the mapping's own records.
fn arrange(document: &Document, new: &NewImport) -> Result<Vec<ImportFile>> {
    let unknown: Vec<FieldError> = new
        .files
        .iter()
        .filter(|file| document.file(&file.name).is_none())
        .map(|file| FieldError::new("/files", "unknown_file", format!("The mapping has no pattern for {:?}.", file.name)))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::Invalid(unknown));
    }
    let mut sorted: Vec<&StoredFile> = new.files.iter().collect();
    sorted.sort_by_key(|file| (document.file(&file.name).map(|(place, _)| place), file.name.clone()));
    let row = |ordinal: i32, name: &str, feed: Option<String>, path: &str, size_bytes: i64| ImportFile {
        id: ImportFileId::new(),
        import_id: new.id,
        ordinal,
        name: name.to_owned(),
        feed,
        path: path.to_owned(),
        size_bytes,
        rows_done: 0,
        rows_total: None,
        done: false,
    };
    let mut files = vec![row(0, "(records of the mapping)", None, "", 0)];
    for (ordinal, file) in (1..).zip(sorted) {
        let feeds = document.file(&file.name).map(|(_, mapping)| {
            let mut names: Vec<&str> = mapping.feeds.iter().map(|feed| feed.feed.as_str()).collect();
            names.dedup();
            names.join(",")
        });
        files.push(row(ordinal, &file.name, feeds, &file.path, file.size_bytes));
    }
    Ok(files)
}

pub(super) fn find(conn: &mut Conn, id: ImportId) -> Result<ImportRecord> {
    Ok(imports::table.find(id).select(ImportRecord::as_select()).first(&mut conn.db)?)
}

pub(super) fn files_of(conn: &mut Conn, id: ImportId) -> Result<Vec<ImportFile>> {
    let files = import_files::table.filter(import_files::import_id.eq(id)).order(import_files::ordinal);
    Ok(files.select(ImportFile::as_select()).load(&mut conn.db)?)
}

/// Adds the files and the labels, for a whole page at once.
fn complete(conn: &mut Conn, actor: &Actor, records: Vec<ImportRecord>) -> Result<Vec<Import>> {
    let ids: Vec<ImportId> = records.iter().map(|record| record.id).collect();
    let mut files: HashMap<ImportId, Vec<ImportFile>> = HashMap::new();
    let rows: Vec<ImportFile> = import_files::table
        .filter(import_files::import_id.eq_any(ids.clone()))
        .order(import_files::ordinal)
        .select(ImportFile::as_select())
        .load(&mut conn.db)?;
    for file in rows {
        files.entry(file.import_id).or_default().push(file);
    }
    let labels: Vec<(ImportId, String, String, i32)> = imports::table
        .inner_join(source_systems::table.on(source_systems::id.eq(imports::source_system_id)))
        .inner_join(mappings::table.on(mappings::id.eq(imports::mapping_id)))
        .filter(imports::id.eq_any(ids))
        .select((imports::id, source_systems::name, mappings::code, mappings::revision))
        .load(&mut conn.db)?;
    let mut labels: HashMap<ImportId, (String, String)> =
        labels.into_iter().map(|(id, system, code, revision)| (id, (system, format!("{code} r{revision}")))).collect();
    records
        .into_iter()
        .map(|record| {
            let (system, mapping) = labels.remove(&record.id).unwrap_or_default();
            Ok(Import {
                source_system: Reference::new(record.source_system_id, system),
                mapping: Reference::new(record.mapping_id, mapping),
                files: files.remove(&record.id).unwrap_or_default(),
                preview: record.preview.map(|kept| kept.0.open(&conn.keys, actor, record.id)).transpose()?,
                counts: ImportCounts {
                    read: record.read_count,
                    created: record.created_count,
                    updated: record.updated_count,
                    unchanged: record.unchanged_count,
                    rejected: record.rejected_count,
                    parked: record.parked_count,
                },
                id: record.id,
                state: record.state,
                job_id: record.job_id,
                error: record.error,
                created_by: record.created_by,
                created_at: record.created_at,
                started_at: record.started_at,
                finished_at: record.finished_at,
                version: record.version,
            })
        })
        .collect()
}

/// The event that tells how an import ended.
pub(super) fn ended(kind: &'static str, id: ImportId, record: &ImportRecord) -> NewEvent {
    let data: Value = json!({
        "read": record.read_count, "created": record.created_count, "updated": record.updated_count,
        "unchanged": record.unchanged_count, "rejected": record.rejected_count, "parked": record.parked_count,
    });
    NewEvent::new(kind, id, data)
}
