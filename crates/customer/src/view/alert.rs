//! What needs attention: derived from facts that are held, each time a view is made, and kept nowhere.

use kehu_kernel::{BasisPoints, Date, Reference, text_enum};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Customer, CustomerKind,
    identity::{Identity, VerificationState},
};

/// For how many days before its last one a document is said to expire.
pub const EXPIRING_DAYS: i64 = 60;

/// Below which score a record is said to be of low quality.
pub const LOW_QUALITY: BasisPoints = BasisPoints(5_000);

/// The most alerts that a view shows.
const SHOWN: usize = 50;

text_enum! {
    /// What needs attention.
    pub enum AlertKind {
        /// Fraud is suspected: critical.
        FraudSuspected = "fraud_suspected",
        /// The customer has died: critical.
        Deceased = "deceased",
        /// A document was checked and does not hold: critical.
        IdentityFailed = "identity_failed",
        /// Data may not be erased, for a legal reason: warning.
        LegalHold = "legal_hold",
        /// Other records may be the same customer: warning.
        PossibleDuplicates = "possible_duplicates",
        /// A loan is in arrears, or was not paid back: warning.
        LoanOverdue = "loan_overdue",
        /// The last day of a document is over: warning.
        IdentityExpired = "identity_expired",
        /// There is no document: warning.
        NoIdentity = "no_identity",
        /// The record should have been checked with the customer: warning.
        ReviewOverdue = "review_overdue",
        /// The last day of a document is within 60 days: info.
        IdentityExpiring = "identity_expiring",
        /// Nobody has checked a document: info.
        IdentityUnverified = "identity_unverified",
        /// The score of data quality is below 50 %: info.
        LowDataQuality = "low_data_quality",
    }
}

text_enum! {
    /// How urgent an alert is.
    pub enum AlertSeverity {
        /// Stop and look first.
        Critical = "critical",
        /// Mend it soon.
        Warning = "warning",
        /// Good to know.
        Info = "info",
    }
}

impl AlertKind {
    /// How urgent it is.
    #[must_use]
    pub const fn severity(self) -> AlertSeverity {
        match self {
            Self::FraudSuspected | Self::Deceased | Self::IdentityFailed => AlertSeverity::Critical,
            Self::LegalHold
            | Self::PossibleDuplicates
            | Self::LoanOverdue
            | Self::IdentityExpired
            | Self::NoIdentity
            | Self::ReviewOverdue => AlertSeverity::Warning,
            Self::IdentityExpiring | Self::IdentityUnverified | Self::LowDataQuality => AlertSeverity::Info,
        }
    }

    /// Whether customers are told of themselves.
    #[must_use]
    pub const fn for_customer(self) -> bool {
        matches!(self, Self::LoanOverdue | Self::IdentityExpired | Self::IdentityExpiring)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::FraudSuspected => "Fraud is suspected.",
            Self::Deceased => "The customer has died.",
            Self::IdentityFailed => "An identity document was checked and does not hold.",
            Self::LegalHold => "Data may not be erased, for a legal reason.",
            Self::PossibleDuplicates => "Other records may be the same customer.",
            Self::LoanOverdue => "A loan is in arrears.",
            Self::IdentityExpired => "An identity document has expired.",
            Self::NoIdentity => "There is no identity document on record.",
            Self::ReviewOverdue => "The record is due to be checked with the customer.",
            Self::IdentityExpiring => "An identity document is about to expire.",
            Self::IdentityUnverified => "Nobody has checked an identity document.",
            Self::LowDataQuality => "The record is of low quality.",
        }
    }
}

/// Something about a customer that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CustomerAlert {
    /// What it is.
    pub kind: AlertKind,
    /// How urgent it is.
    pub severity: AlertSeverity,
    /// Since when; of what is yet to come, the day on which it will. Null when that is not known.
    pub since: Option<Date>,
    /// In words.
    #[schema(example = "An identity document has expired.", max_length = 200)]
    pub text: String,
    /// What it is about: a document, an account; null for what concerns the customer as a whole.
    pub reference: Option<Reference>,
}

