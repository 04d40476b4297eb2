//! What a field holds, and the levels at which two values of that kind agree.

use serde::{Deserialize, Serialize};

/// What a field of a record holds: it decides how values are written alike, compared and used to find candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The whole name of a person, parts in any order.
    FullName,
    /// Given names; compared across with the family name, because people swap them.
    GivenName,
    /// The family name.
    FamilyName,
    /// Name of a company or another organisation.
    CompanyName,
    /// A date, written in any usual way, possible or not.
    Date,
    /// The number of a house.
    HouseNumber,
    /// A street with or without its number, or a whole address.
    Street,
    /// City, district, suburb, village.
    Locality,
    /// Postal code.
    Postcode,
    /// Province, state, region: one of a few.
    Region,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
    /// A number of an identity document, tax number, credit code, LEI.
    IdentityNumber,
    /// One of a few values, such as the gender.
    Category,
    /// Any other text.
    Text,
}

/// A degree of agreement. The shares are what is believed before anything was estimated.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// What the level means.
    pub name: &'static str,
    /// Share among pairs that are one and the same.
    pub m: f64,
    /// Share among pairs that are not.
    pub u: f64,
}

const fn level(name: &'static str, m: f64, u: f64) -> Level {
    Level { name, m, u }
}

/// One value is not known: the field says nothing.
pub const MISSING: u8 = 0;
/// Both values are the same.
pub const EXACT: u8 = 1;

const MISSING_LEVEL: Level = level("missing", 1.0, 1.0);

/// A part of a person's name.
pub mod part {
    pub const SWAPPED: u8 = 2;
    pub const ALIAS: u8 = 3;
    pub const NEAR: u8 = 4;
    pub const CLOSE: u8 = 5;
    pub const SWAPPED_NEAR: u8 = 6;
    pub const INITIAL: u8 = 7;
    pub const PART: u8 = 8;
    pub const ALIKE: u8 = 9;
    pub const DIFFERENT: u8 = 10;
}

const PART: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.75, 0.004),
    level("same, given and family name swapped", 0.02, 0.0004),
    level("nickname or same sound", 0.03, 0.002),
    level("one typing error", 0.08, 0.002),
    level("a few typing errors", 0.04, 0.004),
    level("like, given and family name swapped", 0.005, 0.0005),
    level("initial", 0.01, 0.005),
    level("one part of several", 0.02, 0.002),
    level("somewhat alike", 0.02, 0.03),
    level("different", 0.025, 0.95),
];

/// The whole name of a person.
pub mod whole {
    pub const REORDERED: u8 = 2;
    pub const ALIAS: u8 = 3;
    pub const NEAR: u8 = 4;
    pub const SUBSET: u8 = 5;
    pub const INITIALS: u8 = 6;
    pub const PARTIAL: u8 = 7;
    pub const DIFFERENT: u8 = 8;
}

const WHOLE: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.72, 0.0001),
    level("same parts in another order or spacing", 0.04, 0.00001),
    level("nickname, other script or same sound", 0.05, 0.0001),
    level("typing errors", 0.1, 0.0001),
    level("some parts left out", 0.03, 0.0001),
    level("initials", 0.02, 0.0005),
    level("one part alike", 0.03, 0.03),
    level("different", 0.01, 0.97),
];

/// The name of a company.
pub mod company {
    pub const NEAR: u8 = 2;
    pub const SUBSET: u8 = 3;
    pub const ACRONYM: u8 = 4;
    pub const ALIKE: u8 = 5;
    pub const DIFFERENT: u8 = 6;
}

const COMPANY: &[Level] = &[
    MISSING_LEVEL,
    level("same but for the legal form", 0.8, 0.0001),
    level("typing errors", 0.1, 0.0001),
    level("some words left out", 0.05, 0.002),
    level("acronym or short name", 0.02, 0.0005),
    level("some words alike", 0.02, 0.01),
    level("different", 0.01, 0.987),
];

/// A date.
pub mod date {
    pub const TRANSPOSED: u8 = 2;
    pub const ONE_DIGIT: u8 = 3;
    pub const TWO_PARTS: u8 = 4;
    pub const CLOSE: u8 = 5;
    pub const TWO_DIGITS: u8 = 6;
    pub const SAME_YEAR: u8 = 7;
    pub const DIFFERENT: u8 = 8;
}

