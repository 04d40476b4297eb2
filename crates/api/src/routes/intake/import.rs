//! `/v1/imports`

use std::{convert::Infallible, time::Duration};

use actix_multipart::Multipart;
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE},
    post,
    rt::time::sleep,
    web::{Bytes, Data, Payload},
};
use futures_util::stream;
use kehu_intake::import::{
    self, Import, ImportCounts, ImportError, ImportErrorFilter, ImportFilter, ImportId, ImportState, NewImport, ReplayRequest,
};
use kehu_kernel::{Actor, Page, PageParams, Result, Store};
use serde::Serialize;
use utoipa::ToSchema;

use super::upload::{self, NewImportForm};
use crate::{
    extract::{Caller, IfMatch, IfMatchHeader, Json, ListQuery, Path},
    problem::Problem,
    reply::{Answer, Reply},
    routes::ServiceConfig,
    settings::Settings,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config
        .service(list_imports)
        .service(create_import)
        .service(get_import)
        .service(run_import)
        .service(revert_import)
        .service(list_import_errors)
        .service(replay_import_errors)
        .service(stream_import_progress);
}

/// List imports
///
/// Imports, newest first.
#[utoipa::path(tag = "imports", params(ImportFilter, PageParams),
    responses((status = 200, description = "A page of imports", body = Page<Import>)), security(("bearer" = ["import.read"])))]
#[get("")]
async fn list_imports(caller: Caller, store: Data<Store>, query: ListQuery<ImportFilter>) -> Answer<Page<Import>> {
    let page = store.read(move |conn| import::list(conn, &caller, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create an import
///
/// Takes files of a source system and works on them in the background: reads and checks all rows, then takes
/// them in, unless `preview_only` stops it before. Follow it by `get_import` or `stream_import_progress`.
/// The same files again change nothing.
#[utoipa::path(tag = "imports", request_body(content = NewImportForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "The import, about to be worked on", body = Import)),
    security(("bearer" = ["import.manage"])))]
#[post("")]
async fn create_import(
    caller: Caller,
    store: Data<Store>,
    settings: Data<Settings>,
    request: HttpRequest,
    payload: Payload,
) -> Answer<Import> {
    let form = Multipart::new(request.headers(), payload);
    caller.allow_everywhere(kehu_kernel::Action::ImportManage)?;
    let received = upload::receive(form, &settings.data_dir).await?;
    let (id, preview_only) = (received.id, received.preview_only);
    let new = NewImport { id, source_system: received.source_system, mapping_id: received.mapping_id, files: received.files };
    let made = store
        .write(move |tx| {
            import::create(tx, &caller, &new)?;
            import::start(tx, &caller, id, preview_only)
        })
        .await;
    if made.is_err() {
        upload::discard(&settings.data_dir, id);
    }
    let made = made?;
    Ok(Reply::created(format!("/v1/imports/{id}"), made.version, made))
}

/// Get an import
///
/// One import with its files, counts and preview.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import")),
    responses((status = 200, description = "The import", body = Import)), security(("bearer" = ["import.read"])))]
#[get("/{import_id}")]
async fn get_import(caller: Caller, store: Data<Store>, id: Path<Import>) -> Answer<Import> {
    let found = store.glance(move |conn| import::get(conn, &caller, id.0)).await?;
    Ok(Reply::versioned(found.version, found))
}

/// Run an import
///
/// Takes the rows of a previewed import in, or goes on with one that failed, in the background.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import"), IfMatchHeader),
    responses((status = 202, description = "The import, about to be worked on", body = Import)),
    security(("bearer" = ["import.manage"])))]
#[post("/{import_id}/run")]
async fn run_import(caller: Caller, store: Data<Store>, id: Path<Import>, version: IfMatch) -> Answer<Import> {
    let started = store.write(move |tx| import::run(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::accepted(format!("/v1/imports/{}", id.0), started))
}

/// Revert an import
///
/// Takes back what the import created, the last first. Refused as a whole, naming what stands in the way,
/// where something else depends on a record that would go.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import"), IfMatchHeader),
    responses((status = 200, description = "The reverted import", body = Import)), security(("bearer" = ["import.manage"])))]
#[post("/{import_id}/revert")]
async fn revert_import(caller: Caller, store: Data<Store>, id: Path<Import>, version: IfMatch) -> Answer<Import> {
    let reverted = store.write(move |tx| import::revert(tx, &caller, id.0, version.0)).await?;
    Ok(Reply::versioned(reverted.version, reverted))
}

/// List the errors of an import
///
/// The rows that were not taken in, with line, column and reason, in the order in which they were found.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import"), ImportErrorFilter, PageParams),
    responses((status = 200, description = "A page of rows", body = Page<ImportError>)), security(("bearer" = ["import.read"])))]
