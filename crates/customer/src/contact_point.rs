//! Contact points: how a customer is reached. Never unique, because couples share a phone.

use diesel::{AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx, access::FieldClass, bulk_insert,
    event::NewEvent, patch, schema::contact_points, text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    CustomerId, CustomerRow,
    facts::Known,
    index,
    rules::{self, folded, identity_number, phone},
    scope,
};

/// Identifier of a contact point.
pub type ContactPointId = Id<ContactPoint>;

text_enum! {
    /// Kind of a contact point.
    pub enum ContactPointKind {
        /// A phone number, fixed or mobile.
        Phone = "phone",
        /// An e-mail address.
        Email = "email",
        /// A WeChat account.
        Wechat = "wechat",
        /// A postal address.
        PostalAddress = "postal_address",
        /// A fax number.
        Fax = "fax",
        /// Anything else.
        Other = "other",
    }
}

/// One way to reach a customer.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = contact_points, treat_none_as_default_value = false)]
pub struct ContactPoint {
    /// Identifier of the contact point.
    pub id: ContactPointId,
    /// The customer.
    pub customer_id: CustomerId,
    /// Kind.
    pub kind: ContactPointKind,
    /// As written; of a postal address, its parts in one line.
    #[schema(example = "138 0013 8000", max_length = 500)]
    pub value: String,
    /// The comparable form: E.164 for phones, lower case for the rest.
    #[schema(example = "+8613800138000", max_length = 500)]
    pub normalised: String,
    /// What it is to the customer.
    #[schema(example = "home", max_length = 64)]
    pub label: Option<String>,
    /// Whether it comes first among those of its kind.
    pub preferred: bool,
    /// Whether others use it too.
    pub shared: bool,
    /// Whether it must not be used.
    pub do_not_contact: bool,
    /// When somebody checked that it reaches the customer.
    pub verified_at: Option<Instant>,
    /// The first day on which it holds.
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// Country, ISO 3166-1 alpha-2: of an address, or where a phone number without country code belongs.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    pub country: Option<String>,
    /// Province of an address.
    #[schema(example = "上海市", max_length = 100)]
    pub province: Option<String>,
    /// City of an address.
    #[schema(max_length = 100)]
    pub city: Option<String>,
    /// District of an address.
    #[schema(example = "浦东新区", max_length = 100)]
    pub district: Option<String>,
    /// Street, house and door of an address.
    #[schema(example = "世纪大道100号", max_length = 300)]
    pub street: Option<String>,
    /// Postcode of an address.
    #[schema(example = "200120", max_length = 20)]
    pub postcode: Option<String>,
    /// Division of an address, a code of GB/T 2260.
    #[schema(example = "310115", max_length = 12)]
    pub division_code: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A contact point to be recorded.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewContactPoint {
    /// Kind.
    pub kind: ContactPointKind,
    /// As people write it; needed unless the parts of a postal address are given.
    #[schema(example = "138 0013 8000", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "rules::text"))]
    pub value: Option<String>,
    /// What it is to the customer.
    #[schema(example = "home", max_length = 64)]
    #[validate(length(max = 64), custom(function = "rules::text"))]
    pub label: Option<String>,
    /// Whether it comes first among those of its kind; false unless given.
    #[serde(default)]
    pub preferred: bool,
    /// Whether others use it too; false unless given.
    #[serde(default)]
    pub shared: bool,
    /// Whether it must not be used; false unless given.
    #[serde(default)]
    pub do_not_contact: bool,
    /// Whether the caller has checked that it reaches the customer; false unless given.
    #[serde(default)]
    pub verified: bool,
    /// The first day on which it holds.
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    pub valid_to: Option<Date>,
    /// Country, ISO 3166-1 alpha-2: of an address, or where a phone number without country code belongs
    /// (CN unless given).
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[validate(custom(function = "rules::country"))]
    pub country: Option<String>,
    /// Province of an address.
    #[schema(example = "上海市", max_length = 100)]
    #[validate(length(max = 100), custom(function = "rules::text"))]
    pub province: Option<String>,
    /// City of an address.
    #[schema(max_length = 100)]
    #[validate(length(max = 100), custom(function = "rules::text"))]
    pub city: Option<String>,
    /// District of an address.
    #[schema(example = "浦东新区", max_length = 100)]
    #[validate(length(max = 100), custom(function = "rules::text"))]
    pub district: Option<String>,
    /// Street, house and door of an address.
    #[schema(example = "世纪大道100号", max_length = 300)]
    #[validate(length(max = 300), custom(function = "rules::text"))]
    pub street: Option<String>,
    /// Postcode of an address.
    #[schema(example = "200120", max_length = 20)]
    #[validate(length(max = 20), custom(function = "rules::text"))]
    pub postcode: Option<String>,
    /// Division of an address, a code of GB/T 2260.
    #[schema(example = "310115", min_length = 6, max_length = 12, pattern = "^[0-9]+$")]
    #[validate(length(min = 6, max = 12), custom(function = "rules::digits"))]
    pub division_code: Option<String>,
}

/// Changes to a contact point. Its value stays; another number is another contact point.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = contact_points)]
pub struct ContactPointPatch {
    /// What it is to the customer.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "rules::text"))]
    pub label: Option<Option<String>>,
    /// Whether it comes first among those of its kind; true takes that from the others.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub preferred: Option<bool>,
    /// Whether others use it too.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub shared: Option<bool>,
    /// Whether it must not be used.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub do_not_contact: Option<bool>,
    /// Whether the caller has now checked that it reaches the customer.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    #[diesel(skip_update)]
    pub verified: Option<bool>,
    /// The first day on which it holds.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub valid_from: Option<Option<Date>>,
}

/// When a contact point ends.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ContactPointEnd {
    /// The first day on which it no longer holds; today unless given, and not in the future.
    pub valid_to: Option<Date>,
}

