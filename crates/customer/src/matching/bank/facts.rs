//! What is compared of a customer: of one in the database, of one that is about to be, or of what a caller knows.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Conn, Date, Error, Result,
    schema::{contact_points, customers, identities, organisation_profiles, personal_profiles, source_records},
    store::among,
    text_enum,
};
use serde::Serialize;

use crate::{
    CustomerId, CustomerKind,
    contact_point::{ContactPoint, ContactPointKind},
    create::Draft,
    facts::{self, Known},
    identity::{IdentityId, IdentityType, NUMBER, VerificationState},
    profile::Gender,
};

text_enum! {
    /// What is compared with each other: people with people, organisations with organisations.
    pub enum MatchSubject {
        /// Personal customers.
        Person = "person",
        /// Corporate and government customers.
        Organisation = "organisation",
    }
}

impl MatchSubject {
    /// The subject of a kind of customer.
    #[must_use]
    pub fn of(kind: CustomerKind) -> Self {
        if kind == CustomerKind::Personal { Self::Person } else { Self::Organisation }
    }

    /// The kinds of customers of this subject.
    #[must_use]
    pub const fn kinds(self) -> &'static [CustomerKind] {
        match self {
            Self::Person => &[CustomerKind::Personal],
            Self::Organisation => &[CustomerKind::Corporate, CustomerKind::Government],
        }
    }
}

/// An address in its parts, as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Address {
    /// Street, house and door; the whole line where the parts are unknown.
    pub street: Option<String>,
    pub district: Option<String>,
    pub city: Option<String>,
    pub province: Option<String>,
    pub postcode: Option<String>,
}

/// The number of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Number {
    pub kind: IdentityType,
    pub number: String,
    pub verified: bool,
}

/// What is compared of a customer. Every list is sorted, so that equal facts are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Facts {
    pub subject: MatchSubject,
    /// Full or legal name, and the short one; none where a source had none and its id stands in.
    pub names: Vec<String>,
    pub gender: Option<Gender>,
    pub nationality: Option<String>,
    /// Birth or foundation.
    pub began_on: Option<Date>,
    pub phones: Vec<String>,
    pub emails: Vec<String>,
    pub addresses: Vec<Address>,
    pub numbers: Vec<Number>,
}

