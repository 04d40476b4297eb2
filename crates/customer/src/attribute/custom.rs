//! Values of custom attributes. They belong to the customer itself: its version counts their changes, and its history keeps
//! what they were.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::{ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Error, FieldError, Instant, Result, Tx,
    audit::{self, Access},
    event::NewEvent,
    schema::{attribute_definitions, custom_attributes, customers},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type, schema::SchemaType},
};
use validator::{Validate, ValidationErrors};

use super::definition::{AttributeDefinition, AttributeDefinitionId, AttributeType, MOST};
use crate::{
    CustomerId, CustomerRow,
    history::{self, Change, Testimony},
    present::{self, Mask},
    scope,
    value::{DataClass, LONGEST, shown_classes},
};

/// What the names of custom attributes begin with in the history.
pub const PREFIX: &str = "custom.";

/// The value of a custom attribute of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomAttribute {
    /// The definition.
    pub attribute_definition_id: AttributeDefinitionId,
    /// Code of the attribute.
    #[schema(example = "golf_handicap", max_length = 48)]
    pub code: String,
    /// Name of the attribute.
    #[schema(example = "Golf handicap", max_length = 200)]
    pub name: String,
    /// What its values are.
    pub value_type: AttributeType,
    /// How sensitive it is.
    pub field_class: DataClass,
    /// The value, written as `value_type` says.
    #[schema(example = "12.5", max_length = 2000)]
    pub value: String,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// The custom attributes of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomAttributes {
    /// The customer.
    pub customer_id: CustomerId,
    /// Those that have a value and that the caller may see, in the order of their codes.
    #[schema(max_items = 200)]
    pub items: Vec<CustomAttribute>,
    /// Version of the customer; also the `ETag`.
    pub version: i64,
}

/// New values of custom attributes by their codes, as a JSON Merge Patch: null clears, what is absent stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct CustomAttributesPatch(pub BTreeMap<String, Option<String>>);

impl Validate for CustomAttributesPatch {
    /// Everything about it depends on the definitions.
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }
}

impl PartialSchema for CustomAttributesPatch {
    fn schema() -> RefOr<Schema> {
        let value = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .min_length(Some(1))
            .max_length(Some(LONGEST))
            .description(Some("The value, written as the definition's type says; null clears it."));
        let code = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(48));
        ObjectBuilder::new()
            .description(Some(
                "New values of custom attributes by their codes, as a JSON Merge Patch: null clears, what is absent stays.",
            ))
            .property_names(Some(code))
            .additional_properties(Some(value))
            .max_properties(Some(MOST))
            .examples([json!({ "golf_handicap": "12.5" })])
            .into()
    }
}

impl ToSchema for CustomAttributesPatch {
    fn name() -> std::borrow::Cow<'static, str> {
        "CustomAttributesPatch".into()
    }
}

/// A value as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = custom_attributes, treat_none_as_default_value = false)]
struct Row {
    id: AnyId,
    customer_id: CustomerId,
    attribute_definition_id: AttributeDefinitionId,
    value: String,
    set_by: String,
    created_at: Instant,
    updated_at: Instant,
    version: i64,
}

/// The custom attributes of customers that the actor may see, in the order of their codes.
pub(crate) fn of(
    conn: &mut Conn,
    actor: &Actor,
    customers: &[CustomerId],
    sensitive: bool,
) -> Result<HashMap<CustomerId, Vec<CustomAttribute>>> {
    of_classes(conn, customers, &shown_classes(actor, sensitive))
}

/// The custom attributes of one customer that a view shows: those that the actor may see, or those that customers see.
pub(crate) fn shown_in_view(conn: &mut Conn, actor: &Actor, customer: CustomerId, mask: Mask) -> Result<Vec<CustomAttribute>> {
    let mut classes = shown_classes(actor, mask.sensitive);
    classes.retain(|class| !mask.itself || *class == DataClass::Public);
    Ok(of_classes(conn, &[customer], &classes)?.remove(&customer).unwrap_or_default())
}

fn of_classes(
    conn: &mut Conn,
    customers: &[CustomerId],
    classes: &[DataClass],
) -> Result<HashMap<CustomerId, Vec<CustomAttribute>>> {
    let mut found: HashMap<CustomerId, Vec<CustomAttribute>> = HashMap::new();
    let values = custom_attributes::table
        .inner_join(attribute_definitions::table.on(attribute_definitions::id.eq(custom_attributes::attribute_definition_id)))
        .order(attribute_definitions::code)
        .select((Row::as_select(), AttributeDefinition::as_select()));
    let rows: Vec<(Row, AttributeDefinition)> = match customers {
        [] => return Ok(found),
        // Always the same statement, which the database need not read anew.
        [one] => values.filter(custom_attributes::customer_id.eq(*one)).load(&mut conn.db)?,
        several => values.filter(custom_attributes::customer_id.eq_any(several)).load(&mut conn.db)?,
    };
    for (row, definition) in rows.into_iter().filter(|(_, definition)| classes.contains(&definition.field_class)) {
        found.entry(row.customer_id).or_default().push(CustomAttribute {
            attribute_definition_id: definition.id,
            code: definition.code,
            name: definition.name,
            value_type: definition.value_type,
            field_class: definition.field_class,
            value: row.value,
            updated_at: row.updated_at,
        });
    }
    Ok(found)
}

