//! Definitions of tags: what a tag says, which values it has, and which sources may set it.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    error::taken,
    event::NewEvent,
    json::Json,
    patch,
    schema::{customer_tags, tag_domains, tags},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::domain::TagDomainId;
use crate::{
    scope,
    value::{self, Bounds, DataClass, Form},
};

/// Identifier of a tag's definition.
pub type TagId = Id<Tag>;

text_enum! {
    /// What the values of a tag are, each written as text.
    pub enum TagValueType {
        /// No value: the tag is there or not.
        Flag = "flag",
        /// A text of at most 200 characters.
        Text = "text",
        /// A number with at most 15 digits before the point and 6 after it: `12.5`.
        Number = "number",
        /// A calendar date: `2026-01-31`.
        Date = "date",
        /// One of the tag's choices.
        Choice = "choice",
    }
}

text_enum! {
    /// From where a customer has a tag.
    pub enum TagSource {
        /// A person set it.
        Manual = "manual",
        /// A rule of the bank set it.
        Rule = "rule",
        /// A system of the bank handed it in.
        Import = "import",
        /// A model scored it.
        Model = "model",
    }
}

/// A tag of the library.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = tags, treat_none_as_default_value = false)]
pub struct Tag {
    /// Identifier of the tag.
    pub id: TagId,
    /// The domain to which it belongs.
    pub tag_domain_id: TagDomainId,
    /// Code of the tag; unique, and never changed.
    #[schema(example = "coupon_use", max_length = 48)]
    pub code: String,
    /// Name of the tag.
    #[schema(example = "Use of coupons", max_length = 200)]
    pub name: String,
    /// What it says about a customer.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// What its values are; never changed.
    pub value_type: TagValueType,
    /// The values of a `choice`; empty for other types.
    #[schema(value_type = Vec<kehu_kernel::limits::ShortText>, max_items = 100)]
    pub choices: Json<Vec<String>>,
    /// The sources that may set it.
    #[schema(value_type = Vec<TagSource>, max_items = 4)]
    pub settable_by: Json<Vec<TagSource>>,
    /// How sensitive it is. Who may not see sensitive fields does not see that a customer has a sensitive tag.
    pub field_class: DataClass,
    /// Whether it may be set; what is set already stays.
    pub active: bool,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A tag to be added to the library.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewTag {
    /// The domain to which it belongs.
    pub tag_domain_id: TagDomainId,
    /// Code of the tag: letters, digits, `-` and `_`; unique.
    #[schema(example = "coupon_use", min_length = 1, max_length = 48, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 48), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the tag.
    #[schema(example = "Use of coupons", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: String,
    /// What it says about a customer.
    #[schema(max_length = 500)]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<String>,
    /// What its values are.
    pub value_type: TagValueType,
    /// The values of a `choice`, each of 1 to 100 characters; needed for that type, refused for others.
    #[serde(default)]
    #[schema(value_type = Vec<kehu_kernel::limits::ShortText>, max_items = 100)]
    #[validate(length(max = 100), custom(function = "value::choices"))]
    pub choices: Vec<String>,
    /// The sources that may set it, each once; only `manual` unless given.
    #[serde(default = "by_hand")]
    #[schema(min_items = 1, max_items = 4)]
    #[validate(custom(function = "sources"))]
    pub settable_by: Vec<TagSource>,
    /// How sensitive it is; `internal` unless given.
    #[serde(default = "internal")]
    pub field_class: DataClass,
}

/// Changes to a tag; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TagPatch {
    /// The domain to which it belongs.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub tag_domain_id: Option<TagDomainId>,
    /// Name of the tag.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: Option<String>,
    /// What it says about a customer.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<Option<String>>,
    /// The values of a `choice`, as a whole list. A choice that customers have cannot go.
    #[schema(nullable = false, value_type = Option<Vec<kehu_kernel::limits::ShortText>>, max_items = 100)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 100), custom(function = "value::choices"))]
    pub choices: Option<Vec<String>>,
    /// The sources that may set it, as a whole list; each once.
    #[schema(nullable = false, min_items = 1, max_items = 4)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "sources"))]
    pub settable_by: Option<Vec<TagSource>>,
    /// How sensitive it is.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub field_class: Option<DataClass>,
    /// Whether it may be set.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub active: Option<bool>,
}

