//! What is known about a person.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use kehu_kernel::{Date, Instant, patch, schema::personal_profiles, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::{CustomerId, rules::reading};

text_enum! {
    /// Gender of a person.
    pub enum Gender {
        /// A woman.
        Female = "female",
        /// A man.
        Male = "male",
        /// Another gender, or one that the person does not state.
        Other = "other",
    }
}

text_enum! {
    /// Marital status of a person.
    pub enum MaritalStatus {
        /// Never married.
        Single = "single",
        /// Married.
        Married = "married",
        /// Divorced.
        Divorced = "divorced",
        /// Widowed.
        Widowed = "widowed",
    }
}

text_enum! {
    /// Highest education of a person.
    pub enum Education {
        /// Primary school.
        Primary = "primary",
        /// Secondary school.
        Secondary = "secondary",
        /// Vocational training.
        Vocational = "vocational",
        /// A bachelor's degree.
        Bachelor = "bachelor",
        /// A master's degree.
        Master = "master",
        /// A doctorate.
        Doctorate = "doctorate",
        /// Anything else.
        Other = "other",
    }
}

text_enum! {
    /// How much risk a person bears: the five grades of suitability assessments.
    pub enum RiskTolerance {
        /// C1.
        Conservative = "conservative",
        /// C2.
        Cautious = "cautious",
        /// C3.
        Balanced = "balanced",
        /// C4.
        Growth = "growth",
        /// C5.
        Aggressive = "aggressive",
    }
}

/// What is known about a personal customer. Sensitive fields are null for callers who may not see them
/// or give no purpose.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = personal_profiles, primary_key(customer_id), treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct PersonalProfile {
    /// The customer.
    #[serde(skip)]
    pub customer_id: CustomerId,
    /// The whole name, as written.
    #[schema(example = "李娜", max_length = 200)]
    pub full_name: String,
    /// Family name.
    #[schema(example = "李", max_length = 100)]
    pub family_name: Option<String>,
    /// Given name.
    #[schema(example = "娜", max_length = 100)]
    pub given_name: Option<String>,
    /// The name in pinyin without tones, syllables apart; null when it has no Chinese characters. Derived.
    #[schema(example = "li na", max_length = 1000)]
    pub pinyin: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Date of birth; not in the future.
    pub birth_date: Option<Date>,
    /// Nationality, ISO 3166-1 alpha-2.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    pub nationality: Option<String>,
    /// Marital status; sensitive.
    pub marital_status: Option<MaritalStatus>,
    /// How many people depend on this one; sensitive.
    #[schema(example = 2, minimum = 0, maximum = 50)]
    pub dependants: Option<i32>,
    /// Highest education.
    pub education: Option<Education>,
    /// Occupation.
    #[schema(example = "teacher", max_length = 100)]
    pub occupation: Option<String>,
    /// Name of the employer.
    #[schema(max_length = 200)]
    pub employer: Option<String>,
    /// Income band, a code of the bank's; sensitive.
    #[schema(example = "100k-200k", max_length = 64)]
    pub income_band: Option<String>,
    /// Band of assets, a code of the bank's; sensitive.
    #[schema(max_length = 64)]
    pub assets_band: Option<String>,
    /// Region of residence.
    #[schema(example = "上海市浦东新区", max_length = 200)]
    pub residence_region: Option<String>,
    /// Hobbies; sensitive.
    #[schema(max_length = 1000)]
    pub hobbies: Option<String>,
    /// Habits; sensitive.
    #[schema(max_length = 1000)]
    pub habits: Option<String>,
    /// What the person needs from a bank; sensitive.
    #[schema(max_length = 1000)]
    pub financial_need: Option<String>,
    /// How the person likes to invest; sensitive.
    #[schema(max_length = 1000)]
    pub investment_preference: Option<String>,
    /// How much risk the person bears, as assessed; sensitive.
    pub risk_tolerance: Option<RiskTolerance>,
    /// Financial situation; sensitive.
    #[schema(max_length = 1000)]
    pub financial_situation: Option<String>,
    /// When the profile was last changed.
    pub updated_at: Instant,
}

/// The profile of a personal customer to be created.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewPersonalProfile {
    /// The whole name, as written.
    #[schema(example = "李娜", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub full_name: String,
    /// Family name.
    #[schema(example = "李", max_length = 100)]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub family_name: Option<String>,
    /// Given name.
    #[schema(example = "娜", max_length = 100)]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub given_name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Date of birth; not in the future.
    pub birth_date: Option<Date>,
    /// Nationality, ISO 3166-1 alpha-2.
    #[schema(example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[validate(custom(function = "crate::rules::country"))]
    pub nationality: Option<String>,
    /// Marital status; sensitive.
    pub marital_status: Option<MaritalStatus>,
    /// How many people depend on this one; sensitive.
    #[schema(example = 2, minimum = 0, maximum = 50)]
    #[validate(range(min = 0, max = 50))]
    pub dependants: Option<i32>,
    /// Highest education.
    pub education: Option<Education>,
    /// Occupation.
    #[schema(example = "teacher", max_length = 100)]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub occupation: Option<String>,
    /// Name of the employer.
    #[schema(max_length = 200)]
    #[validate(length(max = 200), custom(function = "crate::rules::text"))]
    pub employer: Option<String>,
    /// Income band, a code of the bank's; sensitive.
    #[schema(example = "100k-200k", max_length = 64)]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub income_band: Option<String>,
    /// Band of assets, a code of the bank's; sensitive.
    #[schema(max_length = 64)]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub assets_band: Option<String>,
    /// Region of residence.
    #[schema(example = "上海市浦东新区", max_length = 200)]
    #[validate(length(max = 200), custom(function = "crate::rules::text"))]
    pub residence_region: Option<String>,
    /// Hobbies; sensitive.
    #[schema(max_length = 1000)]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub hobbies: Option<String>,
    /// Habits; sensitive.
    #[schema(max_length = 1000)]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub habits: Option<String>,
    /// What the person needs from a bank; sensitive.
    #[schema(max_length = 1000)]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub financial_need: Option<String>,
    /// How the person likes to invest; sensitive.
    #[schema(max_length = 1000)]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub investment_preference: Option<String>,
    /// How much risk the person bears, as assessed; sensitive.
    pub risk_tolerance: Option<RiskTolerance>,
    /// Financial situation; sensitive.
    #[schema(max_length = 1000)]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub financial_situation: Option<String>,
}

