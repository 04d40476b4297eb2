//! Definitions of custom attributes: type, limits, for which kinds of customers, how sensitive.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    error::taken,
    event::NewEvent,
    json::Json,
    patch,
    schema::{attribute_definitions, custom_attributes},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use crate::{
    CustomerKind, scope,
    value::{self, Bounds, DataClass, Form},
};

/// Identifier of a definition.
pub type AttributeDefinitionId = Id<AttributeDefinition>;

/// How many attributes a bank can define.
pub(crate) const MOST: usize = 200;
/// The greatest number that JSON carries exactly in every language.
const SAFE: i64 = 9_007_199_254_740_991;
/// How long a text may be unless the definition says more or less.
const USUAL_LENGTH: i32 = 200;

text_enum! {
    /// What the values of a custom attribute are, each written as text.
    pub enum AttributeType {
        /// A text.
        Text = "text",
        /// A whole number of at most 15 digits: `42`.
        Integer = "integer",
        /// A number with at most 15 digits before the point and 6 after it: `12.5`.
        Decimal = "decimal",
        /// `true` or `false`.
        Boolean = "boolean",
        /// A calendar date: `2026-01-31`.
        Date = "date",
        /// One of the definition's choices.
        Choice = "choice",
    }
}

/// A field that the bank adds to its customers.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = attribute_definitions, treat_none_as_default_value = false)]
pub struct AttributeDefinition {
    /// Identifier of the definition.
    pub id: AttributeDefinitionId,
    /// Code of the attribute; unique, and never changed. The history names it `custom.<code>`.
    #[schema(example = "golf_handicap", max_length = 48)]
    pub code: String,
    /// Name of the attribute.
    #[schema(example = "Golf handicap", max_length = 200)]
    pub name: String,
    /// What it says about a customer.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// The kinds of customers that have it.
    #[schema(value_type = Vec<CustomerKind>, max_items = 3)]
    pub customer_kinds: Json<Vec<CustomerKind>>,
    /// What its values are; never changed.
    pub value_type: AttributeType,
    /// The values of a `choice`; empty for other types.
    #[schema(value_type = Vec<kehu_kernel::limits::ShortText>, max_items = 100)]
    pub choices: Json<Vec<String>>,
    /// The greatest length of a `text`, in characters; null for other types.
    #[schema(minimum = 1, maximum = 2000)]
    pub max_length: Option<i32>,
    /// The least number, of `integer` and `decimal`; null when there is none.
    pub minimum: Option<i64>,
    /// The greatest number, of `integer` and `decimal`; null when there is none.
    pub maximum: Option<i64>,
    /// How sensitive it is. Customers themselves see what is public.
    pub field_class: DataClass,
    /// Whether it may be set; what is set already can still be read and cleared.
    pub active: bool,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A custom attribute to be defined.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewAttributeDefinition {
    /// Code of the attribute: letters, digits, `-` and `_`; unique.
    #[schema(example = "golf_handicap", min_length = 1, max_length = 48, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 48), custom(function = "kehu_kernel::check::code"))]
    pub code: String,
    /// Name of the attribute.
    #[schema(example = "Golf handicap", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: String,
    /// What it says about a customer.
    #[schema(max_length = 500)]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<String>,
    /// The kinds of customers that have it, each once.
    #[schema(min_items = 1, max_items = 3)]
    #[validate(custom(function = "kinds"))]
    pub customer_kinds: Vec<CustomerKind>,
    /// What its values are.
    pub value_type: AttributeType,
    /// The values of a `choice`, each of 1 to 100 characters; needed for that type, refused for others.
    #[serde(default)]
    #[schema(value_type = Vec<kehu_kernel::limits::ShortText>, max_items = 100)]
    #[validate(length(max = 100), custom(function = "value::choices"))]
    pub choices: Vec<String>,
    /// The greatest length of a `text`; 200 unless given, refused for other types.
    #[schema(minimum = 1, maximum = 2000)]
    #[validate(range(min = 1, max = 2000))]
    pub max_length: Option<i32>,
    /// The least number; only of `integer` and `decimal`.
    #[schema(minimum = -9007199254740991_i64, maximum = 9007199254740991_i64)]
    #[validate(custom(function = "limit"))]
    pub minimum: Option<i64>,
    /// The greatest number; only of `integer` and `decimal`, and not below the least.
    #[schema(minimum = -9007199254740991_i64, maximum = 9007199254740991_i64)]
    #[validate(custom(function = "limit"))]
    pub maximum: Option<i64>,
    /// How sensitive it is; `internal` unless given.
    #[serde(default = "internal")]
    pub field_class: DataClass,
}

/// Changes to a definition; what is absent stays. New limits count for new values.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AttributeDefinitionPatch {
    /// Name of the attribute.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: Option<String>,
    /// What it says about a customer.
    #[schema(value_type = Option<String>, max_length = 500)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 500), custom(function = "crate::rules::text"))]
    pub description: Option<Option<String>>,
    /// The kinds of customers that have it, as a whole list; each once.
    #[schema(nullable = false, min_items = 1, max_items = 3)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "kinds"))]
    pub customer_kinds: Option<Vec<CustomerKind>>,
    /// The values of a `choice`, as a whole list. A choice that customers have cannot go.
    #[schema(nullable = false, value_type = Option<Vec<kehu_kernel::limits::ShortText>>, max_items = 100)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 100), custom(function = "value::choices"))]
    pub choices: Option<Vec<String>>,
    /// The greatest length of a `text`.
    #[schema(nullable = false, minimum = 1, maximum = 2000)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(range(min = 1, max = 2000))]
    pub max_length: Option<i32>,
    /// The least number.
    #[schema(value_type = Option<i64>, minimum = -9007199254740991_i64, maximum = 9007199254740991_i64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(custom(function = "limit"))]
    pub minimum: Option<Option<i64>>,
    /// The greatest number.
    #[schema(value_type = Option<i64>, minimum = -9007199254740991_i64, maximum = 9007199254740991_i64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(custom(function = "limit"))]
    pub maximum: Option<Option<i64>>,
    /// How sensitive it is.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub field_class: Option<DataClass>,
    /// Whether it may be set.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub active: Option<bool>,
}

