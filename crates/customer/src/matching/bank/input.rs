//! What a caller knows of a customer that is to be found, and what is answered.

use kehu_kernel::{BasisPoints, Conn, Date, Error, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{
    band::{MatchBand, MatchReason},
    candidate::MatchedCustomer,
    facts::{Address, Facts, MatchSubject, Number},
};
use crate::{
    CustomerId, CustomerKind,
    contact_point::{ContactPointKind, normalise},
    identity::IdentityType,
    profile::Gender,
    rules::identity_number,
};

/// What is known of a customer. Everything is optional, but something must be known.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchFacts {
    /// What kind of customer it is; a person unless given.
    pub kind: Option<CustomerKind>,
    /// Full name of a person, legal name of an organisation; in any script, parts in any order.
    #[schema(example = "李娜", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: Option<String>,
    /// Family name of a person.
    #[schema(example = "李", min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100))]
    pub family_name: Option<String>,
    /// Given name of a person.
    #[schema(example = "娜", min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100))]
    pub given_name: Option<String>,
    /// Gender of a person.
    pub gender: Option<Gender>,
    /// Date of birth of a person.
    pub birth_date: Option<Date>,
    /// When an organisation was founded.
    pub founded_on: Option<Date>,
    /// Where phone numbers without country code belong, ISO 3166-1 alpha-2; CN unless given.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[validate(custom(function = "crate::rules::country"))]
    pub country: Option<String>,
    /// Phone numbers, as people write them.
    #[serde(default)]
    #[schema(value_type = Vec<kehu_kernel::limits::Word>, max_items = 20)]
    #[validate(length(max = 20), custom(function = "kehu_kernel::limits::words"))]
    pub phones: Vec<String>,
    /// E-mail addresses.
    #[serde(default)]
    #[schema(value_type = Vec<kehu_kernel::limits::Mailbox>, max_items = 20)]
    #[validate(length(max = 20), custom(function = "kehu_kernel::limits::mailboxes"))]
    pub emails: Vec<String>,
    /// Postal addresses.
    #[serde(default)]
    #[schema(max_items = 20)]
    #[validate(length(max = 20), nested)]
    pub addresses: Vec<MatchAddress>,
    /// Documents. Numbers with slips are compared too.
    #[serde(default)]
    #[schema(max_items = 20)]
    #[validate(length(max = 20), nested)]
    pub identities: Vec<MatchIdentity>,
}

/// A postal address to match by.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchAddress {
    /// Street, house and door; or the whole address in one line.
    #[schema(example = "世纪大道100号", min_length = 1, max_length = 300)]
    #[validate(length(min = 1, max = 300))]
    pub street: Option<String>,
    /// District.
    #[schema(example = "浦东新区", max_length = 100)]
    #[validate(length(max = 100))]
    pub district: Option<String>,
    /// City.
    #[schema(max_length = 100)]
    #[validate(length(max = 100))]
    pub city: Option<String>,
    /// Province.
    #[schema(example = "上海市", max_length = 100)]
    #[validate(length(max = 100))]
    pub province: Option<String>,
    /// Postcode.
    #[schema(example = "200120", max_length = 20)]
    #[validate(length(max = 20))]
    pub postcode: Option<String>,
}

/// A document to match by.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchIdentity {
    /// What kind of document it is.
    #[serde(rename = "type")]
    pub identity_type: IdentityType,
    /// The number, as people write it; it may break the rules of its type.
    #[schema(example = "11010519491231002X", min_length = 1, max_length = 64)]
    #[validate(length(min = 1, max = 64))]
    pub number: String,
    /// Whether the caller has checked the document; a verified number that a customer has verified too is that customer.
    #[serde(default)]
    pub verified: bool,
}

/// The other customer of a pair that is to be explained.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MatchPartner {
    /// The customer to compare with.
    pub customer_id: CustomerId,
}

/// A customer that may be meant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerMatch {
    /// The customer.
    pub customer: MatchedCustomer,
    /// How probable it is that it is meant.
    pub score_bp: BasisPoints,
    /// How sure that is.
    pub band: MatchBand,
    /// What was compared, the strongest evidence first.
    #[schema(max_items = 50)]
    pub reasons: Vec<MatchReason>,
}

/// The customers that may be meant.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerMatches {
    /// At most 20 customers of a plausible or better band, the best first.
    #[schema(max_items = 20)]
    pub items: Vec<CustomerMatch>,
    /// Version of the parameters with which they were found; 0 are those that Kehu brings along.
    #[schema(example = 1, minimum = 0)]
    pub parameters_version: i64,
}

impl MatchFacts {
    /// The facts in comparable form.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what cannot be read, and when nothing is known.
    pub(crate) fn read(&self, conn: &Conn) -> Result<Facts> {
        let subject = MatchSubject::of(self.kind.unwrap_or(CustomerKind::Personal));
        let mut faults = Vec::new();
        let facts = Facts {
            names: self.names(),
            gender: self.gender,
            began_on: if subject == MatchSubject::Person { self.birth_date } else { self.founded_on },
            phones: self.reached(ContactPointKind::Phone, &self.phones, "/phones", &mut faults),
            emails: self.reached(ContactPointKind::Email, &self.emails, "/emails", &mut faults),
            addresses: self.addresses.iter().map(MatchAddress::read).collect(),
            numbers: self.identities.iter().map(|identity| identity.read(conn.now.date())).collect(),
            ..Facts::nothing(subject)
        };
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let facts = facts.sorted();
        if facts == Facts::nothing(subject) {
            return Err(Error::invalid("", "nothing_known", "Something must be known of the customer."));
        }
        Ok(facts)
    }

    /// The whole name, or its parts as one.
    fn names(&self) -> Vec<String> {
        let parts: Vec<&str> = [&self.given_name, &self.family_name].into_iter().flatten().map(String::as_str).collect();
        self.name.clone().or_else(|| (!parts.is_empty()).then(|| parts.join(" "))).into_iter().collect()
    }

    fn reached(&self, kind: ContactPointKind, values: &[String], place: &str, faults: &mut Vec<FieldError>) -> Vec<String> {
        let read = |(number, value): (usize, &String)| match normalise(kind, value, self.country.as_deref()) {
            Ok(normalised) => Some(normalised),
            Err(message) => {
                faults.push(FieldError::new(format!("{place}/{number}"), kind.as_str(), message));
                None
            }
        };
        values.iter().enumerate().filter_map(read).collect()
    }
}

impl MatchAddress {
    fn read(&self) -> Address {
        Address {
            street: self.street.clone(),
            district: self.district.clone(),
            city: self.city.clone(),
            province: self.province.clone(),
            postcode: self.postcode.clone(),
        }
    }
}

impl MatchIdentity {
    /// The number in its one spelling; one with a slip, as it is.
    fn read(&self, today: Date) -> Number {
        let (number, right) = match identity_number::check(self.identity_type, &self.number, today) {
            Ok(checked) => (checked.normalised, true),
            Err(_) => (identity_number::candidates(&self.number).into_iter().next().unwrap_or_default(), false),
        };
        Number { kind: self.identity_type, number, verified: self.verified && right }
    }
}
