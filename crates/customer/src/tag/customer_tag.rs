//! Tags of customers. Another value is another record: what was tagged stays on record with its time.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Date, Error, FieldError, Id, Instant, Reference, Result, Tx, access::ActorKind,
    event::NewEvent, patch, schema::customer_tags,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    definition::{self, Tag, TagId, TagSource, TagValueType},
    list::note_shown,
};
use crate::{
    CustomerId, present, scope,
    value::{DataClass, shown_classes},
};

/// Identifier of a tag of a customer.
pub type CustomerTagId = Id<CustomerTag>;

/// A tag of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerTag {
    /// Identifier of this record.
    pub id: CustomerTagId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The tag of the library with its name.
    pub tag: Reference,
    /// Code of the tag.
    #[schema(example = "coupon_use", max_length = 48)]
    pub code: String,
    /// Code of the tag's domain.
    #[schema(example = "benefits", max_length = 48)]
    pub domain: String,
    /// How sensitive the tag is.
    pub field_class: DataClass,
    /// What its values are.
    pub value_type: TagValueType,
    /// The value, written as `value_type` says; null for flags.
    #[schema(example = "often", max_length = 200)]
    pub value: Option<String>,
    /// From where the customer has it.
    pub source: TagSource,
    /// How sure the source is.
    pub confidence_bp: BasisPoints,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The first day on which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// Who set it.
    #[schema(max_length = 128)]
    pub set_by: String,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A tag to be set on a customer.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewCustomerTag {
    /// Code of an active tag of the library.
    #[schema(example = "coupon_use", min_length = 1, max_length = 48)]
    #[validate(length(min = 1, max = 48))]
    pub tag: String,
    /// The value: needed unless the tag is a flag, and of the tag's type.
    #[schema(example = "often", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub value: Option<String>,
    /// From where the customer has it; `manual` unless given. It must be one that may set the tag; people only set by hand.
    pub source: Option<TagSource>,
    /// How sure the source is; wholly unless given.
    #[schema(minimum = 0, maximum = 10000)]
    #[validate(custom(function = "crate::rules::share"))]
    pub confidence_bp: Option<BasisPoints>,
    /// The first day on which it holds; today unless given.
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    pub valid_to: Option<Date>,
    /// Whether it takes the place of the same tag that the customer has in that time, which then ends; without this, such a
    /// tag is a conflict. False unless given.
    #[serde(default)]
    pub replace: bool,
}

/// Changes to a tag of a customer; what is absent stays. The value stays: another value is another record.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerTagPatch {
    /// How sure the source is.
    #[schema(nullable = false, minimum = 0, maximum = 10000)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(custom(function = "crate::rules::share"))]
    pub confidence_bp: Option<BasisPoints>,
    /// The first day on which it holds.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub valid_to: Option<Option<Date>>,
}

/// How a tag of a customer ends.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerTagEnd {
    /// The first day on which it no longer holds; today unless given, and never later than it would end by itself.
    pub valid_to: Option<Date>,
    /// Why; kept with the record.
    #[schema(example = "no longer uses coupons", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: Option<String>,
}

/// A tag of a customer as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = customer_tags, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub id: CustomerTagId,
    pub customer_id: CustomerId,
    pub tag_id: TagId,
    pub value: Option<String>,
    pub source: TagSource,
    pub confidence_bp: BasisPoints,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub set_by: String,
    pub end_reason: Option<String>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

impl Row {
    /// Whether both hold on a common day; what ended before it began never held.
    fn meets(&self, other: &Self) -> bool {
        let begins_before = |one: &Self, end: Option<Date>| end.is_none_or(|end| one.valid_from < end);
        let held = |row: &Self| begins_before(row, row.valid_to);
        held(self) && held(other) && begins_before(self, other.valid_to) && begins_before(other, self.valid_to)
    }

