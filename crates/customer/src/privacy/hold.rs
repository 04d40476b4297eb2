//! Legal holds: why the data of a customer may not be erased for now.

use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Error, Id, Instant, Page, PageParams, Result, Tx, event::NewEvent, schema::legal_holds};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{CustomerId, scope};

/// Identifier of a legal hold.
pub type LegalHoldId = Id<LegalHold>;

/// A legal hold: while it stands, nothing of the customer is erased.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = legal_holds, treat_none_as_default_value = false)]
pub struct LegalHold {
    /// Identifier of the hold.
    pub id: LegalHoldId,
    /// The customer.
    pub customer_id: CustomerId,
    /// Why the data is to be kept.
    #[schema(example = "civil proceedings", max_length = 500)]
    pub reason: String,
    /// The file or order that asks for it.
    #[schema(example = "(2026) Hu 01 Civil 1234", max_length = 100)]
    pub reference: Option<String>,
    /// Who placed it.
    #[schema(max_length = 128)]
    pub placed_by: String,
    /// When it was placed.
    pub placed_at: Instant,
    /// Who released it.
    #[schema(max_length = 128)]
    pub released_by: Option<String>,
    /// When it was released; null while it stands.
    pub released_at: Option<Instant>,
    /// Why it was released.
    #[schema(max_length = 500)]
    pub release_reason: Option<String>,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// A legal hold to be placed.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewLegalHold {
    /// Why the data is to be kept.
    #[schema(example = "civil proceedings", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
    /// The file or order that asks for it.
    #[schema(example = "(2026) Hu 01 Civil 1234", min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub reference: Option<String>,
}

/// Why a legal hold is released.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LegalHoldRelease {
    /// Why; kept with the record.
    #[schema(example = "proceedings closed", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// Filters of the legal holds of a customer.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct LegalHoldFilter {
    /// Only those that stand (true), or only released ones (false).
    #[param(example = true)]
    pub standing: Option<bool>,
}

/// Legal holds of a customer, the newest first.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`; [`Error::Invalid`] for a bad page request.
pub fn holds(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: LegalHoldFilter,
    params: &PageParams,
) -> Result<Page<LegalHold>> {
    scope::require_inside(conn, actor, Action::PrivacyManage, customer)?;
    let window = params.window::<LegalHoldId>(&conn.keys, &format!("legal-holds/{customer}?{filter:?}"))?;
    // Those of absorbed records stand for the customer, too.
    let records = scope::lineage(conn, customer)?;
    let matching = || {
        let query = legal_holds::table.filter(legal_holds::customer_id.eq_any(records.clone())).into_boxed();
        match filter.standing {
            Some(true) => query.filter(legal_holds::released_at.is_null()),
            Some(false) => query.filter(legal_holds::released_at.is_not_null()),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(legal_holds::id.desc()).limit(window.fetch()).select(LegalHold::as_select());
    if let Some(before) = window.after {
        query = query.filter(legal_holds::id.lt(before));
    }
    let rows = query.load(&mut conn.db)?;
    window.page(&conn.keys, rows, total, |hold: &LegalHold| hold.id)
}

/// One legal hold of a customer.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`.
pub fn hold(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: LegalHoldId) -> Result<LegalHold> {
    scope::require_inside(conn, actor, Action::PrivacyManage, customer)?;
    let records = scope::lineage(conn, customer)?;
    let of = legal_holds::table.filter(legal_holds::id.eq(id)).filter(legal_holds::customer_id.eq_any(records));
    Ok(of.select(LegalHold::as_select()).first(&mut conn.db)?)
}

/// Places a legal hold.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `privacy.manage`.
pub fn place(tx: &mut Tx<'_>, actor: &Actor, customer: CustomerId, new: NewLegalHold) -> Result<LegalHold> {
    scope::require_inside(tx, actor, Action::PrivacyManage, customer)?;
    scope::lock(tx, actor, Action::PrivacyManage, customer)?;
    let hold = LegalHold {
        id: LegalHoldId::new(),
        customer_id: customer,
        reason: new.reason,
        reference: new.reference,
        placed_by: actor.subject.clone(),
        placed_at: tx.now,
        released_by: None,
        released_at: None,
        release_reason: None,
        version: 1,
    };
    diesel::insert_into(legal_holds::table).values(&hold).execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("legal_hold.placed", hold.id, json!({})).of_customer(customer));
    Ok(hold)
}

/// Releases a legal hold: it stays on record.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_released`.
pub fn release(
    tx: &mut Tx<'_>,
    actor: &Actor,
    customer: CustomerId,
    id: LegalHoldId,
    version: i64,
    release: &LegalHoldRelease,
) -> Result<LegalHold> {
    scope::require_inside(tx, actor, Action::PrivacyManage, customer)?;
    scope::lock(tx, actor, Action::PrivacyManage, customer)?;
    let records = scope::lineage(tx, customer)?;
    let find = legal_holds::table.filter(legal_holds::id.eq(id)).filter(legal_holds::customer_id.eq_any(records));
    let before: LegalHold = find.select(LegalHold::as_select()).first(&mut tx.db)?;
    if before.released_at.is_some() {
        return Err(Error::conflict("already_released", "This hold was released; place another one."));
    }
    if before.version != version {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    diesel::update(legal_holds::table.find(id).filter(legal_holds::customer_id.eq(before.customer_id)))
        .set((
            legal_holds::released_by.eq(&actor.subject),
            legal_holds::released_at.eq(tx.now),
            legal_holds::release_reason.eq(&release.reason),
            legal_holds::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("legal_hold.released", id, json!({})).of_customer(before.customer_id));
    Ok(legal_holds::table
        .find(id)
        .filter(legal_holds::customer_id.eq(before.customer_id))
        .select(LegalHold::as_select())
        .first(&mut tx.db)?)
}