#[get("/{import_id}/errors")]
async fn list_import_errors(
    caller: Caller,
    store: Data<Store>,
    id: Path<Import>,
    query: ListQuery<ImportErrorFilter>,
) -> Answer<Page<ImportError>> {
    // A write, because showing what the rows hold is recorded.
    let page = store.write(move |tx| import::list_errors(tx, &caller, id.0, &query.filter, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Replay the errors of an import
///
/// Takes rejected rows in again, corrected or as they are. A row that still breaks a rule stays in the list
/// with its new errors; parked rows that find what they waited for come in with them.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import"), IfMatchHeader),
    request_body = ReplayRequest, responses((status = 200, description = "The import with its new counts", body = Import)),
    security(("bearer" = ["import.manage"])))]
#[post("/{import_id}/replay")]
async fn replay_import_errors(
    caller: Caller,
    store: Data<Store>,
    id: Path<Import>,
    version: IfMatch,
    body: Json<ReplayRequest>,
) -> Answer<Import> {
    let replayed = store.write(move |tx| import::replay(tx, &caller, id.0, version.0, &body.0)).await?;
    Ok(Reply::versioned(replayed.version, replayed))
}

/// How far an import is: the data of an event `progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct ImportProgress {
    /// Where the import stands.
    state: ImportState,
    /// Rows that were taken in.
    rows_done: i64,
    /// Rows in all; null until they are counted.
    rows_total: Option<i64>,
    /// What became of them.
    counts: ImportCounts,
}

/// Server-sent events named `progress`, whose data is JSON in one line: `state` as in the import, `rows_done` of `rows_total`
/// (null until they are counted), and `counts` of what became of them.
#[derive(ToSchema)]
#[schema(value_type = String, max_length = 2_147_483_647, example = "event: progress\ndata: {\"state\":\"succeeded\"}\n\n")]
#[expect(dead_code, reason = "the shape for the document; a generator would read a stream of objects as one object")]
struct ProgressStream(String);

impl From<Import> for ImportProgress {
    fn from(import: Import) -> Self {
        Self {
            state: import.state,
            rows_done: import.files.iter().map(|file| file.rows_done).sum(),
            rows_total: import.files.iter().map(|file| file.rows_total).sum(),
            counts: import.counts,
        }
    }
}

/// Stream the progress of an import
///
/// Server-sent events: one `progress` now and one after each change, until the import has ended or waits.
#[utoipa::path(tag = "imports", params(("import_id" = ImportId, Path, description = "Id of the import")),
    responses((status = 200, description = "Events named `progress`", body = ProgressStream, content_type = "text/event-stream")),
    security(("bearer" = ["import.read"])))]
#[get("/{import_id}/progress")]
async fn stream_import_progress(caller: Caller, store: Data<Store>, id: Path<Import>) -> Result<HttpResponse, Problem> {
    let first = progress(&store, &caller, id.0).await?;
    let follower =
        Follower { store: store.get_ref().clone(), actor: caller.0, id: id.0, last: None, quiet: 0, next: Some(first) };
    let events = stream::unfold(follower, |follower| follower.event());
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compression would hold events back.
        .insert_header((CONTENT_ENCODING, "identity"))
        .streaming(events))
}

async fn progress(store: &Store, actor: &Actor, id: ImportId) -> Result<ImportProgress> {
    let actor = actor.clone();
    store.read(move |conn| import::get(conn, &actor, id)).await.map(ImportProgress::from)
}

const POLL: Duration = Duration::from_millis(300);
/// After so many polls without news a comment keeps the line open.
const QUIET: u32 = 50;

/// One reader of the stream.
struct Follower {
    store: Store,
    actor: Actor,
    id: ImportId,
    last: Option<ImportProgress>,
    quiet: u32,
    next: Option<ImportProgress>,
}

impl Follower {
    async fn event(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if self.last.is_some_and(|last| is_final(last.state)) {
                return None;
            }
            let now = match self.next.take() {
                Some(first) => first,
                None => {
                    sleep(POLL).await;
                    // A right that was taken away, or a database that went away, ends the stream.
                    progress(&self.store, &self.actor, self.id).await.ok()?
                }
            };
            if self.last != Some(now) {
                self.last = Some(now);
                self.quiet = 0;
                let data = serde_json::to_string(&now).ok()?;
                return Some((Ok(format!("event: progress\ndata: {data}\n\n").into()), self));
            }
            self.quiet += 1;
            if self.quiet >= QUIET {
                self.quiet = 0;
                return Some((Ok(Bytes::from_static(b": still here\n\n")), self));
            }
        }
    }
}

const fn is_final(state: ImportState) -> bool {
    matches!(state, ImportState::Previewed | ImportState::Done | ImportState::Failed | ImportState::Reverted)
}
