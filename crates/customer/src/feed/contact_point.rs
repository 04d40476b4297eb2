//! The feed of contact points, for sources that keep them apart from their customers.

use kehu_kernel::{
    Action, Actor, Error, Result, Tx, check,
    event::NewEvent,
    feed::{Outcome, Source},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::known;
use crate::{
    CustomerId, contact_point,
    contact_point::{ContactPointKind, NewContactPoint},
    index, scope,
};

/// A contact point as a source tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactPointRecord {
    /// The customer's id in the source.
    pub customer_source_id: String,
    /// Kind.
    pub kind: ContactPointKind,
    /// As people write it; needed unless the parts of a postal address are given.
    #[serde(default)]
    pub value: Option<String>,
    /// What it is to the customer.
    #[serde(default)]
    pub label: Option<String>,
    /// Whether others use it too.
    #[serde(default)]
    pub shared: bool,
    /// Whether it must not be used.
    #[serde(default)]
    pub do_not_contact: bool,
    /// Whether the source has checked it.
    #[serde(default)]
    pub verified: bool,
    /// The first day on which it holds.
    #[serde(default)]
    pub valid_from: Option<kehu_kernel::Date>,
    /// The first day on which it no longer holds.
    #[serde(default)]
    pub valid_to: Option<kehu_kernel::Date>,
    /// Country, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub country: Option<String>,
    /// Province of an address.
    #[serde(default)]
    pub province: Option<String>,
    /// City of an address.
    #[serde(default)]
    pub city: Option<String>,
    /// District of an address.
    #[serde(default)]
    pub district: Option<String>,
    /// Street, house and door of an address.
    #[serde(default)]
    pub street: Option<String>,
    /// Postcode of an address.
    #[serde(default)]
    pub postcode: Option<String>,
    /// Division of an address, a code of GB/T 2260.
    #[serde(default)]
    pub division_code: Option<String>,
}

impl ContactPointRecord {
    fn to_new(&self) -> NewContactPoint {
        NewContactPoint {
            kind: self.kind,
            value: self.value.clone(),
            label: self.label.clone(),
            preferred: false,
            shared: self.shared,
            do_not_contact: self.do_not_contact,
            verified: self.verified,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            country: self.country.clone(),
            province: self.province.clone(),
            city: self.city.clone(),
            district: self.district.clone(),
            street: self.street.clone(),
            postcode: self.postcode.clone(),
            division_code: self.division_code.clone(),
        }
    }
}

/// Takes a batch of contact points: those that their customers do not have yet are recorded.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[ContactPointRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let known = known::customers(tx, source, records.iter().map(|record| record.customer_source_id.as_str()))?;
    let mut outcomes = Vec::with_capacity(records.len());
    for record in records {
        outcomes.push(match known.find(source, &record.customer_source_id, "/customer_source_id") {
            Err(outcome) => outcome,
            Ok(customer) => one(tx, actor, source, customer, record.to_new())?,
        });
    }
    Ok(outcomes)
}

fn one(tx: &mut Tx<'_>, actor: &Actor, source: &Source, customer: CustomerId, new: NewContactPoint) -> Result<Outcome> {
    if let Err(errors) = new.validate() {
        return Ok(Outcome::Rejected(check::faults(&errors)));
    }
    if !scope::hold_living(tx, customer)? {
        return Ok(known::erased("/customer_source_id"));
    }
    let kind = new.kind;
    match contact_point::add_unknown(tx, customer, vec![new]) {
        Ok(0) => Ok(Outcome::Unchanged(customer.cast())),
        Ok(_) => {
            index::refresh(tx, &[customer])?;
            let event = NewEvent::new("contact_point.created", customer, json!({ "kind": kind, "source": source.code }));
            tx.emit(actor, event.of_customer(customer));
            Ok(Outcome::Created(customer.cast()))
        }
        Err(Error::Invalid(faults)) => Ok(Outcome::Rejected(faults)),
        Err(other) => Err(other),
    }
}