    pub fn shown(self, tag: &Tag, domain: &str) -> CustomerTag {
        CustomerTag {
            id: self.id,
            customer_id: self.customer_id,
            tag: Reference::new(tag.id, tag.name.clone()),
            code: tag.code.clone(),
            domain: domain.to_owned(),
            field_class: tag.field_class,
            value_type: tag.value_type,
            value: self.value,
            source: self.source,
            confidence_bp: self.confidence_bp,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            set_by: self.set_by,
            end_reason: self.end_reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

/// Sets a tag.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] for a sensitive tag without the right to see it or without a purpose;
/// [`Error::Invalid`]; [`Error::Conflict`] `tag_exists`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewCustomerTag) -> Result<CustomerTag> {
    scope::lock_inside(tx, actor, Action::CustomerWrite, customer)?;
    let unknown = || Error::invalid("/tag", "unknown_tag", "There is no tag with this code.");
    let tag = definition::by_code(tx, &new.tag)?.ok_or_else(unknown)?;
    if !shown_classes(actor, present::shows_sensitive(actor)).contains(&tag.field_class) {
        let detail = "This tag is set by roles that show fields of its class; a sensitive one for a purpose (X-Purpose).";
        return Err(Error::Forbidden(detail.into()));
    }
    let replace = new.replace;
    let row = row_of(tx, actor, customer, &tag, new)?;
    for same in others(tx, &row)? {
        if !replace {
            let detail = "The customer has this tag in that time already; end it, or set the new one with replace.";
            return Err(Error::conflict("tag_exists", detail));
        }
        give_way(tx, actor, &tag, &same, &row)?;
    }
    diesel::insert_into(customer_tags::table).values(&row).execute(&mut tx.db)?;
    tell(tx, actor, "customer_tag.created", &tag, &row);
    disclosed(tx, actor, &tag, row)
}

/// Changes a tag that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`], also for a sensitive tag without the right to see it; [`Error::Invalid`];
/// [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended` or `tag_exists`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: CustomerTagId,
    version: i64,
    patch: &CustomerTagPatch,
) -> Result<CustomerTag> {
    let (tag, mut row) = find_open(tx, actor, customer, id, version)?;
    row.confidence_bp = patch.confidence_bp.unwrap_or(row.confidence_bp);
    row.valid_from = patch.valid_from.unwrap_or(row.valid_from);
    row.valid_to = patch.valid_to.unwrap_or(row.valid_to);
    if row.valid_to.is_some_and(|to| to <= row.valid_from) {
        return Err(Error::invalid("/valid_to", "before_start", "A tag cannot end before it begins."));
    }
    let moved = patch.valid_from.is_some() || patch.valid_to.is_some();
    if moved && !others(tx, &row)?.is_empty() {
        return Err(Error::conflict("tag_exists", "The customer has another record of this tag in that time."));
    }
    save(tx, &mut row)?;
    tell(tx, actor, "customer_tag.updated", &tag, &row);
    disclosed(tx, actor, &tag, row)
}

/// Ends a tag: it stays on record.
///
/// # Errors
/// As [`update`].
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: CustomerTagId,
    version: i64,
    end: CustomerTagEnd,
) -> Result<CustomerTag> {
    let (tag, mut row) = find_open(tx, actor, customer, id, version)?;
    let valid_to = end.valid_to.unwrap_or_else(|| tx.now.date().max(row.valid_from));
    if valid_to < row.valid_from || row.valid_to.is_some_and(|to| to < valid_to) {
        let message = "A tag ends after it began, and never later than it would.";
        return Err(Error::invalid("/valid_to", "out_of_range", message));
    }
    row.valid_to = Some(valid_to);
    row.end_reason = end.reason;
    save(tx, &mut row)?;
    tell(tx, actor, "customer_tag.ended", &tag, &row);
    disclosed(tx, actor, &tag, row)
}