impl NewContactPoint {
    /// Checks the contact point and makes its record for a customer.
    ///
    /// # Errors
    /// [`Error::Invalid`] with pointers into the contact point.
    pub fn into_row(self, customer_id: CustomerId, now: Instant) -> Result<ContactPoint> {
        let address = self.kind == ContactPointKind::PostalAddress;
        let mut faults = Vec::new();
        if self.valid_from.zip(self.valid_to).is_some_and(|(from, to)| from >= to) {
            faults.push(FieldError::new("/valid_to", "before_start", "A contact point cannot end before it begins."));
        }
        let parts = [&self.province, &self.city, &self.district, &self.street];
        let parted = parts.iter().any(|part| part.is_some());
        if parted && !address {
            faults.push(FieldError::new("/street", "not_an_address", "Only postal addresses have parts."));
        }
        let line = parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        let value = self.value.clone().or_else(|| (address && parted).then_some(line));
        let normalised = match &value {
            Some(value) => normalise(self.kind, value, self.country.as_deref()),
            None => Err("A value is needed."),
        };
        match normalised {
            Ok(normalised) if faults.is_empty() => Ok(ContactPoint {
                id: ContactPointId::new(),
                customer_id,
                kind: self.kind,
                value: value.unwrap_or_default(),
                normalised,
                label: self.label,
                preferred: self.preferred,
                shared: self.shared,
                do_not_contact: self.do_not_contact,
                verified_at: self.verified.then_some(now),
                valid_from: self.valid_from,
                valid_to: self.valid_to,
                country: self.country,
                province: self.province,
                city: self.city,
                district: self.district,
                street: self.street,
                postcode: self.postcode,
                division_code: self.division_code,
                created_at: now,
                updated_at: now,
                version: 1,
            }),
            Ok(_) => Err(Error::Invalid(faults)),
            Err(message) => {
                faults.push(FieldError::new("/value", self.kind.as_str(), message));
                Err(Error::Invalid(faults))
            }
        }
    }
}

