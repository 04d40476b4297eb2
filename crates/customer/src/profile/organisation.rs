//! What is known about an organisation: a company or a public body.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use kehu_kernel::{BasisPoints, Currency, Date, Instant, Money, json::Json, patch, schema::organisation_profiles};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::CustomerId;

/// A shareholder as the organisation itself names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Shareholder {
    /// Its name.
    #[schema(min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: String,
    /// The customer that it is, if it is one.
    pub customer_id: Option<CustomerId>,
    /// Its share, 0 to 10,000 basis points.
    #[schema(minimum = 0, maximum = 10000)]
    #[validate(custom(function = "crate::rules::share"))]
    pub share_bp: Option<BasisPoints>,
}

/// A person who manages an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Manager {
    /// Name of the person.
    #[schema(min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub person: String,
    /// Position.
    #[schema(example = "chief financial officer", min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub position: String,
}

/// What is known about a corporate or government customer.
#[derive(Clone, Debug, Serialize, ToSchema, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = organisation_profiles, primary_key(customer_id), treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct OrganisationProfile {
    /// The customer.
    #[serde(skip)]
    pub customer_id: CustomerId,
    /// The name in the register.
    #[schema(example = "上海示例科技有限公司", max_length = 200)]
    pub legal_name: String,
    /// Short name.
    #[schema(max_length = 100)]
    pub short_name: Option<String>,
    /// Nature of ownership, a code of the bank's.
    #[schema(example = "state_owned", max_length = 64)]
    pub nature: Option<String>,
    /// Legal form.
    #[schema(example = "limited liability company", max_length = 100)]
    pub legal_form: Option<String>,
    /// Unified social credit code (GB 32100), 18 characters; a broken checksum is accepted.
    #[schema(example = "91110000600037341L", max_length = 18)]
    pub unified_social_credit_code: Option<String>,
    /// Legal entity identifier (ISO 17442).
    #[schema(example = "5493001KJTIIGC8Y1R12", max_length = 20)]
    pub lei: Option<String>,
    /// Industry, a code of GB/T 4754 or of the bank's.
    #[schema(example = "J66", max_length = 32)]
    pub industry: Option<String>,
    /// When it was founded.
    pub founded_on: Option<Date>,
    /// Registered capital; not negative.
    #[schema(value_type = Option<Money>)]
    #[diesel(embed)]
    pub registered_capital: Capital,
    /// How many people it employs.
    #[schema(example = 250, minimum = 0, maximum = 10000000)]
    pub employees: Option<i32>,
    /// Band of revenue, a code of the bank's.
    #[schema(max_length = 64)]
    pub revenue_band: Option<String>,
    /// Operating status as registered.
    #[schema(example = "in operation", max_length = 64)]
    pub operating_status: Option<String>,
    /// Main shareholders.
    #[schema(value_type = Vec<Shareholder>, max_items = 50)]
    pub main_shareholders: Json<Vec<Shareholder>>,
    /// Who manages it.
    #[schema(value_type = Vec<Manager>, max_items = 50)]
    pub management: Json<Vec<Manager>>,
    /// Code under which it is listed.
    #[schema(example = "600000.SH", max_length = 32)]
    pub listed_code: Option<String>,
    /// When the profile was last changed.
    pub updated_at: Instant,
}

/// Registered capital, in two columns.
#[derive(Clone, Copy, Debug, Default, Serialize, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = organisation_profiles, treat_none_as_default_value = false, treat_none_as_null = true)]
#[serde(into = "Option<Money>")]
pub struct Capital {
    registered_capital_minor: Option<i64>,
    registered_capital_currency: Option<Currency>,
}

impl From<Capital> for Option<Money> {
    fn from(capital: Capital) -> Self {
        capital
            .registered_capital_minor
            .zip(capital.registered_capital_currency)
            .map(|(minor, currency)| Money::new(minor, currency))
    }
}

impl From<Option<Money>> for Capital {
    fn from(money: Option<Money>) -> Self {
        Self {
            registered_capital_minor: money.map(|money| money.amount_minor),
            registered_capital_currency: money.map(|money| money.currency),
        }
    }
}