/// A checked row, not yet written.
fn row_of(tx: &Tx<'_>, actor: &Actor, customer: CustomerId, tag: &Tag, new: NewCustomerTag) -> Result<Row> {
    let mut faults = Vec::new();
    let source = new.source.unwrap_or(TagSource::Manual);
    if !tag.active {
        faults.push(FieldError::new("/tag", "inactive_tag", "This tag is not set any more."));
    }
    if !tag.settable_by.0.contains(&source) {
        let allowed: Vec<&str> = tag.settable_by.0.iter().map(|source| source.as_str()).collect();
        faults.push(FieldError::new("/source", "not_settable", format!("This tag is set by: {}.", allowed.join(", "))));
    }
    if actor.kind == ActorKind::Staff && actor.on_behalf_by.is_none() && source != TagSource::Manual {
        faults.push(FieldError::new("/source", "not_by_hand", "People set tags by hand; only programs name another source."));
    }
    let valid_from = new.valid_from.unwrap_or_else(|| tx.now.date());
    if new.valid_to.is_some_and(|to| to <= valid_from) {
        faults.push(FieldError::new("/valid_to", "before_start", "A tag cannot end before it begins."));
    }
    let value = match tag.spell(new.value.as_deref(), "/value") {
        Ok(value) => value,
        Err(fault) => {
            faults.push(fault);
            None
        }
    };
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    Ok(Row {
        id: CustomerTagId::new(),
        customer_id: customer,
        tag_id: tag.id,
        value,
        source,
        confidence_bp: new.confidence_bp.unwrap_or(BasisPoints::WHOLE),
        valid_from,
        valid_to: new.valid_to,
        set_by: actor.subject.clone(),
        end_reason: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    })
}

/// Other records of the same tag that hold on a day on which this one does.
fn others(conn: &mut Conn, row: &Row) -> Result<Vec<Row>> {
    let mut same: Vec<Row> = customer_tags::table
        .filter(customer_tags::customer_id.eq(row.customer_id))
        .filter(customer_tags::tag_id.eq(row.tag_id))
        .filter(customer_tags::id.ne(row.id))
        .select(Row::as_select())
        .load(&mut conn.db)?;
    same.retain(|other| other.meets(row));
    Ok(same)
}

/// Ends a record where another one of the same tag begins.
fn give_way(tx: &mut Tx<'_>, actor: &Actor, tag: &Tag, old: &Row, new: &Row) -> Result<()> {
    let mut row = old.clone();
    row.valid_to = Some(old.valid_from.max(new.valid_from));
    row.end_reason = Some("replaced".into());
    save(tx, &mut row)?;
    tell(tx, actor, "customer_tag.ended", tag, &row);
    Ok(())
}

fn save(tx: &mut Tx<'_>, row: &mut Row) -> Result<()> {
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(customer_tags::table.find(row.id).filter(customer_tags::customer_id.eq(row.customer_id)))
        .set((
            customer_tags::confidence_bp.eq(row.confidence_bp),
            customer_tags::valid_from.eq(row.valid_from),
            customer_tags::valid_to.eq(row.valid_to),
            customer_tags::end_reason.eq(&row.end_reason),
            customer_tags::updated_at.eq(row.updated_at),
            customer_tags::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}

/// Events name the tag unless it is sensitive: that a customer has it would say it all.
fn tell(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, tag: &Tag, row: &Row) {
    let named = tag.field_class != DataClass::Sensitive;
    let data = json!({ "tag_id": named.then_some(tag.id), "code": named.then_some(&tag.code), "source": row.source });
    tx.emit(actor, NewEvent::new(kind, row.id, data).of_customer(row.customer_id));
}

fn find_open(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, id: CustomerTagId, version: i64) -> Result<(Tag, Row)> {
    scope::lock_inside(tx, actor, Action::CustomerWrite, customer)?;
    let row = customer_tags::table.filter(customer_tags::customer_id.eq(customer)).filter(customer_tags::id.eq(id));
    let row: Row = row.select(Row::as_select()).first(&mut tx.db)?;
    let tag = definition::find(tx, row.tag_id)?;
    if !shown_classes(actor, present::shows_sensitive(actor)).contains(&tag.field_class) {
        return Err(Error::NotFound);
    }
    if row.valid_to.is_some_and(|to| to <= tx.now.date()) {
        return Err(Error::conflict("already_ended", "This tag was ended; set another one."));
    }
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    Ok((tag, row))
}

/// A row on its way out of a write; of a sensitive tag, that is recorded.
fn disclosed(tx: &mut Tx<'_>, actor: &Actor, tag: &Tag, row: Row) -> Result<CustomerTag> {
    if tag.field_class == DataClass::Sensitive {
        note_shown(tx, actor, row.customer_id, row.id.cast(), &[&tag.code])?;
    }
    let domain = super::domain::find(tx, tag.tag_domain_id)?;
    Ok(row.shown(tag, &domain.code))
}