impl ContactPoint {
    /// As the actor is shown it: callers who may not see internal fields get the kind and no more than a
    /// hint of the value.
    #[must_use]
    pub fn shown_to(self, actor: &Actor) -> Self {
        if actor.sees(FieldClass::Internal) {
            return self;
        }
        Self {
            value: identity_number::mask(&self.value),
            normalised: identity_number::mask(&self.normalised),
            province: None,
            city: None,
            district: None,
            street: None,
            postcode: None,
            division_code: None,
            ..self
        }
    }
}

/// The comparable form of a value, or what is wrong with it.
///
/// # Errors
/// A sentence for the field's problem.
pub fn normalise(kind: ContactPointKind, value: &str, country: Option<&str>) -> Result<String, &'static str> {
    match kind {
        ContactPointKind::Phone | ContactPointKind::Fax => phone::e164(value, country),
        ContactPointKind::Email => rules::email(value),
        ContactPointKind::PostalAddress => Ok(folded(value).to_lowercase().split_whitespace().collect()),
        ContactPointKind::Wechat | ContactPointKind::Other => Ok(folded(value).to_lowercase()),
    }
}

/// Contact points of a customer, ended ones included, oldest first.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<ContactPoint>> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<ContactPointId>(&conn.keys, &format!("contact-points/{customer}"))?;
    let of = contact_points::table.filter(contact_points::customer_id.eq(customer));
    let total = if window.include_total { Some(of.count().get_result(&mut conn.db)?) } else { None };
    let mut query = of.order(contact_points::id).limit(window.fetch()).select(ContactPoint::as_select()).into_boxed();
    if let Some(after) = window.after {
        query = query.filter(contact_points::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &ContactPoint| row.id)?;
    Ok(page.map(|point| point.shown_to(actor)))
}

/// One contact point of a customer.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: ContactPointId) -> Result<ContactPoint> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    Ok(find(conn, customer, id)?.shown_to(actor))
}

/// Records a contact point.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `contact_point_exists` when the customer has it already.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewContactPoint) -> Result<ContactPoint> {
    let holder = scope::lock(tx, actor, Action::CustomerWrite, customer)?;
    let row = new.into_row(customer, tx.now)?;
    let mut known = Known::around(tx, vec![holder])?;
    let same = |point: &ContactPoint| point.kind == row.kind && point.normalised == row.normalised;
    if known.all().any(|facts| facts.contact_points.iter().any(same)) {
        return Err(Error::conflict("contact_point_exists", "The customer has this contact point already."));
    }
    if row.preferred {
        yield_preference(tx, &row)?;
    }
    diesel::insert_into(contact_points::table).values(&row).execute(&mut tx.db)?;
    known.gain(&row);
    index::refresh_known(tx, &known)?;
    tx.emit(actor, NewEvent::new("contact_point.created", row.id, json!({ "kind": row.kind })).of_customer(customer));
    Ok(row.shown_to(actor))
}

/// Changes a contact point that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: ContactPointId,
    version: i64,
    change: ContactPointPatch,
) -> Result<ContactPoint> {
    let (holder, before) = find_open(tx, actor, customer, id)?;
    let from = change.valid_from.unwrap_or(before.valid_from);
    if from.zip(before.valid_to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::invalid("/valid_from", "after_end", "A contact point cannot begin after it ends."));
    }
    let verified_at = match change.verified {
        Some(true) => Some(tx.now),
        Some(false) => None,
        None => before.verified_at,
    };
    if change.preferred == Some(true) {
        yield_preference(tx, &before)?;
    }
    let updated = diesel::update(
        contact_points::table
            .find(id)
            .filter(contact_points::customer_id.eq(customer))
            .filter(contact_points::version.eq(version)),
    )
    .set((
        change,
        contact_points::verified_at.eq(verified_at),
        contact_points::updated_at.eq(tx.now),
        contact_points::version.eq(version + 1),
    ))
    .execute(&mut tx.db)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    index::refresh_records(tx, holder)?;
    tx.emit(actor, NewEvent::new("contact_point.updated", id, json!({ "kind": before.kind })).of_customer(customer));
    Ok(find(tx, customer, id)?.shown_to(actor))
}