/// Filters of the list of definitions.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AttributeDefinitionFilter {
    /// Only those that may be set, or only those that may not.
    #[param(example = true)]
    pub active: Option<bool>,
}

const fn internal() -> DataClass {
    DataClass::Internal
}

fn kinds(kinds: &[CustomerKind]) -> Result<(), ValidationError> {
    let mut each = kinds.to_vec();
    each.sort_unstable();
    each.dedup();
    if !kinds.is_empty() && each.len() == kinds.len() {
        Ok(())
    } else {
        Err(ValidationError::new("kinds").with_message("At least one kind, and each once.".into()))
    }
}

fn limit(limit: i64) -> Result<(), ValidationError> {
    if (-SAFE..=SAFE).contains(&limit) {
        Ok(())
    } else {
        Err(ValidationError::new("range").with_message(format!("The value must be {} to {SAFE}.", -SAFE).into()))
    }
}

impl AttributeDefinition {
    /// What a value has to be.
    pub(crate) fn form(&self) -> Form<'_> {
        let bounds = Bounds { minimum: self.minimum, maximum: self.maximum };
        match self.value_type {
            AttributeType::Text => {
                let longest = self.max_length.unwrap_or(USUAL_LENGTH);
                Form::Text { longest: usize::try_from(longest).unwrap_or(value::LONGEST) }
            }
            AttributeType::Integer => Form::Integer(bounds),
            AttributeType::Decimal => Form::Decimal(bounds),
            AttributeType::Boolean => Form::Boolean,
            AttributeType::Date => Form::Date,
            AttributeType::Choice => Form::Choice(&self.choices.0),
        }
    }

    /// Name of the attribute in the history.
    pub(crate) fn field(&self) -> String {
        format!("{}{}", super::custom::PREFIX, self.code)
    }

    /// Refuses limits and choices that do not fit the type.
    fn check(&self) -> Result<()> {
        let mut faults = Vec::new();
        let mut fault = |pointer: &str, code: &str, message: &str| faults.push(FieldError::new(pointer, code, message));
        match (self.value_type, self.choices.0.is_empty()) {
            (AttributeType::Choice, true) => fault("/choices", "required", "A choice has values."),
            (AttributeType::Choice, false) | (_, true) => {}
            (_, false) => fault("/choices", "no_choice", "Only a choice has a list of values."),
        }
        if self.max_length.is_some() && self.value_type != AttributeType::Text {
            fault("/max_length", "no_text", "Only a text has a greatest length.");
        }
        let counts = matches!(self.value_type, AttributeType::Integer | AttributeType::Decimal);
        for (pointer, bound) in [("/minimum", self.minimum), ("/maximum", self.maximum)] {
            if bound.is_some() && !counts {
                fault(pointer, "no_number", "Only numbers have limits.");
            }
        }
        if self.minimum.zip(self.maximum).is_some_and(|(least, greatest)| least > greatest) {
            fault("/maximum", "below_minimum", "The greatest number is not below the least.");
        }
        if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
    }
}

/// Definitions in the order of their codes.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`, and for customers; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    filter: &AttributeDefinitionFilter,
    params: &PageParams,
) -> Result<Page<AttributeDefinition>> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    let window = params.window::<String>(&conn.keys, &format!("attribute-definitions?{filter:?}"))?;
    let total = if window.include_total { Some(matching(filter).count().get_result(&mut conn.db)?) } else { None };
    let query = matching(filter).order(attribute_definitions::code).limit(window.fetch());
    let mut query = query.select(AttributeDefinition::as_select());
    if let Some(after) = window.after.clone() {
        query = query.filter(attribute_definitions::code.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |row: &AttributeDefinition| row.code.clone())
}

fn matching<'a>(filter: &AttributeDefinitionFilter) -> attribute_definitions::BoxedQuery<'a, MultiBackend> {
    let query = attribute_definitions::table.into_boxed();
    match filter.active {
        Some(active) => query.filter(attribute_definitions::active.eq(active)),
        None => query,
    }
}