/// Filters of the list of tags.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TagFilter {
    /// Only tags of the domain with this code.
    #[param(max_length = 48, example = "demographics")]
    pub domain: Option<String>,
    /// Only those that may be set, or only those that may not.
    #[param(example = true)]
    pub active: Option<bool>,
}

fn by_hand() -> Vec<TagSource> {
    vec![TagSource::Manual]
}

const fn internal() -> DataClass {
    DataClass::Internal
}

fn sources(sources: &[TagSource]) -> Result<(), ValidationError> {
    let mut each = sources.to_vec();
    each.sort_unstable();
    each.dedup();
    if !sources.is_empty() && each.len() == sources.len() {
        Ok(())
    } else {
        Err(ValidationError::new("sources").with_message("At least one source, and each once.".into()))
    }
}

impl Tag {
    /// The stored spelling of a value of this tag.
    ///
    /// # Errors
    /// A broken rule at the pointer: a flag has no value, any other tag has one of its type.
    pub(crate) fn spell(&self, value: Option<&str>, pointer: &str) -> Result<Option<String>, FieldError> {
        let form = match self.value_type {
            TagValueType::Flag => {
                return match value {
                    None => Ok(None),
                    Some(_) => Err(FieldError::new(pointer, "flag", "A flag has no value.")),
                };
            }
            TagValueType::Text => Form::Text { longest: 200 },
            TagValueType::Number => Form::Decimal(Bounds::default()),
            TagValueType::Date => Form::Date,
            TagValueType::Choice => Form::Choice(&self.choices.0),
        };
        let value = value.ok_or_else(|| FieldError::new(pointer, "required", "This tag has a value."))?;
        form.spell(value, pointer).map(Some)
    }
}

