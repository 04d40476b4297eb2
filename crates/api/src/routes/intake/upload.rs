//! Takes files of any size to the data directory, chunk by chunk.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::{http::StatusCode, web::Bytes};
use futures_util::StreamExt;
use kehu_intake::{
    import::{ImportId, StoredFile},
    mapping::MappingId,
};
use kehu_kernel::{Error, FieldError};
use tokio::sync::mpsc;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::problem::Problem;

/// The most files that one import may have.
const FILES: usize = 1_000;
/// The longest text field.
const TEXT: usize = 256;
/// The largest file in bytes, as it is sent; 2 GiB compressed are some 20 GiB of rows.
const LARGEST: usize = 2_147_483_647;

/// A file of an import, for the document.
struct ImportFileContent;

impl PartialSchema for ImportFileContent {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(binary)).max_length(Some(LARGEST)).into()
    }
}

impl ToSchema for ImportFileContent {
    fn name() -> Cow<'static, str> {
        "ImportFileContent".into()
    }
}

/// What `create_import` takes.
#[expect(dead_code, reason = "the shape for the document; the parts are read one by one")]
#[derive(ToSchema)]
pub struct NewImportForm {
    /// Code of the source system.
    #[schema(example = "core", min_length = 1, max_length = 32)]
    source_system: String,
    /// The revision of the mapping by which the files are read.
    mapping_id: MappingId,
    /// Whether to stop at the preview, before anything is written; `run_import` then goes on. False unless given.
    preview_only: Option<bool>,
    /// The files, plain, gzip or zstd. The mapping knows them by their names; their order does not matter.
    #[schema(value_type = Vec<ImportFileContent>, min_items = 1, max_items = 1000)]
    files: Vec<Vec<u8>>,
}

/// What came in.
#[derive(Debug)]
pub struct Upload {
    pub id: ImportId,
    pub source_system: String,
    pub mapping_id: MappingId,
    pub preview_only: bool,
    pub files: Vec<StoredFile>,
}

/// The texts of the form, as far as they have come.
#[derive(Default)]
struct Texts {
    source_system: Option<String>,
    mapping_id: Option<String>,
    preview_only: Option<String>,
}

/// Receives a form. What was stored is removed again when the form is not complete or breaks off.
pub async fn receive(mut form: Multipart, data_dir: &Path) -> Result<Upload, Problem> {
    let id = ImportId::new();
    let outcome = parts(&mut form, data_dir, id).await;
    if outcome.is_err() {
        discard(data_dir, id);
    }
    outcome
}

/// Removes the files of an import that did not come about.
pub fn discard(data_dir: &Path, id: ImportId) {
    match fs::remove_dir_all(data_dir.join(directory(id))) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => log::warn!("an upload stays behind: {error}"),
        _ => {}
    }
}

fn directory(id: ImportId) -> PathBuf {
    Path::new("imports").join(id.to_string())
}

async fn parts(form: &mut Multipart, data_dir: &Path, id: ImportId) -> Result<Upload, Problem> {
    let (mut texts, mut files) = (Texts::default(), Vec::new());
    while let Some(field) = form.next().await {
        let mut field = field.map_err(unreadable)?;
        match field.name().unwrap_or_default() {
            "source_system" => texts.source_system = Some(text(&mut field).await?),
            "mapping_id" => texts.mapping_id = Some(text(&mut field).await?),
            "preview_only" => texts.preview_only = Some(text(&mut field).await?),
            "files" if files.len() < FILES => files.push(store(field, data_dir, id, files.len()).await?),
            "files" => return Err(Error::invalid("/files", "too_many", format!("An import has at most {FILES} files.")).into()),
            other => return Err(Error::invalid(format!("/{other}"), "unknown_field", "The form has no such field.").into()),
        }
    }
    complete(texts, files, id)
}

