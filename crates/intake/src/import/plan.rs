//! What a run has to know, read once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use kehu_kernel::{Conn, Result, feed::Source};
use serde_json::Value;

use super::{ImportFile, ImportFileId, ImportId, entity};
use crate::{
    mapping::{self, Document, document::FileMapping},
    reader::{self, Row, Rows},
    source_system::{self, SourceSystemId},
};

/// An import with its source and mapping.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub import_id: ImportId,
    pub system_id: SourceSystemId,
    pub source: Source,
    pub document: Arc<Document>,
    pub files: Vec<PlannedFile>,
}

/// A file of an import, with what the mapping says about it.
#[derive(Clone, Debug)]
pub(super) struct PlannedFile {
    pub id: ImportFileId,
    pub name: String,
    pub path: String,
    pub rows_done: i64,
    pub rows_total: Option<i64>,
    pub done: bool,
    /// Place in the mapping; `None` for the mapping's own records.
    pub place: Option<usize>,
}

impl Plan {
    pub(super) fn read(conn: &mut Conn, id: ImportId) -> Result<Self> {
        let record = entity::find(conn, id)?;
        let system = source_system::find(conn, record.source_system_id)?;
        let document = Arc::new(mapping::find(conn, record.mapping_id)?.read()?);
        let files = entity::files_of(conn, id)?.into_iter().map(|file| PlannedFile::new(&document, file)).collect();
        Ok(Self { import_id: id, system_id: system.id, source: system.source(), document, files })
    }
}

impl PlannedFile {
    fn new(document: &Document, file: ImportFile) -> Self {
        let place = if file.ordinal == 0 { None } else { document.file(&file.name).map(|(place, _)| place) };
        Self {
            id: file.id,
            name: file.name,
            path: file.path,
            rows_done: file.rows_done,
            rows_total: file.rows_total,
            done: file.done,
            place,
        }
    }

    pub(super) fn mapping<'a>(&self, document: &'a Document) -> Option<&'a FileMapping> {
        document.files.get(self.place?)
    }

    /// Whether Kehu keeps the file itself, and may remove it.
    pub(super) fn is_ours(&self) -> bool {
        self.place.is_some() && Path::new(&self.path).is_relative()
    }

    pub(super) fn location(&self, data_dir: &Path) -> PathBuf {
        data_dir.join(&self.path)
    }

    pub(super) fn open(&self, document: &Document, data_dir: &Path) -> Result<Rows> {
        let Some(mapping) = self.mapping(document) else { return Ok(own_records(document)) };
        let columns: Vec<&str> = mapping.feeds.iter().flat_map(|feed| feed.columns()).collect();
        reader::open(&self.location(data_dir), &mapping.format, &columns)
    }
}

/// The mapping's own records as rows of a file.
fn own_records(document: &Document) -> Rows {
    let rows: Vec<Result<Row>> = (1..)
        .zip(&document.records)
        .map(|(number, record)| {
            let raw = [("feed", record.feed.as_str().into()), ("record", Value::Object(record.record.clone()))];
            Ok(Row {
                number,
                line: number,
                raw: raw.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
                fault: None,
            })
        })
        .collect();
    Box::new(rows.into_iter())
}
