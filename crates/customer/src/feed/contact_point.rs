//! The feed of contact points, for sources that keep them apart from their customers.

use std::collections::HashSet;

use diesel::{QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Action, Actor, Conn, Error, Result, Tx, bulk_copy, check,
    event::NewEvent,
    feed::{Outcome, Source},
    schema::contact_points,
    store::among,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use validator::Validate;

use super::known::{self, Kept, Taken};
use crate::{
    CustomerId,
    contact_point::{ContactPoint, ContactPointKind, NewContactPoint},
    index,
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

impl Kept for ContactPointRecord {
    type Key = (ContactPointKind, String);
    type Row = ContactPoint;

    fn customer(&self) -> &str {
        &self.customer_source_id
    }

    fn had(conn: &mut Conn, customers: Vec<CustomerId>) -> Result<HashSet<(CustomerId, Self::Key)>> {
        let rows: Vec<(CustomerId, ContactPointKind, String)> = contact_points::table
            .filter(among(contact_points::customer_id, customers))
            .select((contact_points::customer_id, contact_points::kind, contact_points::normalised))
            .load(&mut conn.db)?;
        Ok(rows.into_iter().map(|(customer, kind, value)| (customer, (kind, value))).collect())
    }

    fn row(&self, tx: &Tx<'_>, customer: CustomerId, _source: &Source) -> Result<(Self::Key, ContactPoint)> {
        let new = self.to_new();
        new.validate().map_err(|errors| Error::Invalid(check::faults(&errors)))?;
        let row = new.into_row(customer, tx.now)?;
        Ok(((row.kind, row.normalised.clone()), row))
    }
}

/// Takes a batch of contact points: those that their customers do not have yet are recorded.
///
/// # Errors
/// [`Error::Forbidden`] without `import.manage` everywhere.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[ContactPointRecord]) -> Result<Vec<Outcome>> {
    actor.allow_everywhere(Action::ImportManage)?;
    let Taken { outcomes, rows, changed } = known::take(tx, source, records)?;
    bulk_copy!(tx, contact_points::table, rows)?;
    index::refresh_records_of(tx, &changed.into_iter().collect::<Vec<_>>())?;
    for row in rows {
        let data = json!({ "kind": row.kind, "source": source.code });
        tx.emit(actor, NewEvent::new("contact_point.created", row.id, data).of_customer(row.customer_id));
    }
    Ok(outcomes)
}
