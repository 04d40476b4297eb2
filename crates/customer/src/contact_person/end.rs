//! The end of a contact person: who has died, retired or asked the bank to be left alone.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Date, Error, Result, Tx,
    event::NewEvent,
    schema::{contact_persons, employments},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    employment,
    person::{self, ContactPerson, ContactPersonId},
    relation, sight,
};
use crate::{CustomerId, scope};

/// How a contact person's record ends.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ContactPersonEnd {
    /// The first day on which the bank deals with the person no more; today unless given, and never later.
    pub ended_on: Option<Date>,
    /// Why; kept with the record.
    #[schema(example = "retired", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// Ends a contact person that still has the version the caller saw, and with it everywhere the person works and whom
/// the person knows. The record stays to be read and is changed no more.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.write`, and for customers; [`Error::NotFound`]; [`Error::PreconditionFailed`];
/// [`Error::Invalid`]; [`Error::Conflict`] `already_ended`.
pub fn end(tx: &mut Tx<'_>, actor: &Actor, id: ContactPersonId, version: i64, end: ContactPersonEnd) -> Result<ContactPerson> {
    sight::require(tx, actor, Action::CustomerWrite, id)?;
    let ended_on = end.ended_on.unwrap_or_else(|| tx.now.date());
    if ended_on > tx.now.date() {
        return Err(Error::invalid("/ended_on", "in_future", "The bank deals with the person until that day has come."));
    }
    // Customers are locked before contact persons, everywhere.
    let employers = employments::table.filter(employments::contact_person_id.eq(id)).select(employments::customer_id);
    let employers: Vec<CustomerId> = employers.load(&mut tx.db)?;
    scope::hold_all(tx, employers.into_iter())?;
    let before = sight::lock(tx, actor, Action::CustomerWrite, id)?;
    if before.version != version {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    employment::end_all(tx, actor, id, ended_on, &end.reason)?;
    relation::end_all(tx, actor, id, &end.reason)?;
    diesel::update(contact_persons::table.find(id))
        .set((
            contact_persons::ended_on.eq(ended_on),
            contact_persons::end_reason.eq(&end.reason),
            contact_persons::updated_at.eq(tx.now),
            contact_persons::version.eq(version + 1),
        ))
        .execute(&mut tx.db)?;
    let row = ContactPerson {
        ended_on: Some(ended_on),
        end_reason: Some(end.reason),
        updated_at: tx.now,
        version: version + 1,
        ..before
    };
    let event = NewEvent::new("contact_person.ended", id, json!({ "ended_on": ended_on }));
    tx.emit(actor, person::of_person(event, &row));
    person::disclosed(tx, actor, row)
}