impl Facts {
    /// Nothing known.
    pub fn nothing(subject: MatchSubject) -> Self {
        Self {
            subject,
            names: Vec::new(),
            gender: None,
            nationality: None,
            began_on: None,
            phones: Vec::new(),
            emails: Vec::new(),
            addresses: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// The facts of a customer that is about to be written.
    pub fn of_draft(conn: &Conn, draft: &Draft) -> Result<Self> {
        let facts = Self::of(conn, &draft.facts())?;
        Ok(if draft.nameless { Self { names: Vec::new(), ..facts } } else { facts })
    }

    fn of(conn: &Conn, known: &facts::Facts<'_>) -> Result<Self> {
        let mut facts = Self::nothing(MatchSubject::of(known.customer.kind));
        if let Some(person) = known.personal {
            facts.names.push(person.full_name.clone());
            (facts.gender, facts.began_on) = (person.gender, person.birth_date);
            facts.nationality.clone_from(&person.nationality);
        }
        if let Some(firm) = known.organisation {
            facts.names.push(firm.legal_name.clone());
            facts.names.extend(firm.short_name.clone());
            facts.began_on = firm.founded_on;
            facts.register_codes(firm.unified_social_credit_code.clone(), firm.lei.clone());
        }
        for identity in known.identities {
            let number = conn.keys.open(NUMBER, identity.id, &identity.number_sealed)?;
            let verified = identity.verification.state == VerificationState::Verified;
            facts.numbers.push(Number { kind: identity.identity_type, number, verified });
        }
        for point in known.contact_points.iter().filter(|point| point.valid_to.is_none()) {
            facts.reach(Reached::of(point));
        }
        Ok(facts.sorted())
    }

    /// The codes of registers that stand in an organisation's profile.
    fn register_codes(&mut self, credit_code: Option<String>, lei: Option<String>) {
        let codes = [(IdentityType::UnifiedSocialCreditCode, credit_code), (IdentityType::Lei, lei)];
        let number = |(kind, code): (IdentityType, Option<String>)| Some(Number { kind, number: code?, verified: false });
        self.numbers.extend(codes.into_iter().filter_map(number));
    }

    fn reach(&mut self, point: Reached) {
        match point.kind {
            ContactPointKind::Phone => self.phones.push(point.normalised),
            ContactPointKind::Email => self.emails.push(point.normalised),
            ContactPointKind::PostalAddress => self.addresses.push(point.address),
            ContactPointKind::Wechat | ContactPointKind::Fax | ContactPointKind::Other => {}
        }
    }

    /// The same facts in their one order.
    pub fn sorted(mut self) -> Self {
        self.names.sort_unstable();
        self.names.dedup();
        self.phones.sort_unstable();
        self.phones.dedup();
        self.emails.sort_unstable();
        self.emails.dedup();
        self.addresses.sort_unstable();
        self.addresses.dedup();
        // Verified ones first among equal numbers, and only they stay.
        self.numbers.sort_unstable_by(|a, b| (a.kind, &a.number, b.verified).cmp(&(b.kind, &b.number, a.verified)));
        self.numbers.dedup_by(|next, kept| next.kind == kept.kind && next.number == kept.number);
        self
    }

    /// Whether anything is known that tells a customer from thousands of others.
    pub fn tells_who(&self) -> bool {
        !(self.names.is_empty() && self.numbers.is_empty() && self.phones.is_empty() && self.emails.is_empty())
    }

    /// Type and number of each verified document.
    pub fn verified(&self) -> impl Iterator<Item = (IdentityType, &str)> {
        self.numbers.iter().filter(|number| number.verified).map(|number| (number.kind, number.number.as_str()))
    }

    /// A verified document that both have.
    pub fn shares_document(&self, other: &Self) -> bool {
        self.verified().any(|mine| other.verified().any(|theirs| mine == theirs))
    }
}

/// Keyed hash of what is compared of a customer.
pub(crate) fn digest(conn: &Conn, facts: &Facts) -> Result<Vec<u8>> {
    let text = serde_json::to_string(facts).map_err(Error::internal)?;
    Ok(conn.keys.blind_index("match_candidates.facts", &text))
}

/// Tells whether anything that was compared of a pair has changed; of two digests, the older customer's first.
pub(crate) fn pair_hash(left: &[u8], right: &[u8]) -> Vec<u8> {
    [left.get(..16).unwrap_or(left), right.get(..16).unwrap_or(right)].concat()
}

/// A contact point in short.
struct Reached {
    kind: ContactPointKind,
    normalised: String,
    address: Address,
}

impl Reached {
    fn of(point: &ContactPoint) -> Self {
        let street = point.street.clone().or_else(|| Some(point.value.clone()));
        Self {
            kind: point.kind,
            normalised: point.normalised.clone(),
            address: Address {
                street,
                district: point.district.clone(),
                city: point.city.clone(),
                province: point.province.clone(),
                postcode: point.postcode.clone(),
            },
        }
    }
}

/// The facts of those of the customers that are not absorbed, of what was read of them.
pub(crate) fn of_known(conn: &mut Conn, known: &Known) -> Result<HashMap<CustomerId, Facts>> {
    let living = known.all().filter(|known| known.customer.merged_into.is_none() && known.customer.erased_at.is_none());
    let mut facts: HashMap<CustomerId, Facts> =
        living.map(|known| Ok((known.customer.id, Facts::of(conn, &known)?))).collect::<Result<_>>()?;
    without_stand_ins(conn, &mut facts)?;
    Ok(facts)
}

/// The facts of those of the customers that are there and not absorbed.
pub(crate) fn load(conn: &mut Conn, ids: &[CustomerId]) -> Result<HashMap<CustomerId, Facts>> {
    let mut all = HashMap::with_capacity(ids.len());
    // A statement takes a limited number of parameters.
    for some in ids.chunks(2_000) {
        load_some(conn, some, &mut all)?;
    }
    Ok(all)
}

fn load_some(conn: &mut Conn, ids: &[CustomerId], all: &mut HashMap<CustomerId, Facts>) -> Result<()> {
    let ids = ids.to_vec();
    let mut facts = profiles(conn, &ids)?;
    without_stand_ins(conn, &mut facts)?;
    type Sealed = (CustomerId, IdentityId, IdentityType, Vec<u8>, VerificationState);
    let documents: Vec<Sealed> = identities::table
        .filter(among(identities::customer_id, ids.clone()))
        .filter(identities::ended_at.is_null())
        .select((
            identities::customer_id,
            identities::id,
            identities::identity_type,
            identities::number_sealed,
            identities::verification,
        ))
        .load(&mut conn.db)?;
    for (customer, id, kind, sealed, state) in documents {
        if let Some(facts) = facts.get_mut(&customer) {
            let number = conn.keys.open(NUMBER, id, &sealed)?;
            facts.numbers.push(Number { kind, number, verified: state == VerificationState::Verified });
        }
    }
    contacts(conn, &ids, &mut facts)?;
    all.extend(facts.into_iter().map(|(id, facts)| (id, facts.sorted())));
    Ok(())
}

/// Of one table after the other: PostgreSQL, as long as it has no statistics, joins them by reading all profiles for each
/// customer.
fn profiles(conn: &mut Conn, ids: &[CustomerId]) -> Result<HashMap<CustomerId, Facts>> {
    let living: Vec<CustomerId> = customers::table
        .filter(among(customers::id, ids.to_vec()))
        .filter(customers::merged_into.is_null())
        .filter(customers::erased_at.is_null())
        .select(customers::id)
        .load(&mut conn.db)?;
    type Person = (CustomerId, String, Option<Gender>, Option<Date>, Option<String>);
    let people: Vec<Person> = personal_profiles::table
        .filter(among(personal_profiles::customer_id, living.clone()))
        .select((
            personal_profiles::customer_id,
            personal_profiles::full_name,
            personal_profiles::gender,
            personal_profiles::birth_date,
            personal_profiles::nationality,
        ))
        .load(&mut conn.db)?;
    let person = |(id, name, gender, began_on, nationality): Person| {
        let nothing = Facts::nothing(MatchSubject::Person);
        (id, Facts { names: vec![name], gender, began_on, nationality, ..nothing })
    };
    let mut facts: HashMap<CustomerId, Facts> = people.into_iter().map(person).collect();
    if facts.len() == living.len() {
        return Ok(facts);
    }
    type Firm = (CustomerId, String, Option<String>, Option<Date>, Option<String>, Option<String>);
    let firms: Vec<Firm> = organisation_profiles::table
        .filter(among(organisation_profiles::customer_id, living.clone()))
        .select((
            organisation_profiles::customer_id,
            organisation_profiles::legal_name,
            organisation_profiles::short_name,
            organisation_profiles::founded_on,
            organisation_profiles::unified_social_credit_code,
            organisation_profiles::lei,
        ))
        .load(&mut conn.db)?;
    for (id, name, short_name, began_on, credit_code, lei) in firms {
        let nothing = Facts::nothing(MatchSubject::Organisation);
        let names = std::iter::once(name).chain(short_name).collect();
        let mut firm = Facts { names, began_on, ..nothing };
        firm.register_codes(credit_code, lei);
        facts.insert(id, firm);
    }
    Ok(facts)
}

/// Takes out names that are a source's code and id, because the source had no name: they say nothing.
fn without_stand_ins(conn: &mut Conn, facts: &mut HashMap<CustomerId, Facts>) -> Result<()> {
    let doubtful = |facts: &Facts| facts.names.iter().any(|name| name.split_once(' ').is_some_and(|(word, _)| is_code(word)));
    let ids: Vec<CustomerId> = facts.iter().filter(|(_, facts)| doubtful(facts)).map(|(id, _)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let told: Vec<(CustomerId, String, String)> = source_records::table
        .filter(among(source_records::customer_id, ids.to_vec()))
        .select((source_records::customer_id, source_records::source_system, source_records::source_id))
        .load(&mut conn.db)?;
    for (customer, system, id) in told {
        if let Some(facts) = facts.get_mut(&customer) {
            let stands_in = stand_in(&system, &id);
            facts.names.retain(|name| *name != stands_in);
        }
    }
    Ok(())
}

/// What stands in for the name of a customer whose source has none.
pub(crate) fn stand_in(system: &str, id: &str) -> String {
    format!("{system} {id}")
}

/// Whether a word may be the code of a source system.
fn is_code(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn contacts(conn: &mut Conn, ids: &[CustomerId], facts: &mut HashMap<CustomerId, Facts>) -> Result<()> {
    // Other kinds are few: to ask for these alone would have SQLite read all of the bank's by kind.
    let points: Vec<_> = contact_points::table
        .filter(among(contact_points::customer_id, ids.to_vec()))
        .filter(contact_points::valid_to.is_null())
        .select((
            contact_points::customer_id,
            contact_points::kind,
            contact_points::value,
            contact_points::normalised,
            (
                contact_points::street,
                contact_points::district,
                contact_points::city,
                contact_points::province,
                contact_points::postcode,
            ),
        ))
        .load::<(CustomerId, ContactPointKind, String, String, Parts)>(&mut conn.db)?;
    for (customer, kind, value, normalised, (street, district, city, province, postcode)) in points {
        if let Some(facts) = facts.get_mut(&customer) {
            let address = Address { street: street.or(Some(value)), district, city, province, postcode };
            facts.reach(Reached { kind, normalised, address });
        }
    }
    Ok(())
}

type Parts = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);
