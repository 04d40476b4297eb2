//! `/v1/exports`

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    get,
    http::{
        StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE,
            RANGE,
        },
    },
    post,
    web::{Bytes, Data},
};
use futures_util::stream;
use kehu_intake::export::{self, Content, Download, Export, ExportId, NewExport};
use kehu_kernel::{Action, Error, Page, PageParams, Store};
use serde::Deserialize;

use crate::{
    export::{
        SOURCE,
        range::{Wanted, wanted},
    },
    extract::{Caller, Json, ListQuery, Nothing, Path, Query},
    gate::Gate,
    problem::Problem,
    reply::{Answer, Reply},
    routes::ServiceConfig,
    settings::Settings,
};

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list_exports).service(create_export).service(get_export).service(cancel_export).service(download_export);
}

/// List exports
///
/// The exports that the caller asked for, the newest first; with the right to it at depth `all` those of everybody. The links are for those who asked.
#[utoipa::path(tag = "exports", params(PageParams),
    responses((status = 200, description = "A page of exports", body = Page<Export>)), security(("bearer" = ["export.create"])))]
#[get("")]
async fn list_exports(caller: Caller, store: Data<Store>, query: ListQuery<Nothing>) -> Answer<Page<Export>> {
    let page = store.read(move |conn| export::list(conn, &caller, &query.page)).await?;
    Ok(Reply::ok(page))
}

/// Create an export
///
/// Makes a file of a list or a search, in the background. The file holds what the list shows to the caller, row by row and mask by
/// mask: it is read by the same use case, with the rights that the caller has while it is read. Who takes what out, why and
/// when is recorded, for each customer whose data is in it too. Follow it by `get_export`; when it is ready, `download_url`
/// hands the file out for seven days.
///
/// The columns of CSV and Parquet are the fields of the list's items in the order of their schema; the fields of an object follow in
/// its place, with dotted names such as `home_branch.label`; lists, and objects without fixed fields, are one column of JSON.
#[utoipa::path(tag = "exports", request_body = NewExport,
    responses((status = 202, description = "The export, about to be made", body = Export)),
    security(("bearer" = ["export.create"])))]
#[post("")]
async fn create_export(
    caller: Caller,
    store: Data<Store>,
    gate: Data<Gate>,
    request: HttpRequest,
    body: Json<NewExport>,
) -> Answer<Export> {
    caller.allow(Action::ExportCreate)?;
    let asker = gate.asker(&request).await?.to_json()?;
    let made = store.write(move |tx| export::create(tx, &caller, &SOURCE, asker.clone(), &body.0)).await?;
    Ok(Reply::accepted(format!("/v1/exports/{}", made.id), made))
}

/// Get an export
///
/// Where an export stands; when it is ready, with a fresh link to its file for the one who asked for it.
#[utoipa::path(tag = "exports", params(("export_id" = ExportId, Path, description = "Id of the export")),
    responses((status = 200, description = "The export", body = Export)), security(("bearer" = ["export.create"])))]
#[get("/{export_id}")]
async fn get_export(caller: Caller, store: Data<Store>, id: Path<Export>) -> Answer<Export> {
    let found = store.glance(move |conn| export::get(conn, &caller, id.0)).await?;
    let version = found.version;
    Ok(if found.download_url.is_some() { Reply::fresh(version, found) } else { Reply::versioned(version, found) })
}

/// Cancel an export
///
/// Stops an export that is being made, or takes one back that is ready: its links lead nowhere any more and its file is
/// gone for ever. Takes no `If-Match`, because the version of a running export changes with its progress.
#[utoipa::path(tag = "exports", params(("export_id" = ExportId, Path, description = "Id of the export")),
    responses((status = 200, description = "The export", body = Export)), security(("bearer" = ["export.create"])))]
#[post("/{export_id}/cancel")]
async fn cancel_export(caller: Caller, store: Data<Store>, id: Path<Export>) -> Answer<Export> {
    let stopped = store.write(move |tx| export::cancel(tx, &caller, id.0)).await?;
    Ok(Reply::versioned(stopped.version, stopped))
}

