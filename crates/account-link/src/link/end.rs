//! The end of links: one by one, by transfer to another customer, or all at once.

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::CustomerId;
use kehu_kernel::{Actor, Date, Error, FieldError, Result, Tx, schema::account_links};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    AccountLink, AccountLinkId, LinkRow, list,
    write::{admit, announce, insert, lock, see_customer},
};

/// The end of a link.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LinkEnd {
    /// The day from which it no longer holds; not before its first day. Today unless given.
    pub valid_to: Option<Date>,
    /// Why it ends.
    #[schema(example = "account given up", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// The transfer of a link to another customer.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct LinkTransfer {
    /// The customer who takes it over.
    pub customer_id: CustomerId,
    /// The day on which it passes over: the old link ends and the new one begins. Today unless given.
    pub on: Option<Date>,
    /// Why; kept with the old link.
    #[schema(example = "inheritance", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
    /// The document that proves it; kept with the new link.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub evidence: Option<String>,
}

/// Ends a link that still has the version the caller saw.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Invalid`]; [`Error::Conflict`] `account_link_ended`.
pub fn end(tx: &mut Tx<'_>, actor: &Actor, id: AccountLinkId, version: i64, end: &LinkEnd) -> Result<AccountLink> {
    let (_, row) = lock(tx, actor, id, version)?;
    close(tx, actor, row, end.valid_to, &end.reason, "/valid_to")?;
    list::find(tx, actor, id)
}

/// Passes a link to another customer: the old one ends on the day on which the new one begins. Answers
/// the new link.
///
/// # Errors
/// As [`end`]; [`Error::Conflict`] when the new link would break an invariant of ownership.
pub fn transfer(tx: &mut Tx<'_>, actor: &Actor, id: AccountLinkId, version: i64, to: &LinkTransfer) -> Result<AccountLink> {
    let (_, row) = lock(tx, actor, id, version)?;
    see_customer(tx, actor, to.customer_id)?;
    if row.customer_id == to.customer_id {
        return Err(Error::invalid("/customer_id", "same_customer", "The link belongs to this customer already."));
    }
    let planned_end = row.valid_to;
    let ended = close(tx, actor, row, to.on, &to.reason, "/on")?;
    let new = LinkRow {
        id: AccountLinkId::new(),
        customer_id: to.customer_id,
        valid_from: ended.valid_to.unwrap_or(ended.valid_from),
        valid_to: planned_end,
        evidence: to.evidence.clone(),
        closed_reason: None,
        source_system: None,
        source_id: None,
        content_hash: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
        ..ended
    };
    admit(tx, &new)?;
    insert(tx, actor, &new)?;
    list::find(tx, actor, new.id)
}

/// Ends all links of a customer that hold or are to hold after a day, in any role; on death or departure. A link that
/// was to begin later ends before it has begun.
///
/// # Errors
/// [`Error::PreconditionFailed`] when somebody else changes one of them; the database's.
pub fn end_with_customer(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId, on: Date, reason: &str) -> Result<()> {
    let ids = kehu_customer::scope::lineage(tx, id)?;
    let lasting = || account_links::valid_to.is_null().or(account_links::valid_to.assume_not_null().gt(on));
    let of = account_links::customer_id.eq_any(ids.clone());
    // Locked first, so that nobody ends or passes on what is ended here.
    diesel::update(account_links::table.filter(of).filter(lasting()))
        .set(account_links::version.eq(account_links::version))
        .execute(&mut tx.db)?;
    let rows: Vec<LinkRow> = account_links::table
        .filter(account_links::customer_id.eq_any(ids))
        .filter(lasting())
        .order(account_links::id)
        .select(LinkRow::as_select())
        .load(&mut tx.db)?;
    for row in rows {
        let day = on.max(row.valid_from);
        if row.valid_to.is_none_or(|to| to > day) {
            close(tx, actor, row, Some(day), reason, "/on")?;
        }
    }
    Ok(())
}

fn close(tx: &mut Tx<'_>, actor: &Actor, row: LinkRow, on: Option<Date>, reason: &str, pointer: &str) -> Result<LinkRow> {
    let on = on.unwrap_or_else(|| tx.now.date());
    if on < row.valid_from {
        let error = FieldError::new(pointer, "before_start", "A link cannot end before it begins.");
        return Err(Error::Invalid(vec![error]));
    }
    // An end that was set ahead may be moved forward, never back: what has ended stays ended.
    if row.valid_to.is_some_and(|to| to < on) {
        return Err(Error::conflict("account_link_ended", "The link has ended by then already."));
    }
    let ended = LinkRow { valid_to: Some(on), closed_reason: Some(reason.to_owned()), ..row };
    let of = account_links::table.find(ended.id).filter(account_links::customer_id.eq(ended.customer_id));
    // Only as it was read: the end of one writer is not written over by another.
    let written = diesel::update(of.filter(account_links::version.eq(ended.version)))
        .set((
            account_links::valid_to.eq(ended.valid_to),
            account_links::closed_reason.eq(&ended.closed_reason),
            account_links::updated_at.eq(tx.now),
            account_links::version.eq(ended.version + 1),
        ))
        .execute(&mut tx.db)?;
    if written == 0 {
        let current = account_links::table.find(ended.id).select(account_links::version).first(&mut tx.db)?;
        return Err(Error::PreconditionFailed { current });
    }
    announce(tx, actor, "account_link.ended", &ended);
    Ok(ended)
}
