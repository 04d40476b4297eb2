//! Profiles: what is known about a person, or about an organisation.

/// Takes over those fields of a patch that it names.
macro_rules! take_over {
    ($to:expr, $patch:expr; $($field:ident),+ $(,)?) => {
        $(if let Some(value) = $patch.$field { $to.$field = value; })+
    };
}
pub(crate) use take_over;

mod organisation;
mod personal;

pub use organisation::{Capital, Manager, NewOrganisationProfile, OrganisationProfile, OrganisationProfilePatch, Shareholder};
pub use personal::{
    Education, Gender, MaritalStatus, NewPersonalProfile, PersonalProfile, PersonalProfilePatch, RiskTolerance, pinyin_of,
};

/// Profile fields and ratings of the class `sensitive`: income, assets, family, health, habits, risk.
pub const SENSITIVE: &[&str] = &[
    "marital_status",
    "dependants",
    "income_band",
    "assets_band",
    "hobbies",
    "habits",
    "financial_need",
    "investment_preference",
    "risk_tolerance",
    "financial_situation",
    "credit_rating",
    "market_rating",
    "operational_rating",
    "rated_on",
];

/// Whether a field, by its name in answers and in the history, is of the class `sensitive`.
#[must_use]
pub fn is_sensitive(field: &str) -> bool {
    SENSITIVE.contains(&field)
}
