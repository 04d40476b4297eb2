//! Identity documents: numbers are sealed, found by a blind index, and shown masked.

use diesel::{AsChangeset, ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, FieldError, Id, Instant, Page, PageParams, Result, Tx,
    access::ActorKind,
    audit::{self, Access},
    bulk_insert,
    event::NewEvent,
    json::Json,
    patch,
    rotation::SealedColumn,
    schema::identities,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::{CustomerId, CustomerRow, index, rules::identity_number, scope};

/// Label under which numbers are sealed and indexed.
pub const NUMBER: &str = "identities.number";

/// The sealed columns of this crate, for key rotation.
pub const SEALED: &[SealedColumn] = &[SealedColumn { table: "identities", id: "id", column: "number_sealed", label: NUMBER }];

/// Identifier of an identity document.
pub type IdentityId = Id<Identity>;

text_enum! {
    /// What kind of document it is.
    pub enum IdentityType {
        /// Chinese resident identity card, residence permits 81 to 83 and permanent residence cards 9… included.
        ResidentId = "resident_id",
        /// Passport.
        Passport = "passport",
        /// Residence permit of another kind.
        ResidencePermit = "residence_permit",
        /// Unified social credit code of an organisation (GB 32100).
        UnifiedSocialCreditCode = "unified_social_credit_code",
        /// Tax number.
        TaxId = "tax_id",
        /// Legal entity identifier (ISO 17442).
        Lei = "lei",
        /// Driver's licence.
        DriverLicence = "driver_licence",
        /// Another document.
        Other = "other",
    }
}

text_enum! {
    /// Whether somebody has checked a document.
    pub enum VerificationState {
        /// Nobody has.
        Unverified = "unverified",
        /// It was checked and holds.
        Verified = "verified",
        /// It was checked and does not hold.
        Failed = "failed",
    }
}

/// The check of a document.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = identities, treat_none_as_default_value = false)]
pub struct Verification {
    /// Its result.
    #[diesel(column_name = verification)]
    pub state: VerificationState,
    /// When it was checked.
    #[diesel(column_name = verified_at)]
    pub at: Option<Instant>,
    /// Who checked it; null for customers.
    #[diesel(column_name = verified_by)]
    #[schema(max_length = 128)]
    pub by: Option<String>,
    /// How it was checked.
    #[diesel(column_name = verification_method)]
    #[schema(example = "chip read at the counter", max_length = 100)]
    pub method: Option<String>,
}

/// An identity document of a customer.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = identities, treat_none_as_default_value = false)]
pub struct Identity {
    /// Identifier of the document.
    pub id: IdentityId,
    /// The customer.
    pub customer_id: CustomerId,
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
    /// The number, masked; in full only by `reveal_identity`.
    #[diesel(column_name = number_masked)]
    #[schema(example = "3101**********1234", max_length = 32)]
    pub number: String,
    /// The number, encrypted.
    #[serde(skip)]
    pub number_sealed: Vec<u8>,
    /// Keyed hash of the normalised number.
    #[serde(skip)]
    pub number_index: Vec<u8>,
    /// The country that issued it, ISO 3166-1 alpha-2.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    pub issuing_country: Option<String>,
    /// When it was issued.
    pub issued_on: Option<Date>,
    /// The last day on which it is valid.
    pub expires_on: Option<Date>,
    /// Whether somebody has checked it.
    #[diesel(embed)]
    pub verification: Verification,
    /// What is doubtful about the number: `checksum` (credit codes of pilot years), `unknown_region`.
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 10)]
    pub warnings: Json<Vec<String>>,
    /// When it was ended; null while it counts.
    pub ended_at: Option<Instant>,
    /// Why it was ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// The result of a check that the caller has made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewVerification {
    /// The result.
    pub state: VerificationState,
    /// How it was checked.
    #[schema(example = "chip read at the counter", min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub method: Option<String>,
}

/// An identity document to be recorded.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewIdentity {
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
    /// The number, as people write it. Resident ids are refused when date or checksum are wrong;
    /// credit codes with a broken checksum are kept with a warning.
    #[schema(example = "11010519491231002X", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64), custom(function = "crate::rules::text"))]
    pub number: String,
    /// The country that issued it, ISO 3166-1 alpha-2.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[validate(custom(function = "crate::rules::country"))]
    pub issuing_country: Option<String>,
    /// When it was issued; not after it expires.
    pub issued_on: Option<Date>,
    /// The last day on which it is valid.
    pub expires_on: Option<Date>,
    /// The check that the caller has made; unverified unless given.
    #[validate(nested)]
    pub verification: Option<NewVerification>,
}

/// Changes to an identity document. Its number stays; another number is another document.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = identities)]
pub struct IdentityPatch {
    /// The country that issued it, ISO 3166-1 alpha-2.
    #[schema(value_type = Option<String>, min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(custom(function = "crate::rules::country"))]
    pub issuing_country: Option<Option<String>>,
    /// When it was issued.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub issued_on: Option<Option<Date>>,
    /// The last day on which it is valid.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub expires_on: Option<Option<Date>>,
    /// A check that the caller has made now.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(nested)]
    #[diesel(skip_update)]
    pub verification: Option<NewVerification>,
}

