//! The customer itself: what every kind of customer has.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use kehu_kernel::{AnyId, BasisPoints, Date, Id, Instant, Reference, schema::customers, text_enum};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    attribute::CustomAttribute,
    profile::{OrganisationProfile, PersonalProfile},
};

/// Identifier of a customer.
pub type CustomerId = Id<Customer>;

text_enum! {
    /// What kind of customer it is; decides which profile it has. Never changed.
    pub enum CustomerKind {
        /// A natural person; has a personal profile.
        Personal = "personal",
        /// A company or another private organisation; has an organisation profile.
        Corporate = "corporate",
        /// A public body; has an organisation profile.
        Government = "government",
    }
}

text_enum! {
    /// Where the relationship with a customer stands.
    pub enum CustomerStatus {
        /// Has no account with the bank yet.
        Potential = "potential",
        /// Uses the bank.
        Active = "active",
        /// Has accounts, but does not use them.
        Dormant = "dormant",
        /// Has left the bank, or turned it down.
        Lost = "lost",
    }
}

text_enum! {
    /// How close a customer has come to the bank.
    pub enum LifeCycleStage {
        /// Somebody to be won.
        Prospect = "prospect",
        /// Has an account.
        Customer = "customer",
        /// Uses accounts regularly.
        Transacting = "transacting",
        /// Belongs to the bank's membership programme.
        Member = "member",
    }
}

text_enum! {
    /// Language in which a customer wants to be addressed.
    pub enum PreferredLanguage {
        /// Chinese, simplified characters.
        ZhHans = "zh-Hans",
        /// Chinese, traditional characters.
        ZhHant = "zh-Hant",
        /// English.
        En = "en",
        /// Another language.
        Other = "other",
    }
}

text_enum! {
    /// Way on which a customer wants to be reached.
    pub enum PreferredChannel {
        /// By phone.
        Phone = "phone",
        /// By text message.
        Sms = "sms",
        /// By e-mail.
        Email = "email",
        /// By WeChat.
        Wechat = "wechat",
        /// By letter.
        Post = "post",
        /// At the branch.
        Branch = "branch",
    }
}

/// A customer of the bank.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Customer {
    /// Identifier of the customer.
    pub id: CustomerId,
    /// Number for people: unique, three groups of six letters and digits.
    #[schema(example = "C36N4S-7F20H8-0QKXW3", max_length = 32)]
    pub number: String,
    /// What kind of customer it is.
    pub kind: CustomerKind,
    /// Name under which it is shown.
    #[schema(example = "李娜", max_length = 200)]
    pub display_name: String,
    /// Where the relationship stands; changed by `transition_customer`.
    pub status: CustomerStatus,
    /// Why it has this status.
    #[schema(max_length = 500)]
    pub status_reason: Option<String>,
    /// Whether a rule set the status, not a person.
    pub status_derived: bool,
    /// How close it has come to the bank; changed by `transition_customer`.
    pub life_cycle_stage: LifeCycleStage,
    /// Service tier, a code of the bank's.
    #[schema(example = "gold", max_length = 32)]
    pub tier: Option<String>,
    /// The relationship manager who is primarily responsible.
    pub owner: Option<Reference>,
    /// The branch that keeps the customer.
    pub home_branch: Option<Reference>,
    /// Language in which it wants to be addressed.
    pub preferred_language: Option<PreferredLanguage>,
    /// Way on which it wants to be reached.
    pub preferred_channel: Option<PreferredChannel>,
    /// Internal ratings; null for callers who may not see sensitive fields, and always for customers.
    pub risk: Option<RiskRatings>,
    /// Whether fraud is suspected; null for customers.
    pub fraud_flag: Option<bool>,
    /// When a person died.
    pub deceased_on: Option<Date>,
    /// Completed years of age of a person, today or on the day of death; derived.
    #[schema(example = 36, minimum = 0, maximum = 200)]
    pub age: Option<u32>,
    /// How good the record is; null for customers.
    pub data_quality: Option<DataQuality>,
    /// When the record is due to be checked with the customer.
    pub review_due_on: Option<Date>,
    /// The profile of a personal customer, otherwise null.
    pub personal: Option<PersonalProfile>,
    /// The profile of a corporate or government customer, otherwise null.
    pub organisation: Option<OrganisationProfile>,
    /// Custom attributes that have a value and that the caller may see, in the order of their codes.
    #[schema(max_items = 200)]
    pub attributes: Vec<CustomAttribute>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// The bank's internal ratings of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RiskRatings {
    /// Credit risk, a grade of the bank's scale.
    #[schema(example = "A2", max_length = 32)]
    pub credit_rating: Option<String>,
    /// Market risk, a grade of the bank's scale.
    #[schema(max_length = 32)]
    pub market_rating: Option<String>,
    /// Operational risk, a grade of the bank's scale.
    #[schema(max_length = 32)]
    pub operational_rating: Option<String>,
    /// The day as of which the ratings hold.
    pub rated_on: Option<Date>,
}