/// What a privacy export hands out: every value of these customers, sensitive ones included.
pub(crate) fn exported(conn: &mut Conn, customers: &[CustomerId]) -> Result<Vec<Value>> {
    let all = of(conn, &Actor::system(), customers, true)?;
    let values = customers.iter().filter_map(|customer| all.get(customer)).flatten();
    values.map(|value| serde_json::to_value(value).map_err(Error::internal)).collect()
}

/// The custom attributes of a customer, without sensitive ones.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CustomAttributes> {
    let row = scope::require(conn, actor, Action::CustomerRead, customer)?;
    read(conn, actor, &row, false)
}

/// As [`get`], with sensitive ones when the actor may see them; that is recorded.
///
/// # Errors
/// As [`get`].
pub fn disclose(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId) -> Result<CustomAttributes> {
    let row = scope::require(tx, actor, Action::CustomerRead, customer)?;
    disclose_row(tx, actor, &row)
}

fn disclose_row(tx: &mut Tx<'_>, actor: &Actor, row: &CustomerRow) -> Result<CustomAttributes> {
    let found = read(tx, actor, row, present::shows_sensitive(actor))?;
    let fields = sensitive_fields(&found.items);
    if !fields.is_empty() {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let access = Access {
            customer_id: Some(row.id.cast()),
            resource: "customer",
            resource_id: row.id.cast(),
            action: Action::CustomerRead.as_str(),
            fields: &fields,
        };
        audit::record(tx, actor, access)?;
    }
    Ok(found)
}

/// Names of the sensitive ones among them, as the history and the access log have them.
pub(crate) fn sensitive_fields(shown: &[CustomAttribute]) -> Vec<String> {
    let sensitive = shown.iter().filter(|attribute| attribute.field_class == DataClass::Sensitive);
    sensitive.map(|attribute| format!("{PREFIX}{}", attribute.code)).collect()
}

fn read(conn: &mut Conn, actor: &Actor, row: &CustomerRow, sensitive: bool) -> Result<CustomAttributes> {
    let items = of(conn, actor, &[row.id], sensitive)?.remove(&row.id).unwrap_or_default();
    Ok(CustomAttributes { customer_id: row.id, items, version: row.version })
}