/// Changes to a personal profile; what is absent stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct PersonalProfilePatch {
    /// The whole name, as written.
    #[schema(nullable = false, value_type = String, required = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub full_name: Option<String>,
    /// Family name.
    #[schema(value_type = Option<String>, example = "李", max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub family_name: Option<Option<String>>,
    /// Given name.
    #[schema(value_type = Option<String>, example = "娜", max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub given_name: Option<Option<String>>,
    /// Gender.
    #[schema(value_type = Option<Gender>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub gender: Option<Option<Gender>>,
    /// Date of birth; not in the future.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub birth_date: Option<Option<Date>>,
    /// Nationality, ISO 3166-1 alpha-2.
    #[schema(value_type = Option<String>, example = "CN", min_length = 2, max_length = 2, pattern = "^[A-Z]{2}$")]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(custom(function = "crate::rules::country"))]
    pub nationality: Option<Option<String>>,
    /// Marital status; sensitive.
    #[schema(value_type = Option<MaritalStatus>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub marital_status: Option<Option<MaritalStatus>>,
    /// How many people depend on this one; sensitive.
    #[schema(value_type = Option<i32>, example = 2, minimum = 0, maximum = 50)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(range(min = 0, max = 50))]
    pub dependants: Option<Option<i32>>,
    /// Highest education.
    #[schema(value_type = Option<Education>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub education: Option<Option<Education>>,
    /// Occupation.
    #[schema(value_type = Option<String>, example = "teacher", max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub occupation: Option<Option<String>>,
    /// Name of the employer.
    #[schema(value_type = Option<String>, max_length = 200)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 200), custom(function = "crate::rules::text"))]
    pub employer: Option<Option<String>>,
    /// Income band, a code of the bank's; sensitive.
    #[schema(value_type = Option<String>, example = "100k-200k", max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub income_band: Option<Option<String>>,
    /// Band of assets, a code of the bank's; sensitive.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub assets_band: Option<Option<String>>,
    /// Region of residence.
    #[schema(value_type = Option<String>, example = "上海市浦东新区", max_length = 200)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 200), custom(function = "crate::rules::text"))]
    pub residence_region: Option<Option<String>>,
    /// Hobbies; sensitive.
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub hobbies: Option<Option<String>>,
    /// Habits; sensitive.
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub habits: Option<Option<String>>,
    /// What the person needs from a bank; sensitive.
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub financial_need: Option<Option<String>>,
    /// How the person likes to invest; sensitive.
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub investment_preference: Option<Option<String>>,
    /// How much risk the person bears, as assessed; sensitive.
    #[schema(value_type = Option<RiskTolerance>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub risk_tolerance: Option<Option<RiskTolerance>>,
    /// Financial situation; sensitive.
    #[schema(value_type = Option<String>, max_length = 1000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 1000), custom(function = "crate::rules::text"))]
    pub financial_situation: Option<Option<String>>,
}

impl PersonalProfile {
    /// The profile of a new customer.
    #[must_use]
    pub fn new(customer_id: CustomerId, new: NewPersonalProfile, now: Instant) -> Self {
        Self {
            customer_id,
            pinyin: pinyin_of(&new.full_name),
            full_name: new.full_name,
            family_name: new.family_name,
            given_name: new.given_name,
            gender: new.gender,
            birth_date: new.birth_date,
            nationality: new.nationality,
            marital_status: new.marital_status,
            dependants: new.dependants,
            education: new.education,
            occupation: new.occupation,
            employer: new.employer,
            income_band: new.income_band,
            assets_band: new.assets_band,
            residence_region: new.residence_region,
            hobbies: new.hobbies,
            habits: new.habits,
            financial_need: new.financial_need,
            investment_preference: new.investment_preference,
            risk_tolerance: new.risk_tolerance,
            financial_situation: new.financial_situation,
            updated_at: now,
        }
    }

    /// Takes over what a patch names.
    pub fn apply(&mut self, patch: PersonalProfilePatch, now: Instant) {
        super::take_over!(self, patch; full_name, family_name, given_name, gender, birth_date, nationality, marital_status, dependants, education, occupation, employer, income_band, assets_band, residence_region, hobbies, habits, financial_need, investment_preference, risk_tolerance, financial_situation);
        self.pinyin = pinyin_of(&self.full_name);
        self.updated_at = now;
    }

    /// The same profile without its sensitive fields.
    #[must_use]
    pub fn masked(self) -> Self {
        Self {
            marital_status: None,
            dependants: None,
            income_band: None,
            assets_band: None,
            hobbies: None,
            habits: None,
            financial_need: None,
            investment_preference: None,
            risk_tolerance: None,
            financial_situation: None,
            ..self
        }
    }
}

/// A person's name in pinyin without tones: the surname as surnames are read, each other Chinese character in its
/// first reading.
#[must_use]
pub fn pinyin_of(name: &str) -> Option<String> {
    let letters: Vec<char> = name.chars().collect();
    let syllables: Vec<&str> = reading::syllables(&letters, true).into_iter().flatten().collect();
    if syllables.is_empty() { None } else { Some(syllables.join(" ")) }
}
