//! What callers say of contact persons.

use diesel::AsChangeset;
use kehu_kernel::{AnyId, patch, schema::contact_persons};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    employment::NewEmployment,
    person::{Closeness, Influence, Seniority},
};
use crate::CustomerId;

/// A contact person to be recorded, with the present employment if it is known.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewContactPerson {
    /// The personal customer that is the same person.
    pub person_customer_id: Option<CustomerId>,
    /// The branch that keeps the record; the caller's own unless given.
    pub home_branch_id: Option<AnyId>,
    /// Name of the person.
    #[schema(example = "王强", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: String,
    /// Phone number, with its country code or national in China.
    #[schema(example = "138 0013 8000", min_length = 1, max_length = 50)]
    #[validate(length(min = 1, max = 50))]
    pub phone: Option<String>,
    /// E-mail address.
    #[schema(example = "wang.qiang@example.com", min_length = 1, max_length = 254)]
    #[validate(length(min = 1, max = 254))]
    pub email: Option<String>,
    /// WeChat account.
    #[schema(min_length = 1, max_length = 100)]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub wechat: Option<String>,
    /// Where they come from: education, home town.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub background: Option<String>,
    /// What they have done before.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub experience: Option<String>,
    /// What they like to do.
    #[schema(example = "golf, calligraphy", min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub hobbies: Option<String>,
    /// Their family.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub family: Option<String>,
    /// What they are like.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub personality: Option<String>,
    /// What to avoid.
    #[schema(example = "no alcohol", min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub taboos: Option<String>,
    /// Level at work.
    pub seniority: Option<Seniority>,
    /// How close they are to the bank.
    pub closeness: Option<Closeness>,
    /// How much they sway decisions.
    pub influence: Option<Influence>,
    /// What they care about.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub concerns: Option<String>,
    /// What they need, in detail.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub need_detail: Option<String>,
    /// How to deal with them.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub coping_strategy: Option<String>,
    /// How they stand with competitors.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub competitor_relations: Option<String>,
    /// How the bank looks after them: occasions, gifts, calls.
    #[schema(example = "birthday call; tea at New Year", min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub care_plan: Option<String>,
    /// Where the person works.
    #[validate(nested)]
    pub employment: Option<NewEmployment>,
}

/// Changes to a contact person; what is absent stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate, AsChangeset)]
#[serde(deny_unknown_fields)]
#[diesel(table_name = contact_persons)]
pub struct ContactPersonPatch {
    /// The personal customer that is the same person.
    #[schema(value_type = Option<CustomerId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub person_customer_id: Option<Option<CustomerId>>,
    /// The branch that keeps the record.
    #[schema(value_type = Option<AnyId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub home_branch_id: Option<Option<AnyId>>,
    /// Name of the person.
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub name: Option<String>,
    /// Phone number, with its country code or national in China.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 50)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 50))]
    pub phone: Option<Option<String>>,
    /// E-mail address.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 254)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 254))]
    pub email: Option<Option<String>>,
    /// WeChat account.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 100), custom(function = "crate::rules::text"))]
    pub wechat: Option<Option<String>>,
    /// Where they come from: education, home town.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub background: Option<Option<String>>,
    /// What they have done before.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub experience: Option<Option<String>>,
    /// What they like to do.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub hobbies: Option<Option<String>>,
    /// Their family.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub family: Option<Option<String>>,
    /// What they are like.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub personality: Option<Option<String>>,
    /// What to avoid.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub taboos: Option<Option<String>>,
    /// Level at work.
    #[schema(value_type = Option<Seniority>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub seniority: Option<Option<Seniority>>,
    /// How close they are to the bank.
    #[schema(value_type = Option<Closeness>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub closeness: Option<Option<Closeness>>,
    /// How much they sway decisions.
    #[schema(value_type = Option<Influence>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub influence: Option<Option<Influence>>,
    /// What they care about.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub concerns: Option<Option<String>>,
    /// What they need, in detail.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub need_detail: Option<Option<String>>,
    /// How to deal with them.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub coping_strategy: Option<Option<String>>,
    /// How they stand with competitors.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub competitor_relations: Option<Option<String>>,
    /// How the bank looks after them: occasions, gifts, calls.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "crate::rules::text"))]
    pub care_plan: Option<Option<String>>,
}
