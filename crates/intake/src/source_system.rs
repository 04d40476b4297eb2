//! Source systems: where records come from, and how much their word counts.

use std::collections::BTreeMap;

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx, error::taken, event::NewEvent, feed::Source,
    json::Json, patch, schema::source_systems,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

/// Identifier of a source system.
pub type SourceSystemId = Id<SourceSystem>;

/// Class of attributes to how much a system's word counts for it.
pub type Precedence = BTreeMap<String, i32>;

/// A system of the bank that hands records to Kehu.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = source_systems)]
pub struct SourceSystem {
    /// Identifier of the source system.
    pub id: SourceSystemId,
    /// The bank's code of it; unique, and never changed.
    #[schema(example = "core", max_length = 32)]
    pub code: String,
    /// Its name.
    #[schema(example = "Core banking", max_length = 200)]
    pub name: String,
    /// How much its word counts per class of attributes; where systems disagree the higher number wins.
    #[schema(inline, value_type = kehu_kernel::limits::Weights)]
    pub precedence: Json<Precedence>,
    /// Whether it may hand in records.
    pub active: bool,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A source system to be defined.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewSourceSystem {
    /// The bank's code of it: letters, digits, `-` and `_`; unique.
    #[schema(example = "core", min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 32), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Its name.
    #[schema(example = "Core banking", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: String,
    /// How much its word counts per class of attributes, 0 to 1000; 0 unless given. At most 50 classes.
    #[serde(default)]
    #[schema(inline, value_type = kehu_kernel::limits::Weights, example = json!({ "contact": 10, "identity": 20 }))]
    #[validate(custom(function = "precedence"))]
    pub precedence: Precedence,
}

/// Changes to a source system (RFC 7396).
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate, AsChangeset)]
#[diesel(table_name = source_systems)]
#[serde(deny_unknown_fields)]
pub struct SourceSystemPatch {
    /// Its name.
    #[serde(default, deserialize_with = "patch::required")]
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// How much its word counts per class of attributes, as a whole.
    #[serde(default, deserialize_with = "patch::required")]
    #[schema(nullable = false, inline, value_type = kehu_kernel::limits::Weights)]
    #[validate(custom(function = "patched_precedence"))]
    pub precedence: Option<Json<Precedence>>,
    /// Whether it may hand in records.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub active: Option<bool>,
}

fn precedence(precedence: &Precedence) -> Result<(), ValidationError> {
    let sound = precedence.len() <= 50
        && precedence.iter().all(|(class, weight)| (1..=64).contains(&class.chars().count()) && (0..=1000).contains(weight));
    if sound {
        Ok(())
    } else {
        Err(ValidationError::new("precedence").with_message("At most 50 classes with 0 to 1000 each.".into()))
    }
}

fn patched_precedence(patched: &Json<Precedence>) -> Result<(), ValidationError> {
    precedence(&patched.0)
}

impl SourceSystem {
    /// What the owners of tables want to know about it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source { code: self.code.clone(), precedence: self.precedence.0.clone() }
    }
}

/// Source systems, by code.
///
/// # Errors
/// [`Error::Forbidden`] without `import.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, params: &PageParams) -> Result<Page<SourceSystem>> {
    actor.allow(Action::ImportRead)?;
    let window = params.window::<String>(&conn.keys, "source-systems")?;
    let total = if window.include_total { Some(source_systems::table.count().get_result(&mut conn.db)?) } else { None };
    let mut query = source_systems::table.order(source_systems::code).limit(window.fetch()).into_boxed();
    if let Some(after) = window.after.clone() {
        query = query.filter(source_systems::code.gt(after));
    }
    let rows = query.select(SourceSystem::as_select()).load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |system: &SourceSystem| system.code.clone())
}

/// One source system.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `import.read`.
pub fn get(conn: &mut Conn, actor: &Actor, id: SourceSystemId) -> Result<SourceSystem> {
    actor.allow(Action::ImportRead)?;
    find(conn, id)
}

/// Defines a source system.
///
/// # Errors
/// [`Error::Conflict`] `source_system_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewSourceSystem) -> Result<SourceSystem> {
    actor.allow_everywhere(Action::ImportManage)?;
    let system = SourceSystem {
        id: SourceSystemId::new(),
        code: new.code,
        name: new.name,
        precedence: Json(new.precedence),
        active: true,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(source_systems::table)
        .values(&system)
        .execute(&mut tx.db)
        .map_err(taken("source_system_code_taken", "Another source system has this code."))?;
    tx.emit(actor, NewEvent::new("source_system.created", system.id, json!({ "code": system.code })));
    Ok(system)
}

/// Changes a source system that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`].
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: SourceSystemId,
    version: i64,
    change: &SourceSystemPatch,
) -> Result<SourceSystem> {
    actor.allow_everywhere(Action::ImportManage)?;
    let updated = diesel::update(source_systems::table.find(id).filter(source_systems::version.eq(version)))
        .set((change, source_systems::updated_at.eq(tx.now), source_systems::version.eq(version + 1)))
        .execute(&mut tx.db)?;
    let system = find(tx, id)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: system.version });
    }
    tx.emit(actor, NewEvent::new("source_system.updated", id, json!({ "code": system.code, "active": system.active })));
    Ok(system)
}

/// The source system of a code, defined now if it was not.
///
/// # Errors
/// As [`create`].
pub fn ensure(tx: &mut Tx<'_>, actor: &Actor, code: &str) -> Result<SourceSystem> {
    match by_code(tx, code)? {
        Some(system) => Ok(system),
        None => {
            let new = NewSourceSystem { code: code.to_owned(), name: code.to_owned(), precedence: Precedence::new() };
            new.validate().map_err(|_| Error::invalid("/source", "code", "Only letters, digits, - and _; at most 32."))?;
            create(tx, actor, new)
        }
    }
}

pub(crate) fn by_code(conn: &mut Conn, code: &str) -> Result<Option<SourceSystem>> {
    let named = source_systems::table.filter(source_systems::code.eq(code));
    Ok(named.select(SourceSystem::as_select()).first(&mut conn.db).optional()?)
}

pub(crate) fn find(conn: &mut Conn, id: SourceSystemId) -> Result<SourceSystem> {
    Ok(source_systems::table.find(id).select(SourceSystem::as_select()).first(&mut conn.db)?)
}
