//! What rules may ask of customers: their records, profiles, tags and contact points; and customers chosen by a rule.

mod asked;
mod divisions;

use kehu_kernel::{
    rule::{BRANCHES, Collection, Field, FieldType},
    rule_fields,
};

pub use asked::{Asked, shown};
pub use divisions::Divisions;

use crate::{
    CustomerKind, CustomerStatus, LifeCycleStage,
    contact_point::ContactPointKind,
    customer::{PreferredChannel, PreferredLanguage},
    profile::{Education, Gender, MaritalStatus, RiskTolerance},
};

rule_fields! {
    /// The customer itself.
    pub const CUSTOMER: Public, None;
    "number", FieldType::Text, "customers.number", "Number of the customer";
    "kind", FieldType::Word(CustomerKind::WORDS), "customers.kind", "What kind of customer it is";
    "status", FieldType::Word(CustomerStatus::WORDS), "customers.status", "Status of the customer";
    "life_cycle_stage", FieldType::Word(LifeCycleStage::WORDS), "customers.life_cycle_stage", "Life-cycle stage";
    "tier", FieldType::Text, "customers.tier", "Service tier, a code of the bank's own";
    "owner", FieldType::Id, "customers.owner_id", "Relationship manager, by the id of the staff record";
    "branch", BRANCHES, "customers.home_branch_id", "Branch that keeps the customer, by its code";
    "preferred_language", FieldType::Word(PreferredLanguage::WORDS), "customers.preferred_language", "Language of address";
    "preferred_channel", FieldType::Word(PreferredChannel::WORDS), "customers.preferred_channel", "Preferred way of contact";
    "fraud_flag", FieldType::Flag, "customers.fraud_flag", "Whether fraud is suspected";
    "deceased_on", FieldType::Date, "customers.deceased_on", "Day of death";
    "data_quality_bp", FieldType::Number, "customers.quality_score_bp", "Quality of the record, in basis points";
    "review_due_on", FieldType::Date, "customers.review_due_on", "Day on which the record is to be reviewed";
    "created_at", FieldType::Instant, "customers.created_at", "When the record was made";
    "updated_at", FieldType::Instant, "customers.updated_at", "When the record was last changed";
}

rule_fields! {
    /// Ratings of risk.
    pub const RATINGS: Sensitive, None;
    "credit_rating", FieldType::Text, "customers.credit_rating", "Credit rating, a code of the bank's";
    "market_rating", FieldType::Text, "customers.market_rating", "Market rating, a code of the bank's";
    "operational_rating", FieldType::Text, "customers.operational_rating", "Operational rating, a code of the bank's";
    "rated_on", FieldType::Date, "customers.rated_on", "Day of the ratings";
}

/// Where the profile of a person stands. What became another kind of customer may have left one.
const PERSON: Option<&str> =
    Some("personal_profiles WHERE personal_profiles.customer_id = customers.id AND customers.kind = 'personal'");

rule_fields! {
    /// The profile of a person.
    pub const PERSONAL: Public, PERSON;
    "gender", FieldType::Word(Gender::WORDS), "personal_profiles.gender", "Gender";
    "birth_date", FieldType::Date, "personal_profiles.birth_date", "Date of birth";
    "nationality", FieldType::Text, "personal_profiles.nationality", "Nationality, ISO 3166-1 alpha-2";
    "education", FieldType::Word(Education::WORDS), "personal_profiles.education", "Highest education";
    "occupation", FieldType::Text, "personal_profiles.occupation", "Occupation";
    "employer", FieldType::Text, "personal_profiles.employer", "Name of the employer";
    "residence_region", FieldType::Text, "personal_profiles.residence_region", "Region of residence";
}

rule_fields! {
    /// What of the profile of a person is sensitive.
    pub const PERSONAL_SENSITIVE: Sensitive, PERSON;
    "marital_status", FieldType::Word(MaritalStatus::WORDS), "personal_profiles.marital_status", "Marital status";
    "dependants", FieldType::Number, "personal_profiles.dependants", "How many people depend on this one";
    "income_band", FieldType::Text, "personal_profiles.income_band", "Income band, a code of the bank's";
    "assets_band", FieldType::Text, "personal_profiles.assets_band", "Band of assets, a code of the bank's";
    "risk_tolerance", FieldType::Word(RiskTolerance::WORDS), "personal_profiles.risk_tolerance", "How much risk the person bears";
}