const DATE: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.85, 0.00005),
    level("day and month, digits or century exchanged", 0.02, 0.0001),
    level("one digit differs", 0.04, 0.0008),
    level("year, month or day differs", 0.04, 0.003),
    level("every part close", 0.01, 0.002),
    level("two digits differ", 0.01, 0.006),
    level("same year", 0.01, 0.015),
    level("different", 0.02, 0.975),
];

/// E-mail addresses.
pub mod email {
    pub const NEAR: u8 = 2;
    pub const LOCAL: u8 = 3;
    pub const LOCAL_NEAR: u8 = 4;
    pub const DOMAIN: u8 = 5;
    pub const DIFFERENT: u8 = 6;
}

const EMAIL: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.7, 0.00001),
    level("typing errors", 0.12, 0.00001),
    level("same name at another domain", 0.06, 0.00005),
    level("like name", 0.03, 0.0005),
    level("same domain", 0.03, 0.05),
    level("different", 0.06, 0.95),
];

/// Everything else: identity numbers, phones, places, codes.
pub mod plain {
    pub const ONE_ERROR: u8 = 2;
    pub const TWO_ERRORS: u8 = 3;
    pub const ALIKE: u8 = 4;
    pub const DIFFERENT: u8 = 5;
}

const NUMBER: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.85, 0.000001),
    level("one typing error", 0.06, 0.00001),
    level("two typing errors", 0.03, 0.0001),
    level("one end alike", 0.02, 0.002),
    level("different", 0.04, 0.998),
];

const PHONE: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.7, 0.00001),
    level("one typing error", 0.05, 0.00005),
    level("two typing errors", 0.02, 0.0005),
    level("one end alike", 0.01, 0.002),
    level("different", 0.22, 0.997),
];

const STREET: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.65, 0.0005),
    level("typing errors", 0.15, 0.0005),
    level("most words alike", 0.06, 0.001),
    level("some words alike", 0.06, 0.05),
    level("different", 0.08, 0.94),
];

const PLACE: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.75, 0.02),
    level("one typing error", 0.07, 0.002),
    level("a few typing errors", 0.05, 0.002),
    level("a part alike", 0.03, 0.02),
    level("different", 0.1, 0.95),
];

const CODE: &[Level] = &[
    MISSING_LEVEL,
    level("same", 0.8, 0.01),
    level("one typing error", 0.07, 0.01),
    level("two typing errors", 0.03, 0.03),
    level("begins alike", 0.02, 0.05),
    level("different", 0.08, 0.9),
];

const CATEGORY: &[Level] = &[MISSING_LEVEL, level("same", 0.95, 0.4), level("like", 0.01, 0.01), level("different", 0.04, 0.59)];

/// The level of [`CATEGORY`]-like kinds at which values are alike but not the same.
pub(super) const CATEGORY_ALIKE: u8 = 2;
/// The level of [`CATEGORY`]-like kinds at which values differ.
pub(super) const CATEGORY_DIFFERENT: u8 = 3;

impl Kind {
    /// The levels of this kind from the best to the worst; the first one, [`MISSING`], says nothing.
    #[must_use]
    pub const fn levels(self) -> &'static [Level] {
        match self {
            Self::FullName => WHOLE,
            Self::GivenName | Self::FamilyName => PART,
            Self::CompanyName => COMPANY,
            Self::Date => DATE,
            Self::Email => EMAIL,
            Self::IdentityNumber => NUMBER,
            Self::Phone => PHONE,
            Self::Street => STREET,
            Self::Locality | Self::Text => PLACE,
            Self::HouseNumber | Self::Postcode => CODE,
            Self::Region | Self::Category => CATEGORY,
        }
    }

    /// Whether agreement counts by its parts, each with its own frequency.
    #[must_use]
    pub const fn has_many_terms(self) -> bool {
        matches!(self, Self::FullName | Self::CompanyName)
    }

    /// How much work it is to compare two values, from the least.
    pub(super) const fn effort(self) -> u8 {
        match self {
            Self::IdentityNumber => 0,
            Self::Phone => 1,
            Self::Email => 2,
            Self::Date => 3,
            Self::HouseNumber | Self::Postcode | Self::Region | Self::Category => 4,
            Self::Locality | Self::Text => 5,
            Self::GivenName | Self::FamilyName | Self::FullName | Self::CompanyName => 6,
            Self::Street => 7,
        }
    }
}