/// One definition.
///
/// # Errors
/// [`Error::Forbidden`] as in [`list`]; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: AttributeDefinitionId) -> Result<AttributeDefinition> {
    scope::allow_inside(actor, Action::CustomerRead)?;
    find(conn, id)
}

/// Defines an attribute.
///
/// # Errors
/// [`Error::Forbidden`] without `tag.manage` everywhere; [`Error::Invalid`]; [`Error::Conflict`] `attribute_code_taken` or
/// `attribute_definitions_full`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: NewAttributeDefinition) -> Result<AttributeDefinition> {
    actor.allow_everywhere(Action::TagManage)?;
    let row = AttributeDefinition {
        id: AttributeDefinitionId::new(),
        code: new.code,
        name: new.name,
        description: new.description,
        customer_kinds: Json(new.customer_kinds),
        value_type: new.value_type,
        choices: Json(new.choices),
        max_length: new.max_length.or((new.value_type == AttributeType::Text).then_some(USUAL_LENGTH)),
        minimum: new.minimum,
        maximum: new.maximum,
        field_class: new.field_class,
        active: true,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    row.check()?;
    // All definitions are locked, so that two writers do not both take the last place.
    let defined = diesel::update(attribute_definitions::table)
        .set(attribute_definitions::version.eq(attribute_definitions::version))
        .execute(&mut tx.db)?;
    if defined >= MOST {
        return Err(Error::conflict("attribute_definitions_full", format!("A bank defines at most {MOST} attributes.")));
    }
    diesel::insert_into(attribute_definitions::table)
        .values(&row)
        .execute(&mut tx.db)
        .map_err(taken("attribute_code_taken", "Another attribute has this code."))?;
    tx.emit(actor, NewEvent::new("attribute_definition.created", row.id, told(&row)));
    Ok(row)
}

/// Changes a definition that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`], also for another class by somebody who does not see the old one; [`Error::NotFound`];
/// [`Error::PreconditionFailed`]; [`Error::Invalid`]; [`Error::Conflict`] `choice_in_use`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: AttributeDefinitionId,
    version: i64,
    patch: AttributeDefinitionPatch,
) -> Result<AttributeDefinition> {
    actor.allow_everywhere(Action::TagManage)?;
    tx.hold_row("attribute_definitions", id)?;
    let mut row = find(tx, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    row.field_class.check_change(actor, patch.field_class)?;
    if let Some(choices) = patch.choices {
        check_unused(tx, id, &row.choices.0, &choices)?;
        row.choices = Json(choices);
    }
    row.name = patch.name.unwrap_or(row.name);
    row.description = patch.description.unwrap_or(row.description);
    row.customer_kinds = patch.customer_kinds.map_or(row.customer_kinds, Json);
    row.max_length = patch.max_length.or(row.max_length);
    row.minimum = patch.minimum.unwrap_or(row.minimum);
    row.maximum = patch.maximum.unwrap_or(row.maximum);
    row.field_class = patch.field_class.unwrap_or(row.field_class);
    row.active = patch.active.unwrap_or(row.active);
    row.check()?;
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(attribute_definitions::table.find(id))
        .set((
            attribute_definitions::name.eq(&row.name),
            attribute_definitions::description.eq(&row.description),
            attribute_definitions::customer_kinds.eq(&row.customer_kinds),
            attribute_definitions::choices.eq(&row.choices),
            attribute_definitions::max_length.eq(row.max_length),
            attribute_definitions::minimum.eq(row.minimum),
            attribute_definitions::maximum.eq(row.maximum),
            attribute_definitions::field_class.eq(row.field_class),
            attribute_definitions::active.eq(row.active),
            attribute_definitions::updated_at.eq(row.updated_at),
            attribute_definitions::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("attribute_definition.updated", id, told(&row)));
    Ok(row)
}

/// What stands in the events of definitions.
fn told(row: &AttributeDefinition) -> serde_json::Value {
    json!({ "code": row.code, "value_type": row.value_type, "field_class": row.field_class, "active": row.active })
}

/// Refuses to take away a choice that customers have.
fn check_unused(conn: &mut Conn, id: AttributeDefinitionId, before: &[String], after: &[String]) -> Result<()> {
    let gone: Vec<&String> = before.iter().filter(|choice| !after.contains(choice)).collect();
    let used: Option<String> = custom_attributes::table
        .filter(custom_attributes::attribute_definition_id.eq(id))
        .filter(custom_attributes::value.eq_any(gone))
        .select(custom_attributes::value)
        .first(&mut conn.db)
        .optional()?;
    match used {
        None => Ok(()),
        Some(choice) => Err(Error::conflict("choice_in_use", format!("Customers have the choice {choice:?}."))),
    }
}

fn find(conn: &mut Conn, id: AttributeDefinitionId) -> Result<AttributeDefinition> {
    Ok(attribute_definitions::table.find(id).select(AttributeDefinition::as_select()).first(&mut conn.db)?)
}
