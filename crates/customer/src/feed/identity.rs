//! The feed of identities, for sources that keep them apart from their customers.

use std::collections::HashSet;

use diesel::{QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Conn, Error, Result, Tx, bulk_insert, check,
    event::NewEvent,
    feed::{Outcome, Source},
    schema::identities,
    store::among,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::known::{self, Kept, Taken};
use crate::{
    CustomerId,
    identity::{self, Identity, IdentityType, NewIdentity},
    index,
};

/// An identity document as a source tells of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRecord {
    /// The customer's id in the source.
    pub customer_source_id: String,
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
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

impl Kept for IdentityRecord {
    type Key = (IdentityType, Vec<u8>);
    type Row = Identity;

    fn customer(&self) -> &str {
        &self.customer_source_id
    }

    fn had(conn: &mut Conn, customers: Vec<CustomerId>) -> Result<HashSet<(CustomerId, Self::Key)>> {
        let rows: Vec<(CustomerId, IdentityType, Vec<u8>)> = identities::table
            .filter(among(identities::customer_id, customers))
            .select((identities::customer_id, identities::identity_type, identities::number_index))
            .load(&mut conn.db)?;
        Ok(rows.into_iter().map(|(customer, kind, number)| (customer, (kind, number))).collect())
    }

    fn row(&self, tx: &Tx<'_>, customer: CustomerId, source: &Source) -> Result<(Self::Key, Identity)> {
        let new = self.to_new();
        new.validate().map_err(|errors| Error::Invalid(check::faults(&errors)))?;
        let row = new.into_row(tx, customer, &source.code)?;
        Ok(((row.identity_type, row.number_index.clone()), row))
    }
}

/// Takes a batch of identities: those that their customers do not have yet are recorded.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[IdentityRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let Taken { outcomes, rows, changed } = known::take(tx, source, records)?;
    bulk_insert!(tx, identities::table, rows)?;
    index::refresh_records_of(tx, &changed.into_iter().collect::<Vec<_>>())?;
    for row in rows {
        let event = NewEvent::new("identity.created", row.id, json!({ "source": source.code }));
        tx.emit(actor, event.of_customer(row.customer_id));
    }
    Ok(outcomes)
}