/// How good a record is, in basis points. The formulas are those of `quality.rs`: accuracy is the share
/// of verified, unsuspicious identities and contact points; completeness the weighted share of filled
/// fields; consistency the share of facts that agree with each other; the score their mean, weighted
/// 40, 35 and 25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DataQuality {
    /// Share of verified, unsuspicious identities and contact points.
    pub accuracy_bp: BasisPoints,
    /// Weighted share of filled fields.
    pub completeness_bp: BasisPoints,
    /// Share of facts that agree with each other.
    pub consistency_bp: BasisPoints,
    /// The weighted mean of the three.
    pub score_bp: BasisPoints,
}

/// A row of the table of customers.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = customers, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct CustomerRow {
    /// Identifier of the customer.
    pub id: CustomerId,
    /// Number for people.
    pub number: String,
    /// What kind of customer it is.
    pub kind: CustomerKind,
    /// Name under which it is shown.
    pub display_name: String,
    /// Where the relationship stands.
    pub status: CustomerStatus,
    /// Why it has this status.
    pub status_reason: Option<String>,
    /// Whether a rule set the status.
    pub status_derived: bool,
    /// How close it has come to the bank.
    pub life_cycle_stage: LifeCycleStage,
    /// Service tier.
    pub tier: Option<String>,
    /// The primary relationship manager, a row of staff.
    pub owner_id: Option<AnyId>,
    /// The branch that keeps the customer.
    pub home_branch_id: Option<AnyId>,
    /// Language in which it wants to be addressed.
    pub preferred_language: Option<PreferredLanguage>,
    /// Way on which it wants to be reached.
    pub preferred_channel: Option<PreferredChannel>,
    /// Grade of credit risk.
    pub credit_rating: Option<String>,
    /// Grade of market risk.
    pub market_rating: Option<String>,
    /// Grade of operational risk.
    pub operational_rating: Option<String>,
    /// The day as of which the ratings hold.
    pub rated_on: Option<Date>,
    /// Whether fraud is suspected.
    pub fraud_flag: bool,
    /// When a person died.
    pub deceased_on: Option<Date>,
    /// The customer into which this one was merged.
    pub merged_into: Option<CustomerId>,
    /// Share of verified, unsuspicious identities and contact points.
    pub accuracy_bp: BasisPoints,
    /// Weighted share of filled fields.
    pub completeness_bp: BasisPoints,
    /// Share of facts that agree with each other.
    pub consistency_bp: BasisPoints,
    /// Weighted mean of the three.
    pub quality_score_bp: BasisPoints,
    /// When the record is due to be checked.
    pub review_due_on: Option<Date>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record.
    pub version: i64,
    /// When it was erased; what is left then is a tombstone.
    pub erased_at: Option<Instant>,
}

impl CustomerRow {
    /// A customer that is new at `now`: potential, a prospect, without anything that is optional.
    #[must_use]
    pub fn new(kind: CustomerKind, display_name: String, now: Instant) -> Self {
        let id = CustomerId::new();
        Self {
            id,
            number: crate::number::of(id),
            kind,
            display_name,
            status: CustomerStatus::Potential,
            status_reason: None,
            status_derived: false,
            life_cycle_stage: LifeCycleStage::Prospect,
            tier: None,
            owner_id: None,
            home_branch_id: None,
            preferred_language: None,
            preferred_channel: None,
            credit_rating: None,
            market_rating: None,
            operational_rating: None,
            rated_on: None,
            fraud_flag: false,
            deceased_on: None,
            merged_into: None,
            accuracy_bp: BasisPoints(0),
            completeness_bp: BasisPoints(0),
            consistency_bp: BasisPoints(0),
            quality_score_bp: BasisPoints(0),
            review_due_on: None,
            created_at: now,
            updated_at: now,
            version: 1,
            erased_at: None,
        }
    }
}