fn complete(texts: Texts, files: Vec<StoredFile>, id: ImportId) -> Result<Upload, Problem> {
    let mut errors = Vec::new();
    let mut required = |given: bool, pointer: &str| {
        if !given {
            errors.push(FieldError::new(pointer, "required", "This field is required."));
        }
    };
    required(texts.source_system.is_some(), "/source_system");
    required(texts.mapping_id.is_some(), "/mapping_id");
    required(!files.is_empty(), "/files");
    let mapping_id = texts.mapping_id.unwrap_or_default().parse();
    if let (Err(_), true) = (&mapping_id, errors.is_empty()) {
        errors.push(FieldError::new("/mapping_id", "invalid_value", "Expected a UUID."));
    }
    let preview_only = match texts.preview_only.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            errors.push(FieldError::new("/preview_only", "invalid_value", "Expected true or false."));
            false
        }
    };
    match mapping_id {
        Ok(mapping_id) if errors.is_empty() => {
            Ok(Upload { id, source_system: texts.source_system.unwrap_or_default(), mapping_id, preview_only, files })
        }
        _ => Err(Error::Invalid(errors).into()),
    }
}

async fn text(field: &mut Field) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.next().await {
        bytes.extend_from_slice(&chunk.map_err(unreadable)?);
        if bytes.len() > TEXT {
            return Err(
                Error::invalid(format!("/{}", field.name().unwrap_or_default()), "length", "The text is too long.").into()
            );
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::malformed("A text of the form is not UTF-8."))
}

/// Writes a file on a blocking thread while its chunks come in; a full channel slows the sender down.
async fn store(mut field: Field, data_dir: &Path, id: ImportId, number: usize) -> Result<StoredFile, Problem> {
    let name = field.content_disposition().and_then(|disposition| disposition.get_filename()).map(base_name).unwrap_or_default();
    if name.is_empty() || name.len() > 255 {
        return Err(Error::invalid("/files", "file_name", "Each file needs a name of 1 to 255 bytes.").into());
    }
    let path = directory(id).join(number.to_string());
    let target = data_dir.join(&path);
    let (chunks, queue) = mpsc::channel::<Bytes>(16);
    let writer = actix_web::rt::task::spawn_blocking(move || write(&target, queue));
    let (mut broken, mut size) = (None, 0_usize);
    while let Some(chunk) = field.next().await {
        match chunk {
            Ok(chunk) => {
                size = size.saturating_add(chunk.len());
                if size > LARGEST {
                    let detail = format!("A file may have {LARGEST} bytes; compress it, or divide it.");
                    broken = Some(Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(detail));
                    break;
                }
                // A writer that failed says why when it is joined.
                if chunks.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                broken = Some(unreadable(error));
                break;
            }
        }
    }
    drop(chunks);
    let written = writer.await.map_err(Error::internal)?;
    if let Some(problem) = broken {
        return Err(problem);
    }
    let size_bytes = written.map_err(|error| Error::Unavailable(format!("an upload cannot be stored: {error}")))?;
    Ok(StoredFile { name, path: path.to_string_lossy().into_owned(), size_bytes })
}

fn write(target: &Path, mut queue: mpsc::Receiver<Bytes>) -> io::Result<i64> {
    if let Some(directory) = target.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = File::create(target)?;
    let mut size = 0_i64;
    while let Some(chunk) = queue.blocking_recv() {
        file.write_all(&chunk)?;
        size = size.saturating_add(i64::try_from(chunk.len()).unwrap_or(i64::MAX));
    }
    file.sync_all()?;
    Ok(size)
}

/// Browsers and attackers send paths.
fn base_name(name: &str) -> String {
    name.rsplit(['/', '\\']).next().unwrap_or_default().trim().to_owned()
}

fn unreadable(error: MultipartError) -> Problem {
    match error {
        MultipartError::ContentTypeMissing | MultipartError::ContentTypeIncompatible | MultipartError::ContentTypeParse => {
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("Send the files as multipart/form-data.")
        }
        other => Problem::malformed(format!("The form cannot be read: {other}.")),
    }
}
