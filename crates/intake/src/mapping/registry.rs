//! The kept mappings. A changed mapping is a new revision; what was imported by the old one stays explained.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Id, Instant, Page, PageParams, Result, Tx, error::taken, event::NewEvent, json::Json, schema::mappings,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::{check, document::Document};

/// Identifier of one revision of a mapping.
pub type MappingId = Id<Mapping>;

/// One revision of a mapping.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = mappings)]
#[schema(as = ImportMapping)]
pub struct Mapping {
    /// Identifier of this revision.
    pub id: MappingId,
    /// Code of the mapping; all revisions share it.
    #[schema(example = "core-daily", max_length = 32)]
    pub code: String,
    /// Number of the revision, from 1.
    #[schema(example = 1, minimum = 1)]
    pub revision: i32,
    /// What it is for.
    #[schema(example = "Daily export of the core system", max_length = 200)]
    pub name: String,
    /// The document in the mapping language.
    #[schema(value_type = Object)]
    pub document: Json<Value>,
    /// Who made it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When it was made.
    pub created_at: Instant,
}

/// A mapping to be kept; a code that exists already gets a new revision.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewMapping {
    /// Code of the mapping: letters, digits, `-` and `_`.
    #[schema(example = "core-daily", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// What it is for.
    #[schema(example = "Daily export of the core system", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// The document in the mapping language: `version` 1, `null_tokens`, `code_tables`, `records`, and
    /// `files` with their `pattern`, `format` and `feeds`. Unknown keys and contradictions are refused,
    /// each with its JSON pointer.
    #[schema(value_type = Object, example = json!({ "version": 1, "files": [{ "pattern": "clients*.csv", "feeds": [
        { "feed": "customers", "fields": { "source_id": "id", "kind": { "constant": "personal" } } }] }] }))]
    pub document: Value,
}

/// Filters of the list of mappings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct MappingFilter {
    /// Only revisions of this mapping.
    #[param(max_length = 32, example = "core-daily")]
    pub code: Option<String>,
}

impl Mapping {
    /// The document, read.
    ///
    /// # Errors
    /// [`kehu_kernel::Error::Invalid`] when the language has changed since it was kept.
    pub fn read(&self) -> Result<Document> {
        check::read(&self.document.0, "/document")
    }

    /// How people call this revision.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{} r{}", self.code, self.revision)
    }
}

/// Mappings with all their revisions, newest first.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `import.read`; [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &MappingFilter, params: &PageParams) -> Result<Page<Mapping>> {
    actor.allow(Action::ImportRead)?;
    let window = params.window::<MappingId>(&conn.keys, &format!("mappings?code={:?}", filter.code))?;
    let matching = || {
        let query = mappings::table.into_boxed();
        match &filter.code {
            Some(code) => query.filter(mappings::code.eq(code.clone())),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(mappings::id.desc()).limit(window.fetch()).select(Mapping::as_select());
    if let Some(before) = window.after {
        query = query.filter(mappings::id.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |mapping: &Mapping| mapping.id)
}

/// One revision of a mapping.
///
/// # Errors
/// [`kehu_kernel::Error::NotFound`]; [`kehu_kernel::Error::Forbidden`] without `import.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: MappingId) -> Result<Mapping> {
    actor.allow(Action::ImportRead)?;
    find(conn, id)
}

/// Keeps a mapping, as a new revision where its code exists.
///
/// # Errors
/// [`kehu_kernel::Error::Invalid`] for a document that is not sound; `Conflict` `mapping_changed` when
/// somebody else made the same revision at the same time.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewMapping) -> Result<Mapping> {
    actor.allow_everywhere(Action::ImportManage)?;
    check::read(&new.document, "/document")?;
    let latest = latest(tx, &new.code)?;
    let mapping = Mapping {
        id: MappingId::new(),
        code: new.code,
        revision: latest.map_or(1, |latest| latest.revision + 1),
        name: new.name,
        document: Json(new.document),
        created_by: actor.subject.clone(),
        created_at: tx.now,
    };
    diesel::insert_into(mappings::table)
        .values(&mapping)
        .execute(&mut tx.db)
        .map_err(taken("mapping_changed", "Somebody else has just made this revision; read it and try again."))?;
    let data = json!({ "code": mapping.code, "revision": mapping.revision });
    tx.emit(actor, NewEvent::new("mapping.created", mapping.id, data));
    Ok(mapping)
}

/// The latest revision if it is the same document, else a new one.
///
/// # Errors
/// As [`create`].
pub fn ensure(tx: &mut Tx<'_>, actor: &Actor, new: NewMapping) -> Result<Mapping> {
    match latest(tx, &new.code)? {
        Some(mapping) if mapping.document.0 == new.document => Ok(mapping),
        _ => create(tx, actor, new),
    }
}

pub(crate) fn find(conn: &mut Conn, id: MappingId) -> Result<Mapping> {
    Ok(mappings::table.find(id).select(Mapping::as_select()).first(&mut conn.db)?)
}

fn latest(conn: &mut Conn, code: &str) -> Result<Option<Mapping>> {
    let revisions = mappings::table.filter(mappings::code.eq(code)).order(mappings::revision.desc());
    Ok(revisions.select(Mapping::as_select()).first(&mut conn.db).optional()?)
}