/// Why something is ended.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct IdentityEnd {
    /// Why; kept with the record.
    #[schema(example = "card lost", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// Why a number is shown in full.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct IdentityReveal {
    /// The purpose; recorded in the access log.
    #[schema(example = "account opening at the counter", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub purpose: String,
}

/// A number in full.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RevealedIdentity {
    /// Identifier of the document.
    pub id: IdentityId,
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
    /// The number in full.
    #[schema(example = "11010519491231002X", max_length = 64)]
    pub number: String,
}

impl NewIdentity {
    /// Checks the document and makes its record for a customer.
    ///
    /// # Errors
    /// [`Error::Invalid`] with pointers into the document.
    pub fn into_row(self, conn: &Conn, customer_id: CustomerId, verified_by: &str) -> Result<Identity> {
        let mut faults = Vec::new();
        if self.issued_on.zip(self.expires_on).is_some_and(|(from, to)| from > to) {
            faults.push(FieldError::new("/expires_on", "before_issue", "A document cannot expire before it was issued."));
        }
        if self.issued_on.is_some_and(|date| date > conn.now.date()) {
            faults.push(FieldError::new("/issued_on", "in_future", "A document cannot have been issued in the future."));
        }
        let checked = match identity_number::check(self.identity_type, &self.number, conn.now.date()) {
            Ok(checked) if faults.is_empty() => checked,
            Ok(_) => return Err(Error::Invalid(faults)),
            Err(fault) => {
                faults.push(fault);
                return Err(Error::Invalid(faults));
            }
        };
        let id = IdentityId::new();
        Ok(Identity {
            id,
            customer_id,
            identity_type: self.identity_type,
            number: identity_number::mask(&checked.written),
            number_sealed: conn.keys.seal(NUMBER, id, &checked.written)?,
            number_index: conn.keys.blind_index(NUMBER, &checked.normalised),
            issuing_country: self.issuing_country,
            issued_on: self.issued_on,
            expires_on: self.expires_on,
            verification: Verification::made(self.verification, verified_by, conn.now),
            warnings: Json(checked.warnings),
            ended_at: None,
            end_reason: None,
            created_at: conn.now,
            updated_at: conn.now,
            version: 1,
        })
    }
}

impl Verification {
    fn made(check: Option<NewVerification>, by: &str, at: Instant) -> Self {
        let made = check.filter(|check| check.state != VerificationState::Unverified);
        Self {
            state: made.as_ref().map_or(VerificationState::Unverified, |check| check.state),
            at: made.is_some().then_some(at),
            by: made.is_some().then(|| by.to_owned()),
            method: made.and_then(|check| check.method),
        }
    }
}

/// Identity documents of a customer, ended ones included, oldest first; numbers masked.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, customer: CustomerId, params: &PageParams) -> Result<Page<Identity>> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<IdentityId>(&conn.keys, &format!("identities/{customer}"))?;
    let of = identities::table.filter(identities::customer_id.eq(customer));
    let total = if window.include_total { Some(of.count().get_result(&mut conn.db)?) } else { None };
    let mut query = of.order(identities::id).limit(window.fetch()).select(Identity::as_select()).into_boxed();
    if let Some(after) = window.after {
        query = query.filter(identities::id.gt(after));
    }
    let rows = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Identity| row.id)?;
    let itself = actor.kind == ActorKind::Customer;
    Ok(page.map(|identity| if itself { identity.for_customer() } else { identity }))
}

/// One identity document of a customer; its number masked.
///
/// # Errors
/// [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: IdentityId) -> Result<Identity> {
    scope::require(conn, actor, Action::CustomerRead, customer)?;
    let identity = find(conn, customer, id)?;
    Ok(if actor.kind == ActorKind::Customer { identity.for_customer() } else { identity })
}

impl Identity {
    /// As customers are shown it: not by whom of the bank it was checked.
    pub(crate) fn for_customer(self) -> Self {
        Self { verification: Verification { by: None, ..self.verification }, ..self }
    }
}

/// Records a document.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `identity_exists` when the customer has it already.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewIdentity) -> Result<Identity> {
    let holder = scope::lock(tx, actor, Action::CustomerWrite, customer)?;
    let row = new.into_row(tx, customer, &actor.subject)?;
    let same: i64 = identities::table
        .filter(identities::customer_id.eq(customer))
        .filter(identities::number_index.eq(&row.number_index))
        .filter(identities::identity_type.eq(row.identity_type))
        .filter(identities::ended_at.is_null())
        .count()
        .get_result(&mut tx.db)?;
    if same > 0 {
        return Err(Error::conflict("identity_exists", "The customer has this document already."));
    }
    diesel::insert_into(identities::table).values(&row).execute(&mut tx.db)?;
    index::refresh_records(tx, holder)?;
    let data = json!({ "type": row.identity_type, "verification": row.verification.state });
    tx.emit(actor, NewEvent::new("identity.created", row.id, data).of_customer(customer));
    Ok(row)
}

