//! A whole directory imported in one go, for the command line.

use std::path::{Path, PathBuf};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Actor, Conn, Error, Result, Store, schema::imports};
use serde_json::Value;
use validator::Validate;

use super::{
    ImportCounts, ImportFile, ImportId, ImportState, NewImport, StoredFile,
    entity::{self, ImportRecord},
    run::{Progress, execute},
};
use crate::{
    mapping::{self, Mapping, NewMapping},
    source_system,
};

/// A directory to be imported.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Code of the source system; it is defined when it is new.
    pub source: String,
    /// The mapping: `{code, name, document}`, as `POST /v1/mappings` takes it.
    pub mapping: Value,
    /// Where the files are.
    pub path: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The import.
    pub import_id: ImportId,
    /// What became of the rows.
    pub counts: ImportCounts,
    /// Files for which the mapping has no pattern; they were left alone.
    pub skipped: Vec<String>,
    /// Whether an import that had been stopped was gone on with.
    pub resumed: bool,
}

/// Imports all files of a directory that the mapping knows. Where an earlier import of the same files was
/// stopped, it goes on there.
///
/// # Errors
/// [`Error::Invalid`] for a mapping that is not sound or a directory without files for it; whatever
/// stops the run.
pub fn run_directory(store: &Store, actor: &Actor, directory: &Directory, show: &mut dyn FnMut(Progress)) -> Result<Summary> {
    let new: NewMapping = mapping::check::parse(&directory.mapping)
        .map_err(|(pointer, message)| Error::invalid(pointer, "invalid_mapping", message))?;
    new.validate().map_err(|errors| Error::invalid("", "invalid_mapping", errors.to_string()))?;
    let (source, by) = (directory.source.clone(), actor.clone());
    let mapping: Mapping = store.write_blocking(move |tx| {
        source_system::ensure(tx, &by, &source)?;
        mapping::ensure(tx, &by, new.clone())
    })?;
    let document = mapping.read()?;
    let (files, skipped): (Vec<_>, Vec<_>) =
        files_of(&directory.path)?.into_iter().partition(|file| document.file(&file.name).is_some());
    if files.is_empty() && document.records.is_empty() {
        return Err(Error::invalid("/directory", "no_files", "The directory has no file for which the mapping has a pattern."));
    }
    let new = NewImport { id: ImportId::new(), source_system: directory.source.clone(), mapping_id: mapping.id, files };
    let by = actor.clone();
    let (import_id, resumed) = store.write_blocking(move |tx| match unfinished(tx, &new)? {
        Some(id) => Ok((id, true)),
        None => entity::create(tx, &by, &new).map(|import| (import.id, false)),
    })?;
    let counts = execute(store, actor, import_id, false, Path::new(""), None, show)?;
    Ok(Summary { import_id, counts, skipped: skipped.into_iter().map(|file| file.name).collect(), resumed })
}

fn files_of(directory: &Path) -> Result<Vec<StoredFile>> {
    let unreadable = |error: std::io::Error| {
        Error::invalid("/directory", "unreadable_directory", format!("{}: {error}.", directory.display()))
    };
    let root = directory.canonicalize().map_err(unreadable)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&root).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let metadata = path.metadata().map_err(unreadable)?;
        if let (true, Some(name), Some(path)) = (metadata.is_file(), path.file_name(), path.to_str()) {
            files.push(StoredFile {
                name: name.to_string_lossy().into_owned(),
                path: path.to_owned(),
                size_bytes: i64::try_from(metadata.len()).map_err(Error::internal)?,
            });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The latest import of the very same files under the same mapping, if it did not come to its end.
fn unfinished(conn: &mut Conn, new: &NewImport) -> Result<Option<ImportId>> {
    use diesel::{OptionalExtension, SelectableHelper};
    let Some(system) = source_system::by_code(conn, &new.source_system)? else { return Ok(None) };
    let latest: Option<ImportRecord> = imports::table
        .filter(imports::source_system_id.eq(system.id))
        .filter(imports::mapping_id.eq(new.mapping_id))
        .order(imports::id.desc())
        .select(ImportRecord::as_select())
        .first(&mut conn.db)
        .optional()?;
    let Some(latest) = latest else { return Ok(None) };
    if matches!(latest.state, ImportState::Done | ImportState::Reverted) {
        return Ok(None);
    }
    let known = entity::files_of(conn, latest.id)?;
    let same =
        |file: &StoredFile| known.iter().any(|known: &ImportFile| known.path == file.path && known.size_bytes == file.size_bytes);
    Ok((known.len() == new.files.len() + 1 && new.files.iter().all(same)).then_some(latest.id))
}
