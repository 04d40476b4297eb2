//! The row of an export.

use diesel::{Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Actor, Conn, Error, Instant, Result,
    crypto::{FileKey, Keyring},
    job::JobId,
    json::Json,
    rotation::SealedColumn,
    schema::exports,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ExportFormat, ExportId, ExportList, Source, file::Part};

/// Label of what was asked for.
const REQUEST: &str = "exports.request";
/// Label of the keys of files.
const KEY: &str = "exports.key";

/// The sealed columns of this table.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn { table: "exports", id: "id", column: "request_sealed", label: REQUEST },
    SealedColumn { table: "exports", id: "id", column: "key_sealed", label: KEY },
];

/// What was asked for, and by whom; sealed, for filters may hold names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub filter: Map<String, Value>,
    pub columns: Option<Vec<String>>,
    pub byte_order_mark: bool,
    /// Whose rights count, as whoever knows tokens wrote it down.
    pub asker: Value,
    /// The request, for audit.
    pub request_id: Option<String>,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = exports, treat_none_as_default_value = false)]
pub(super) struct Record {
    pub id: ExportId,
    pub list: ExportList,
    pub format: ExportFormat,
    pub purpose: String,
    pub request_sealed: Vec<u8>,
    pub job_id: JobId,
    pub requested_by: String,
    pub requested_at: Instant,
    pub key_sealed: Option<Vec<u8>>,
    pub parts: Json<Vec<Part>>,
    pub cursor: Option<String>,
    pub tail: Option<Vec<u8>>,
    pub gathered: bool,
    pub rows_done: i64,
    pub rows_total: Option<i64>,
    pub size_bytes: Option<i64>,
    pub finished_at: Option<Instant>,
    pub expires_at: Option<Instant>,
    pub withdrawn_at: Option<Instant>,
    pub version: i64,
}

pub(super) fn find(conn: &mut Conn, id: ExportId) -> Result<Record> {
    Ok(exports::table.find(id).select(Record::as_select()).first(&mut conn.db)?)
}

pub(super) fn seal_request(keys: &Keyring, id: ExportId, request: &Request) -> Result<Vec<u8>> {
    keys.seal(REQUEST, id, &serde_json::to_string(request).map_err(Error::internal)?)
}

/// A new key, sealed.
pub(super) fn new_key(keys: &Keyring, id: ExportId) -> Result<Vec<u8>> {
    keys.seal(KEY, id, &FileKey::generate())
}

impl Record {
    pub(super) fn request(&self, keys: &Keyring) -> Result<Request> {
        serde_json::from_str(&keys.open(REQUEST, self.id, &self.request_sealed)?).map_err(Error::internal)
    }

    /// The key of the file, unless it is gone.
    pub(super) fn key(&self, keys: &Keyring) -> Result<Option<FileKey>> {
        let Some(sealed) = &self.key_sealed else { return Ok(None) };
        FileKey::read(&keys.open(KEY, self.id, sealed)?).map(Some)
    }

    /// The one who asked, with the rights that they have now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when they may not come in, or not export, any more.
    pub(super) fn actor(&self, conn: &mut Conn, source: &Source, request: &Request) -> Result<Actor> {
        let found = (source.actor)(conn, &request.asker)?;
        let mut actor = found.ok_or_else(|| Error::Forbidden("Whoever asked for this may not come in any more.".into()))?;
        actor.purpose = Some(self.purpose.clone());
        actor.request_id.clone_from(&request.request_id);
        actor.allow(kehu_kernel::Action::ExportCreate)?;
        Ok(actor)
    }
}