/// Ends a contact point: it stays on record, but no longer counts.
///
/// # Errors
/// As [`update`].
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: ContactPointId,
    version: i64,
    end: &ContactPointEnd,
) -> Result<ContactPoint> {
    let (holder, before) = find_open(tx, actor, customer, id)?;
    let today = tx.now.date();
    let valid_to = end.valid_to.unwrap_or(today);
    if valid_to > today {
        return Err(Error::invalid("/valid_to", "in_future", "A contact point ends today or has ended before."));
    }
    if before.valid_from.is_some_and(|from| from > valid_to) {
        return Err(Error::invalid("/valid_to", "before_start", "A contact point cannot end before it begins."));
    }
    let updated = diesel::update(
        contact_points::table
            .find(id)
            .filter(contact_points::customer_id.eq(customer))
            .filter(contact_points::version.eq(version)),
    )
    .set((
        contact_points::valid_to.eq(valid_to),
        contact_points::preferred.eq(false),
        contact_points::updated_at.eq(tx.now),
        contact_points::version.eq(version + 1),
    ))
    .execute(&mut tx.db)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    index::refresh_records(tx, holder)?;
    tx.emit(actor, NewEvent::new("contact_point.ended", id, json!({ "kind": before.kind })).of_customer(customer));
    Ok(find(tx, customer, id)?.shown_to(actor))
}

/// Records those contact points that the customer does not have yet; returns how many.
pub(crate) fn add_unknown(tx: &mut Tx<'_>, customer: CustomerId, new: Vec<NewContactPoint>) -> Result<usize> {
    if new.is_empty() {
        return Ok(0);
    }
    let known: Vec<(ContactPointKind, String)> = contact_points::table
        .filter(contact_points::customer_id.eq(customer))
        .select((contact_points::kind, contact_points::normalised))
        .load(&mut tx.db)?;
    let mut rows: Vec<ContactPoint> = Vec::new();
    for (place, point) in new.into_iter().enumerate() {
        let mut row = point.into_row(customer, tx.now).map_err(|error| error.within(&format!("/contact_points/{place}")))?;
        // What the customer prefers was decided before the source came.
        row.preferred = false;
        let same = |kind: ContactPointKind, normalised: &str| kind == row.kind && normalised == row.normalised;
        if !known.iter().any(|(kind, value)| same(*kind, value)) && !rows.iter().any(|other| same(other.kind, &other.normalised))
        {
            rows.push(row);
        }
    }
    bulk_insert!(tx, contact_points::table, rows)
}

/// Takes the preference from the others of the same kind.
fn yield_preference(tx: &mut Tx<'_>, to: &ContactPoint) -> Result<()> {
    diesel::update(
        contact_points::table
            .filter(contact_points::customer_id.eq(to.customer_id))
            .filter(contact_points::kind.eq(to.kind))
            .filter(contact_points::id.ne(to.id))
            .filter(contact_points::preferred.eq(true)),
    )
    .set((
        contact_points::preferred.eq(false),
        contact_points::updated_at.eq(tx.now),
        contact_points::version.eq(contact_points::version + 1),
    ))
    .execute(&mut tx.db)?;
    Ok(())
}

fn find(conn: &mut Conn, customer: CustomerId, id: ContactPointId) -> Result<ContactPoint> {
    let row = contact_points::table.filter(contact_points::customer_id.eq(customer)).filter(contact_points::id.eq(id));
    Ok(row.select(ContactPoint::as_select()).first(&mut conn.db)?)
}

fn find_open(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, id: ContactPointId) -> Result<(CustomerRow, ContactPoint)> {
    let holder = scope::lock(tx, actor, Action::CustomerWrite, customer)?;
    let point = find(tx, customer, id)?;
    match point.valid_to {
        Some(to) if to <= tx.now.date() => {
            Err(Error::conflict("already_ended", "This contact point was ended; record another one."))
        }
        _ => Ok((holder, point)),
    }
}