/// Tags in the order of their codes.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`, and for customers; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &TagFilter, params: &PageParams) -> Result<Page<Tag>> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    let window = params.window::<String>(&conn.keys, &format!("tags?{filter:?}"))?;
    let total = if window.include_total { Some(matching(filter).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(filter).order(tags::code).limit(window.fetch()).select(Tag::as_select());
    if let Some(after) = window.after.clone() {
        query = query.filter(tags::code.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &Tag| row.code.clone())
}

fn matching<'a>(filter: &TagFilter) -> tags::BoxedQuery<'a, MultiBackend> {
    let mut query = tags::table.into_boxed();
    if let Some(code) = filter.domain.clone() {
        let domain = tag_domains::table.filter(tag_domains::code.eq(code)).select(tag_domains::id);
        query = query.filter(tags::tag_domain_id.eq_any(domain));
    }
    if let Some(active) = filter.active {
        query = query.filter(tags::active.eq(active));
    }
    query
}

/// One tag of the library.
///
/// # Errors
/// [`Error::Forbidden`] as in [`list`]; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: TagId) -> Result<Tag> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    find(conn, id)
}

/// Adds a tag to the library.
///
/// # Errors
/// [`Error::Forbidden`] without `tag.manage` everywhere; [`Error::Invalid`]; [`Error::Conflict`] `tag_code_taken`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewTag) -> Result<Tag> {
    actor.allow_everywhere(Action::TagManage)?;
    let mut faults = Vec::new();
    check_domain(tx, new.tag_domain_id, &mut faults)?;
    check_choices(new.value_type, &new.choices, &mut faults);
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let row = Tag {
        id: TagId::new(),
        tag_domain_id: new.tag_domain_id,
        code: new.code,
        name: new.name,
        description: new.description,
        value_type: new.value_type,
        choices: Json(new.choices),
        settable_by: Json(new.settable_by),
        field_class: new.field_class,
        active: true,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(tags::table)
        .values(&row)
        .execute(&mut tx.db)
        .map_err(taken("tag_code_taken", "Another tag has this code."))?;
    tx.emit(actor, NewEvent::new("tag.created", row.id, told(&row)));
    Ok(row)
}

/// Changes a tag that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`], also for another class by somebody who does not see the old one; [`Error::NotFound`];
/// [`Error::PreconditionFailed`]; [`Error::Invalid`]; [`Error::Conflict`] `choice_in_use`.
pub fn update(tx: &mut Tx<'_>, actor: &Actor, id: TagId, version: i64, patch: TagPatch) -> Result<Tag> {
    actor.allow_everywhere(Action::TagManage)?;
    tx.hold_row("tags", id)?;
    let mut row = find(tx, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    row.field_class.check_change(actor, patch.field_class)?;
    let mut faults = Vec::new();
    if let Some(domain) = patch.tag_domain_id {
        check_domain(tx, domain, &mut faults)?;
        row.tag_domain_id = domain;
    }
    if let Some(choices) = patch.choices {
        check_choices(row.value_type, &choices, &mut faults);
        check_unused(tx, id, &row.choices.0, &choices)?;
        row.choices = Json(choices);
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    row.name = patch.name.unwrap_or(row.name);
    row.description = patch.description.unwrap_or(row.description);
    row.settable_by = patch.settable_by.map_or(row.settable_by, Json);
    row.field_class = patch.field_class.unwrap_or(row.field_class);
    row.active = patch.active.unwrap_or(row.active);
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(tags::table.find(id))
        .set((
            tags::tag_domain_id.eq(row.tag_domain_id),
            tags::name.eq(&row.name),
            tags::description.eq(&row.description),
            tags::choices.eq(&row.choices),
            tags::settable_by.eq(&row.settable_by),
            tags::field_class.eq(row.field_class),
            tags::active.eq(row.active),
            tags::updated_at.eq(row.updated_at),
            tags::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("tag.updated", id, told(&row)));
    Ok(row)
}

/// What stands in the events of the library.
fn told(row: &Tag) -> serde_json::Value {
    json!({ "code": row.code, "value_type": row.value_type, "field_class": row.field_class, "active": row.active })
}

fn check_domain(conn: &mut Conn, id: TagDomainId, faults: &mut Vec<FieldError>) -> Result<()> {
    let known: i64 = tag_domains::table.filter(tag_domains::id.eq(id)).count().get_result(&mut conn.db)?;
    if known == 0 {
        faults.push(FieldError::new("/tag_domain_id", "unknown_domain", "There is no such domain."));
    }
    Ok(())
}

fn check_choices(value_type: TagValueType, choices: &[String], faults: &mut Vec<FieldError>) {
    match (value_type, choices.is_empty()) {
        (TagValueType::Choice, true) => faults.push(FieldError::new("/choices", "required", "A choice has values.")),
        (TagValueType::Choice, false) | (_, true) => {}
        (_, false) => faults.push(FieldError::new("/choices", "no_choice", "Only a choice has a list of values.")),
    }
}

/// Refuses to take away a choice that customers have.
fn check_unused(conn: &mut Conn, id: TagId, before: &[String], after: &[String]) -> Result<()> {
    let gone: Vec<&String> = before.iter().filter(|choice| !after.contains(choice)).collect();
    let used: Option<Option<String>> = customer_tags::table
        .filter(customer_tags::tag_id.eq(id))
        .filter(customer_tags::valid_to.is_null())
        .filter(diesel::NullableExpressionMethods::assume_not_null(customer_tags::value).eq_any(gone))
        .select(customer_tags::value)
        .first(&mut conn.db)
        .optional()?;
    match used.flatten() {
        None => Ok(()),
        Some(choice) => Err(Error::conflict("choice_in_use", format!("Customers have the choice {choice:?}."))),
    }
}

pub(crate) fn find(conn: &mut Conn, id: TagId) -> Result<Tag> {
    Ok(tags::table.find(id).select(Tag::as_select()).first(&mut conn.db)?)
}

/// The tag of the library with this code, if there is one.
pub(crate) fn by_code(conn: &mut Conn, code: &str) -> Result<Option<Tag>> {
    Ok(tags::table.filter(tags::code.eq(code)).select(Tag::as_select()).first(&mut conn.db).optional()?)
}