rule_fields! {
    /// The profile of an organisation.
    pub const ORGANISATION: Public,
        Some("organisation_profiles WHERE organisation_profiles.customer_id = customers.id AND customers.kind <> 'personal'");
    "nature", FieldType::Text, "organisation_profiles.nature", "Nature of the organisation";
    "legal_form", FieldType::Text, "organisation_profiles.legal_form", "Legal form";
    "industry", FieldType::Text, "organisation_profiles.industry", "Industry, a code of a standard classification";
    "founded_on", FieldType::Date, "organisation_profiles.founded_on", "Day of foundation";
    "registered_capital", FieldType::Money("organisation_profiles.registered_capital_currency"),
        "organisation_profiles.registered_capital_minor", "Registered capital";
    "employees", FieldType::Number, "organisation_profiles.employees", "Number of employees";
    "revenue_band", FieldType::Text, "organisation_profiles.revenue_band", "Band of revenue, a code of the bank's";
    "operating_status", FieldType::Text, "organisation_profiles.operating_status", "Operating status";
    "listed_code", FieldType::Text, "organisation_profiles.listed_code", "Code at the stock exchange";
}

rule_fields! {
    /// A tag of a customer.
    const TAG: Internal, None;
    "code", FieldType::Text, "tags.code", "Code of the tag";
    "value", FieldType::Text, "customer_tags.value", "Value of the tag";
    "confidence_bp", FieldType::Number, "customer_tags.confidence_bp", "How sure it is, in basis points";
    "valid_from", FieldType::Date, "customer_tags.valid_from", "First day";
}

rule_fields! {
    /// A contact point of a customer.
    const CONTACT_POINT: Internal, None;
    "kind", FieldType::Word(ContactPointKind::WORDS), "contact_points.kind", "What kind of contact point it is";
    "preferred", FieldType::Flag, "contact_points.preferred", "Whether it is the preferred one of its kind";
    "do_not_contact", FieldType::Flag, "contact_points.do_not_contact", "Whether it must not be used";
    "verified_at", FieldType::Instant, "contact_points.verified_at", "When it was verified";
    "country", FieldType::Text, "contact_points.country", "Country of an address, ISO 3166-1 alpha-2";
    "province", FieldType::Text, "contact_points.province", "Province of an address";
    "city", FieldType::Text, "contact_points.city", "City of an address";
    "district", FieldType::Text, "contact_points.district", "District of an address";
    "postcode", FieldType::Text, "contact_points.postcode", "Postcode of an address";
}

/// The fields of a customer.
pub const FIELDS: &[&[Field]] = &[CUSTOMER, RATINGS, PERSONAL, PERSONAL_SENSITIVE, ORGANISATION];

/// What belongs to a customer.
pub const COLLECTIONS: &[Collection] = &[
    Collection {
        name: "tags",
        from: "customer_tags JOIN tags ON tags.id = customer_tags.tag_id",
        // A list by a sensitive tag would show a sensitive fact of everybody on it.
        key: "customer_tags.customer_id",
        of: "tags.field_class <> 'sensitive' AND customer_tags.valid_from <= {} AND (customer_tags.valid_to IS NULL OR customer_tags.valid_to > {})",
        once: None,
        fields: TAG,
        action: None,
        beyond: false,
        shared: &["tag."],
        meaning: "Tags that the customer has today, but for sensitive ones",
    },
    Collection {
        name: "contact_points",
        from: "contact_points",
        key: "contact_points.customer_id",
        of: "(contact_points.valid_from IS NULL OR contact_points.valid_from <= {})
             AND (contact_points.valid_to IS NULL OR contact_points.valid_to > {})",
        once: None,
        fields: CONTACT_POINT,
        action: None,
        beyond: false,
        shared: &[],
        meaning: "Phones, addresses and other contact points that are in use today",
    },
];