/// Sets and clears custom attributes of a customer that still has the version the caller saw. Every changed value is kept in
/// the history.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] for customers; [`Error::PreconditionFailed`]; [`Error::Invalid`] with a pointer
/// at each attribute that is unknown, inactive, of another kind of customer, or whose value does not fit its definition.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: CustomerId,
    version: i64,
    patch: &CustomAttributesPatch,
) -> Result<CustomAttributes> {
    let mut row = scope::lock_inside(tx, actor, Action::CustomerWrite, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let changes = changes(tx, actor, &row, patch)?;
    if !changes.is_empty() {
        write(tx, actor, &mut row, changes)?;
    }
    disclose_row(tx, actor, &row)
}

/// What a patch changes: the definition, the row that has a value now, and the new value.
type Planned = (AttributeDefinition, Option<Row>, Option<String>);

/// The changes of a patch. What the actor is not shown counts as changed by every word about it: a version that stays would
/// tell that the value was guessed.
fn changes(conn: &mut Conn, actor: &Actor, customer: &CustomerRow, patch: &CustomAttributesPatch) -> Result<Vec<Planned>> {
    if patch.0.len() > MOST {
        return Err(Error::invalid("", "too_many", format!("A customer has at most {MOST} custom attributes.")));
    }
    let codes: Vec<&String> = patch.0.keys().collect();
    let known = attribute_definitions::table.filter(attribute_definitions::code.eq_any(codes));
    let known: Vec<AttributeDefinition> = known.select(AttributeDefinition::as_select()).load(&mut conn.db)?;
    let mut known: HashMap<String, AttributeDefinition> = known.into_iter().map(|one| (one.code.clone(), one)).collect();
    let held = custom_attributes::table.filter(custom_attributes::customer_id.eq(customer.id));
    let held: Vec<Row> = held.select(Row::as_select()).load(&mut conn.db)?;
    let mut held: HashMap<AttributeDefinitionId, Row> = held.into_iter().map(|row| (row.attribute_definition_id, row)).collect();
    let shown = shown_classes(actor, present::shows_sensitive(actor));
    let (mut planned, mut faults) = (Vec::new(), Vec::new());
    for (code, value) in &patch.0 {
        let pointer = format!("/{}", code.replace('~', "~0").replace('/', "~1"));
        let Some(definition) = known.remove(code) else {
            faults.push(FieldError::new(pointer, "unknown_attribute", "There is no such attribute."));
            continue;
        };
        match wanted(&definition, customer, value.as_deref(), &pointer) {
            Err(fault) => faults.push(fault),
            Ok(value) => {
                let before = held.remove(&definition.id);
                let hidden = !shown.contains(&definition.field_class);
                if hidden || before.as_ref().map(|row| &row.value) != value.as_ref() {
                    planned.push((definition, before, value));
                }
            }
        }
    }
    if faults.is_empty() { Ok(planned) } else { Err(Error::Invalid(faults)) }
}

/// The stored spelling of a new value; clearing is always allowed.
fn wanted(
    definition: &AttributeDefinition,
    customer: &CustomerRow,
    value: Option<&str>,
    pointer: &str,
) -> Result<Option<String>, FieldError> {
    let Some(value) = value else { return Ok(None) };
    if !definition.customer_kinds.0.contains(&customer.kind) {
        let message = format!("A {} customer does not have this attribute.", customer.kind);
        return Err(FieldError::new(pointer, "other_kind", message));
    }
    if !definition.active {
        return Err(FieldError::new(pointer, "inactive_attribute", "This attribute is not set any more."));
    }
    definition.form().spell(value, pointer).map(Some)
}

fn write(tx: &mut Tx<'_>, actor: &Actor, customer: &mut CustomerRow, planned: Vec<Planned>) -> Result<()> {
    let mut kept = Vec::with_capacity(planned.len());
    for (definition, before, value) in planned {
        kept.push(Change {
            field: definition.field(),
            before: text(before.as_ref().map(|row| &row.value)),
            after: text(value.as_ref()),
        });
        match (before, value) {
            (Some(row), Some(value)) => {
                diesel::update(custom_attributes::table.find(row.id).filter(custom_attributes::customer_id.eq(customer.id)))
                    .set((
                        custom_attributes::value.eq(value),
                        custom_attributes::set_by.eq(&actor.subject),
                        custom_attributes::updated_at.eq(tx.now),
                        custom_attributes::version.eq(row.version + 1),
                    ))
                    .execute(&mut tx.db)?;
            }
            (Some(row), None) => {
                diesel::delete(custom_attributes::table.find(row.id).filter(custom_attributes::customer_id.eq(customer.id)))
                    .execute(&mut tx.db)?;
            }
            (None, Some(value)) => insert(tx, actor, customer.id, definition.id, value)?,
            (None, None) => {}
        }
    }
    customer.version += 1;
    customer.updated_at = tx.now;
    diesel::update(customers::table.find(customer.id))
        .set((customers::version.eq(customer.version), customers::updated_at.eq(customer.updated_at)))
        .execute(&mut tx.db)?;
    let testimony = Testimony { source: None, observed_at: tx.now, confidence: BasisPoints::WHOLE, recorded_by: &actor.subject };
    history::keep(tx, customer, &kept, &testimony)?;
    let fields: Vec<&str> = kept.iter().map(|change| change.field.as_str()).collect();
    let event = NewEvent::new("customer.attributes_changed", customer.id, json!({ "fields": fields }));
    tx.emit(actor, event.of_customer(customer.id));
    Ok(())
}

fn insert(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer_id: CustomerId,
    definition: AttributeDefinitionId,
    value: String,
) -> Result<()> {
    let row = Row {
        id: AnyId::new(),
        customer_id,
        attribute_definition_id: definition,
        value,
        set_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    diesel::insert_into(custom_attributes::table).values(&row).execute(&mut tx.db)?;
    Ok(())
}

fn text(value: Option<&String>) -> Value {
    value.map_or(Value::Null, |value| Value::String(value.clone()))
}

/// Which of these fields of the history are custom attributes that the actor may not see.
pub(crate) fn hidden<'a>(
    conn: &mut Conn,
    actor: &Actor,
    fields: impl Iterator<Item = &'a str>,
    sensitive: bool,
) -> Result<HashSet<String>> {
    let classes = shown_classes(actor, sensitive);
    let classified = classified(conn, fields)?;
    Ok(classified.into_iter().filter(|(_, class)| !classes.contains(class)).map(|(field, _)| field).collect())
}

/// Which of these fields of the history are sensitive custom attributes.
pub(crate) fn sensitive<'a>(conn: &mut Conn, fields: impl Iterator<Item = &'a str>) -> Result<HashSet<String>> {
    let classified = classified(conn, fields)?;
    Ok(classified.into_iter().filter(|(_, class)| *class == DataClass::Sensitive).map(|(field, _)| field).collect())
}

/// How sensitive those of these fields of the history are that are custom attributes.
fn classified<'a>(conn: &mut Conn, fields: impl Iterator<Item = &'a str>) -> Result<Vec<(String, DataClass)>> {
    let mut codes: Vec<&str> = fields.filter_map(|field| field.strip_prefix(PREFIX)).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, DataClass)> = attribute_definitions::table
        .filter(attribute_definitions::code.eq_any(codes))
        .select((attribute_definitions::code, attribute_definitions::field_class))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().map(|(code, class)| (format!("{PREFIX}{code}"), class)).collect())
}
