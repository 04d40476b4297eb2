//! All that a customer is known by: read for many customers at once, in as many queries as for one.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Conn, Result,
    schema::{contact_points, customers, identities, organisation_profiles, personal_profiles},
    store::among,
};

use crate::{
    CustomerId, CustomerKind, CustomerRow,
    contact_point::ContactPoint,
    identity::Identity,
    profile::{OrganisationProfile, PersonalProfile},
};

/// What is known of one customer.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The customer.
    pub customer: &'a CustomerRow,
    /// The profile of a person.
    pub personal: Option<&'a PersonalProfile>,
    /// The profile of an organisation.
    pub organisation: Option<&'a OrganisationProfile>,
    /// Identities that count: those that were not ended.
    pub identities: &'a [Identity],
    /// Contact points that count: those without an end.
    pub contact_points: &'a [ContactPoint],
}

/// What is known of several customers.
#[derive(Debug, Default)]
pub struct Known {
    customers: Vec<CustomerRow>,
    personal: HashMap<CustomerId, PersonalProfile>,
    organisations: HashMap<CustomerId, OrganisationProfile>,
    identities: HashMap<CustomerId, Vec<Identity>>,
    contact_points: HashMap<CustomerId, Vec<ContactPoint>>,
}

impl Known {
    /// Reads what is known of these customers, absorbed ones included. The caller bounds how many they are and
    /// has made sure that they may be read.
    ///
    /// # Errors
    /// The database's.
    pub fn load(conn: &mut Conn, ids: &[CustomerId]) -> Result<Self> {
        if ids.is_empty() {
            return Ok(Self::default());
        }
        let customers: Vec<CustomerRow> = customers::table
            .filter(among(customers::id, ids.to_vec()))
            .order(customers::id)
            .select(CustomerRow::as_select())
            .load(&mut conn.db)?;
        Self::around(conn, customers)
    }

    /// What is known beside the rows of customers that were just read.
    ///
    /// # Errors
    /// The database's.
    pub(crate) fn around(conn: &mut Conn, customers: Vec<CustomerRow>) -> Result<Self> {
        let ids: Vec<CustomerId> = customers.iter().map(|customer| customer.id).collect();
        let of = |person: bool| -> Vec<CustomerId> {
            let some = customers.iter().filter(|customer| (customer.kind == CustomerKind::Personal) == person);
            some.map(|customer| customer.id).collect()
        };
        let (people, others) = (of(true), of(false));
        let mut personal: Vec<PersonalProfile> = Vec::new();
        if !people.is_empty() {
            let profiles = personal_profiles::table.filter(among(personal_profiles::customer_id, people));
            personal = profiles.select(PersonalProfile::as_select()).load(&mut conn.db)?;
        }
        let mut organisations: Vec<OrganisationProfile> = Vec::new();
        if !others.is_empty() {
            let profiles = organisation_profiles::table.filter(among(organisation_profiles::customer_id, others));
            organisations = profiles.select(OrganisationProfile::as_select()).load(&mut conn.db)?;
        }
        let documents: Vec<Identity> = identities::table
            .filter(among(identities::customer_id, ids.clone()))
            .filter(identities::ended_at.is_null())
            .order(identities::id)
            .select(Identity::as_select())
            .load(&mut conn.db)?;
        let points: Vec<ContactPoint> = contact_points::table
            .filter(among(contact_points::customer_id, ids))
            .filter(contact_points::valid_to.is_null())
            .order(contact_points::id)
            .select(ContactPoint::as_select())
            .load(&mut conn.db)?;
        Ok(Self {
            customers,
            personal: personal.into_iter().map(|profile| (profile.customer_id, profile)).collect(),
            organisations: organisations.into_iter().map(|profile| (profile.customer_id, profile)).collect(),
            identities: grouped(documents, |identity| identity.customer_id),
            contact_points: grouped(points, |point| point.customer_id),
        })
    }

    /// Takes a contact point into account that is about to be written.
    pub(crate) fn gain(&mut self, point: &ContactPoint) {
        if point.valid_to.is_none() {
            self.contact_points.entry(point.customer_id).or_default().push(point.clone());
        }
    }

    /// The customers that exist, in the order of their ids.
    pub fn all(&self) -> impl Iterator<Item = Facts<'_>> {
        self.customers.iter().map(|customer| Facts {
            customer,
            personal: self.personal.get(&customer.id),
            organisation: self.organisations.get(&customer.id),
            identities: self.identities.get(&customer.id).map_or(&[], Vec::as_slice),
            contact_points: self.contact_points.get(&customer.id).map_or(&[], Vec::as_slice),
        })
    }
}

fn grouped<T>(rows: Vec<T>, of: impl Fn(&T) -> CustomerId) -> HashMap<CustomerId, Vec<T>> {
    let mut groups: HashMap<CustomerId, Vec<T>> = HashMap::new();
    for row in rows {
        groups.entry(of(&row)).or_default().push(row);
    }
    groups
}