/// The profile of a corporate or government customer to be created.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewOrganisationProfile {
    /// The name in the register.
    #[schema(example = "上海示例科技有限公司", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub legal_name: String,
    /// Short name.
    #[schema(max_length = 100)]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub short_name: Option<String>,
    /// Nature of ownership, a code of the bank's.
    #[schema(example = "state_owned", max_length = 64)]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub nature: Option<String>,
    /// Legal form.
    #[schema(example = "limited liability company", max_length = 100)]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub legal_form: Option<String>,
    /// Unified social credit code (GB 32100), 18 characters; a broken checksum is accepted.
    #[schema(example = "91110000600037341L", max_length = 18)]
    #[validate(length(max = 18), custom(function = "crate::rules::text"))]
    pub unified_social_credit_code: Option<String>,
    /// Legal entity identifier (ISO 17442).
    #[schema(example = "5493001KJTIIGC8Y1R12", max_length = 20)]
    #[validate(length(max = 20), custom(function = "crate::rules::text"))]
    pub lei: Option<String>,
    /// Industry, a code of GB/T 4754 or of the bank's.
    #[schema(example = "J66", max_length = 32)]
    #[validate(length(max = 32), custom(function = "crate::rules::text"))]
    pub industry: Option<String>,
    /// When it was founded.
    pub founded_on: Option<Date>,
    /// Registered capital; not negative.
    pub registered_capital: Option<Money>,
    /// How many people it employs.
    #[schema(example = 250, minimum = 0, maximum = 10000000)]
    #[validate(range(min = 0, max = 10000000))]
    pub employees: Option<i32>,
    /// Band of revenue, a code of the bank's.
    #[schema(max_length = 64)]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub revenue_band: Option<String>,
    /// Operating status as registered.
    #[schema(example = "in operation", max_length = 64)]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub operating_status: Option<String>,
    /// Main shareholders.
    #[schema(max_items = 50)]
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    pub main_shareholders: Vec<Shareholder>,
    /// Who manages it.
    #[schema(max_items = 50)]
    #[serde(default)]
    #[validate(length(max = 50), nested)]
    pub management: Vec<Manager>,
    /// Code under which it is listed.
    #[schema(example = "600000.SH", max_length = 32)]
    #[validate(length(max = 32), custom(function = "crate::rules::text"))]
    pub listed_code: Option<String>,
}

/// Changes to an organisation's profile; what is absent stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct OrganisationProfilePatch {
    /// The name in the register.
    #[schema(nullable = false, value_type = String, required = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub legal_name: Option<String>,
    /// Short name.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub short_name: Option<Option<String>>,
    /// Nature of ownership, a code of the bank's.
    #[schema(value_type = Option<String>, example = "state_owned", max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub nature: Option<Option<String>>,
    /// Legal form.
    #[schema(value_type = Option<String>, example = "limited liability company", max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 100), custom(function = "crate::rules::text"))]
    pub legal_form: Option<Option<String>>,
    /// Unified social credit code (GB 32100), 18 characters; a broken checksum is accepted.
    #[schema(value_type = Option<String>, example = "91110000600037341L", max_length = 18)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 18), custom(function = "crate::rules::text"))]
    pub unified_social_credit_code: Option<Option<String>>,
    /// Legal entity identifier (ISO 17442).
    #[schema(value_type = Option<String>, example = "5493001KJTIIGC8Y1R12", max_length = 20)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 20), custom(function = "crate::rules::text"))]
    pub lei: Option<Option<String>>,
    /// Industry, a code of GB/T 4754 or of the bank's.
    #[schema(value_type = Option<String>, example = "J66", max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 32), custom(function = "crate::rules::text"))]
    pub industry: Option<Option<String>>,
    /// When it was founded.
    #[schema(value_type = Option<Date>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub founded_on: Option<Option<Date>>,
    /// Registered capital; not negative.
    #[schema(value_type = Option<Money>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub registered_capital: Option<Option<Money>>,
    /// How many people it employs.
    #[schema(value_type = Option<i32>, example = 250, minimum = 0, maximum = 10000000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(range(min = 0, max = 10000000))]
    pub employees: Option<Option<i32>>,
    /// Band of revenue, a code of the bank's.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub revenue_band: Option<Option<String>>,
    /// Operating status as registered.
    #[schema(value_type = Option<String>, example = "in operation", max_length = 64)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 64), custom(function = "crate::rules::text"))]
    pub operating_status: Option<Option<String>>,
    /// Main shareholders.
    #[schema(nullable = false, max_items = 50)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 50), nested)]
    pub main_shareholders: Option<Vec<Shareholder>>,
    /// Who manages it.
    #[schema(nullable = false, max_items = 50)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 50), nested)]
    pub management: Option<Vec<Manager>>,
    /// Code under which it is listed.
    #[schema(value_type = Option<String>, example = "600000.SH", max_length = 32)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(max = 32), custom(function = "crate::rules::text"))]
    pub listed_code: Option<Option<String>>,
}

impl OrganisationProfile {
    /// The profile of a new customer.
    #[must_use]
    pub fn new(customer_id: CustomerId, new: NewOrganisationProfile, now: Instant) -> Self {
        Self {
            customer_id,
            legal_name: new.legal_name,
            short_name: new.short_name,
            nature: new.nature,
            legal_form: new.legal_form,
            unified_social_credit_code: new.unified_social_credit_code,
            lei: new.lei,
            industry: new.industry,
            founded_on: new.founded_on,
            employees: new.employees,
            revenue_band: new.revenue_band,
            operating_status: new.operating_status,
            listed_code: new.listed_code,
            registered_capital: new.registered_capital.into(),
            main_shareholders: Json(new.main_shareholders),
            management: Json(new.management),
            updated_at: now,
        }
    }

    /// Takes over what a patch names.
    pub fn apply(&mut self, patch: OrganisationProfilePatch, now: Instant) {
        super::take_over!(self, patch; legal_name, short_name, nature, legal_form, unified_social_credit_code, lei, industry, founded_on, employees, revenue_band, operating_status, listed_code);
        if let Some(capital) = patch.registered_capital {
            self.registered_capital = capital.into();
        }
        if let Some(shareholders) = patch.main_shareholders {
            self.main_shareholders = Json(shareholders);
        }
        if let Some(management) = patch.management {
            self.management = Json(management);
        }
        self.updated_at = now;
    }
}