/// Changes a document that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: IdentityId,
    version: i64,
    change: IdentityPatch,
) -> Result<Identity> {
    let (holder, before) = find_open(tx, actor, customer, id)?;
    let issued = change.issued_on.unwrap_or(before.issued_on);
    let expires = change.expires_on.unwrap_or(before.expires_on);
    if issued.zip(expires).is_some_and(|(from, to)| from > to) {
        return Err(Error::invalid("/expires_on", "before_issue", "A document cannot expire before it was issued."));
    }
    let made = match change.verification.clone() {
        Some(check) => Verification::made(Some(check), &actor.subject, tx.now),
        None => before.verification,
    };
    let updated = diesel::update(
        identities::table.find(id).filter(identities::customer_id.eq(customer)).filter(identities::version.eq(version)),
    )
    .set((
        change,
        identities::verification.eq(made.state),
        identities::verified_at.eq(made.at),
        identities::verified_by.eq(made.by),
        identities::verification_method.eq(made.method),
        identities::updated_at.eq(tx.now),
        identities::version.eq(version + 1),
    ))
    .execute(&mut tx.db)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    index::refresh_records(tx, holder)?;
    let data = json!({ "verification": made.state });
    tx.emit(actor, NewEvent::new("identity.updated", id, data).of_customer(customer));
    find(tx, customer, id)
}

/// Ends a document: it stays on record, but no longer counts.
///
/// # Errors
/// As [`update`].
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: IdentityId,
    version: i64,
    end: IdentityEnd,
) -> Result<Identity> {
    let (holder, before) = find_open(tx, actor, customer, id)?;
    let updated = diesel::update(
        identities::table.find(id).filter(identities::customer_id.eq(customer)).filter(identities::version.eq(version)),
    )
    .set((
        identities::ended_at.eq(tx.now),
        identities::end_reason.eq(end.reason),
        identities::updated_at.eq(tx.now),
        identities::version.eq(version + 1),
    ))
    .execute(&mut tx.db)?;
    if updated == 0 {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    index::refresh_records(tx, holder)?;
    tx.emit(actor, NewEvent::new("identity.ended", id, json!({})).of_customer(customer));
    find(tx, customer, id)
}

/// Shows a number in full. The reader, the purpose and the moment are recorded with it.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.reveal`; [`Error::NotFound`].
pub fn reveal(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: IdentityId,
    reveal: IdentityReveal,
) -> Result<RevealedIdentity> {
    scope::require(tx, actor, Action::CustomerReveal, customer)?;
    let identity = find(tx, customer, id)?;
    let access = Access {
        customer_id: Some(customer.cast()),
        resource: "identity",
        resource_id: id.cast(),
        action: Action::CustomerReveal.as_str(),
        fields: &["number"],
    };
    audit::record(tx, &Actor { purpose: Some(reveal.purpose), ..actor.clone() }, access)?;
    let number = tx.keys.open(NUMBER, id, &identity.number_sealed)?;
    Ok(RevealedIdentity { id, identity_type: identity.identity_type, number })
}

/// Records those documents that the customer does not have yet; returns how many.
pub(crate) fn add_unknown(tx: &mut Tx<'_>, customer: CustomerId, new: Vec<NewIdentity>, verified_by: &str) -> Result<usize> {
    if new.is_empty() {
        return Ok(0);
    }
    let known: Vec<(IdentityType, Vec<u8>)> = identities::table
        .filter(identities::customer_id.eq(customer))
        .select((identities::identity_type, identities::number_index))
        .load(&mut tx.db)?;
    let mut rows: Vec<Identity> = Vec::new();
    for (place, identity) in new.into_iter().enumerate() {
        let row = identity.into_row(tx, customer, verified_by).map_err(|error| error.within(&format!("/identities/{place}")))?;
        let same = |(kind, index): (IdentityType, &Vec<u8>)| kind == row.identity_type && *index == row.number_index;
        if !known.iter().any(|(kind, index)| same((*kind, index)))
            && !rows.iter().any(|other| same((other.identity_type, &other.number_index)))
        {
            rows.push(row);
        }
    }
    bulk_insert!(tx, identities::table, rows)
}

fn find(conn: &mut Conn, customer: CustomerId, id: IdentityId) -> Result<Identity> {
    let row = identities::table.filter(identities::customer_id.eq(customer)).filter(identities::id.eq(id));
    Ok(row.select(Identity::as_select()).first(&mut conn.db)?)
}

fn find_open(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, id: IdentityId) -> Result<(CustomerRow, Identity)> {
    let holder = scope::lock(tx, actor, Action::CustomerWrite, customer)?;
    let identity = find(tx, customer, id)?;
    match identity.ended_at {
        None => Ok((holder, identity)),
        Some(_) => Err(Error::conflict("already_ended", "This document was ended; record another one.")),
    }
}