impl CustomerAlert {
    /// An alert that concerns the customer as a whole.
    #[must_use]
    pub fn new(kind: AlertKind, since: Option<Date>) -> Self {
        Self { kind, severity: kind.severity(), since, text: kind.text().to_owned(), reference: None }
    }

    /// Names what it is about.
    #[must_use]
    pub fn about(self, reference: Reference) -> Self {
        Self { reference: Some(reference), ..self }
    }
}

/// Facts besides the customer's own that alerts are derived from.
#[derive(Clone, Debug, Default)]
pub struct Circumstances {
    /// Since when fraud is suspected, if that is on record.
    pub fraud_since: Option<Date>,
    /// Since when data may not be erased.
    pub held_since: Option<Date>,
    /// How many records may be the same customer, and since when the oldest of them.
    pub duplicates: Option<(i64, Option<Date>)>,
}

/// The alerts about a customer, the most urgent first. `identities` are absent where a view shows none.
#[must_use]
pub fn of(
    customer: &Customer,
    identities: Option<&[Identity]>,
    circumstances: &Circumstances,
    today: Date,
) -> Vec<CustomerAlert> {
    let alert = CustomerAlert::new;
    let mut alerts = Vec::new();
    if customer.fraud_flag == Some(true) {
        alerts.push(alert(AlertKind::FraudSuspected, circumstances.fraud_since));
    }
    alerts.extend(customer.deceased_on.map(|day| alert(AlertKind::Deceased, Some(day))));
    alerts.extend(circumstances.held_since.map(|day| alert(AlertKind::LegalHold, Some(day))));
    if let Some((count @ 1.., since)) = circumstances.duplicates {
        let text = format!("{count} other {} may be the same customer.", if count == 1 { "record" } else { "records" });
        alerts.push(CustomerAlert { text, ..alert(AlertKind::PossibleDuplicates, since) });
    }
    let overdue = customer.review_due_on.filter(|due| *due < today);
    alerts.extend(overdue.map(|due| alert(AlertKind::ReviewOverdue, Some(due))));
    if customer.data_quality.is_some_and(|quality| quality.score_bp < LOW_QUALITY) {
        alerts.push(alert(AlertKind::LowDataQuality, None));
    }
    if let Some(identities) = identities {
        alerts.extend(identities.iter().flat_map(|identity| of_identity(identity, today)));
        if identities.is_empty() && customer.kind == CustomerKind::Personal {
            alerts.push(alert(AlertKind::NoIdentity, None));
        }
    }
    alerts
}

/// Puts alerts in order, the most urgent first, and keeps as many as a view shows; and says how many there were.
#[must_use]
pub fn arranged(mut alerts: Vec<CustomerAlert>, for_customer: bool) -> (Vec<CustomerAlert>, i64) {
    alerts.retain(|alert| alert.kind.for_customer() || !for_customer);
    alerts.sort_by_key(|alert| (alert.severity, alert.kind, alert.since));
    let count = i64::try_from(alerts.len()).unwrap_or(i64::MAX);
    alerts.truncate(SHOWN);
    (alerts, count)
}

fn of_identity(identity: &Identity, today: Date) -> Vec<CustomerAlert> {
    let about = |kind, since| CustomerAlert::new(kind, since).about(Reference::new(identity.id, identity.number.clone()));
    let mut alerts = Vec::new();
    match identity.verification.state {
        VerificationState::Failed => {
            alerts.push(about(AlertKind::IdentityFailed, identity.verification.at.map(|at| at.date())));
        }
        VerificationState::Unverified => alerts.push(about(AlertKind::IdentityUnverified, Some(identity.created_at.date()))),
        VerificationState::Verified => {}
    }
    match identity.expires_on {
        Some(last) if last < today => alerts.push(about(AlertKind::IdentityExpired, Some(last.next()))),
        Some(last) if last <= today.plus_days(EXPIRING_DAYS) => alerts.push(about(AlertKind::IdentityExpiring, Some(last))),
        _ => {}
    }
    alerts
}