/// The signature of a link.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LinkQuery {
    /// Until when the link can be used, in seconds since 1970.
    #[param(example = 1_767_225_600, minimum = 0)]
    expires: i64,
    /// What proves that Kehu made the link.
    #[param(min_length = 43, max_length = 43, example = "4kYx0mZ5rZ7v3s1p2q8w9e6r5t4y3u2i1o0pAsDfGhJ")]
    signature: String,
}

/// How a part of a file is asked for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "the shape for the document; the headers are read where they are needed")]
struct RangeHeaders {
    /// The bytes that are wanted: one range, as `bytes=1000-`. Several ranges, and what is no range, are answered by the whole file.
    #[param(rename = "Range", required = false, max_length = 100, example = "bytes=0-")]
    range: String,
    /// The `ETag` of the file whose rest is wanted; the whole file is answered when it has another one.
    #[param(rename = "If-Range", required = false, max_length = 100, example = "\"01890a5d-ac96-774b-bcce-b302099a8057\"")]
    if_range: String,
}

/// The file of an export.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary, max_length = 9_007_199_254_740_991)]
#[expect(dead_code, reason = "the shape for the document; the file is sent as it is read")]
struct ExportFile(Vec<u8>);

/// Download an export
///
/// The file of an export, by the link in its `download_url`: without a token, for an hour. A download that broke off goes on
/// with `Range` where it stopped, by the same link or a fresh one. Each download is recorded, and the one who asked for the
/// export must still have the right to.
#[utoipa::path(tag = "exports",
    params(("export_id" = ExportId, Path, description = "Id of the export"), LinkQuery, RangeHeaders),
    responses(
        (status = 200, description = "The file", body = ExportFile, content_type = "application/octet-stream"),
        (status = 206, description = "The bytes of the file that were asked for", body = ExportFile, content_type = "application/octet-stream"),
        (status = 403, description = "The link has expired"),
        (status = 416, description = "The file does not have these bytes"),
    ),
    security(()))]
#[get("/{export_id}/content")]
async fn download_export(
    store: Data<Store>,
    settings: Data<Settings>,
    id: Path<Export>,
    query: Query<LinkQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let link = query.0;
    let opened =
        store.write(move |tx| export::open(tx, &SOURCE, &settings.data_dir, id.0, link.expires, &link.signature)).await?;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (tag, size) = (format!("\"{}\"", id.0), opened.content.size());
    let (status, from, to) = match wanted(header(RANGE), header(IF_RANGE), &tag, size) {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part(from, to) => (StatusCode::PARTIAL_CONTENT, from, to),
        Wanted::Nothing => {
            let detail = format!("The file has {size} bytes.");
            return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE).detail(detail));
        }
    };
    let mut answer = HttpResponse::build(status);
    answer
        .insert_header((CONTENT_TYPE, "application/octet-stream"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", name(&opened))))
        .insert_header((ETAG, tag))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // Compressed, its ranges would be others.
        .insert_header((CONTENT_ENCODING, "identity"));
    if status == StatusCode::PARTIAL_CONTENT {
        answer.insert_header((CONTENT_RANGE, format!("bytes {from}-{}/{size}", to.saturating_sub(1))));
    }
    Ok(answer.body(SizedStream::new(to.saturating_sub(from), bytes(opened.content, from, to))))
}

/// A name that tells nothing of anybody.
fn name(opened: &Download) -> String {
    let day = opened.finished_at.map(|at| format!("-{}", at.date())).unwrap_or_default();
    format!("{}{day}.{}", opened.list, opened.format)
}

/// The bytes, chunk by chunk, read as fast as they are taken.
fn bytes(content: Content, from: u64, to: u64) -> impl futures_util::Stream<Item = Result<Bytes, Error>> {
    let content = std::sync::Arc::new(content);
    stream::try_unfold(from, move |position| {
        let content = std::sync::Arc::clone(&content);
        async move {
            if position >= to {
                return Ok(None);
            }
            let read = actix_web::rt::task::spawn_blocking(move || content.read_from(position, to));
            let piece = read.await.map_err(Error::internal)??;
            let after = position.saturating_add(u64::try_from(piece.len()).map_err(Error::internal)?);
            Ok(Some((Bytes::from(piece), after)))
        }
    })
}
