//! The feed of identities, for sources that keep them apart from their customers.

use kehu_kernel::{
    Action, Actor, Error, Result, Tx, check,
    event::NewEvent,
    feed::{Outcome, Source},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::known;
use crate::{CustomerId, identity, identity::NewIdentity, index, scope};

/// An identity document as a source tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRecord {
    /// The customer's id in the source.
    pub customer_source_id: String,
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: identity::IdentityType,
    /// The number, as people write it.
    pub number: String,
    /// The country that issued it, ISO 3166-1 alpha-2.
    #[serde(default)]
    pub issuing_country: Option<String>,
    /// When it was issued.
    #[serde(default)]
    pub issued_on: Option<kehu_kernel::Date>,
    /// The last day on which it is valid.
    #[serde(default)]
    pub expires_on: Option<kehu_kernel::Date>,
    /// The check that the source has made; unverified unless given.
    #[serde(default)]
    pub verification: Option<identity::NewVerification>,
}

impl IdentityRecord {
    fn to_new(&self) -> NewIdentity {
        NewIdentity {
            identity_type: self.identity_type,
            number: self.number.clone(),
            issuing_country: self.issuing_country.clone(),
            issued_on: self.issued_on,
            expires_on: self.expires_on,
            verification: self.verification.clone(),
        }
    }
}

/// Takes a batch of identities: those that their customers do not have yet are recorded.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[IdentityRecord]) -> Result<Vec<Outcome>> {
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

fn one(tx: &mut Tx<'_>, actor: &Actor, source: &Source, customer: CustomerId, new: NewIdentity) -> Result<Outcome> {
    if let Err(errors) = new.validate() {
        return Ok(Outcome::Rejected(check::faults(&errors)));
    }
    if !scope::hold_living(tx, customer)? {
        return Ok(known::erased("/customer_source_id"));
    }
    match identity::add_unknown(tx, customer, vec![new], &source.code) {
        Ok(0) => Ok(Outcome::Unchanged(customer.cast())),
        Ok(_) => {
            index::refresh(tx, &[customer])?;
            let event = NewEvent::new("identity.created", customer, json!({ "source": source.code }));
            tx.emit(actor, event.of_customer(customer));
            Ok(Outcome::Created(customer.cast()))
        }
        Err(Error::Invalid(faults)) => Ok(Outcome::Rejected(faults)),
        Err(other) => Err(other),
    }
}
