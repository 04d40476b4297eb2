//! How good a customer record is: three ratios and their weighted mean, computed with every write.
//!
//! - accuracy: mean over identities and contact points that count: 10,000 verified and unsuspicious,
//!   5,000 unverified or with a warning, 0 failed; 0 when there are none;
//! - completeness: weights of the filled fields over all weights, as `completeness` lists them;
//! - consistency: share of the applicable checks, as `consistency` lists them, that hold; 10,000 when none applies;
//! - score: 40 % accuracy, 35 % completeness, 25 % consistency.

use diesel::RunQueryDsl;
use kehu_kernel::{
    AnyId, BasisPoints, Conn, Date, Money, Result, Tx,
    store::{given, places},
};

use crate::{
    CustomerId, CustomerRow,
    contact_point::{ContactPoint, ContactPointKind},
    customer::DataQuality,
    facts::{Facts, Known},
    identity::{Identity, IdentityType, NUMBER, VerificationState},
    profile::Gender,
    rules::resident_id,
};

/// Version of the formulas: a new number whenever the same facts could come out differently.
pub const VERSION: i32 = 1;
/// What each ratio weighs in the score, in percent: accuracy, completeness, consistency.
pub const WEIGHTS: [i64; 3] = [40, 35, 25];
/// How many customers one statement rates.
const TOGETHER: usize = 500;
/// What holds wholly.
const WHOLE: i64 = 10_000;

/// One thing that a ratio looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code of what was looked for.
    pub code: &'static str,
    /// The field, or the list of records, that it is about.
    pub field: &'static str,
    /// The record of the list.
    pub record: Option<AnyId>,
    /// How much it counts among its like.
    pub weight: i64,
    /// What it is worth: 10,000 when all is well, 0 when it is missing or does not hold.
    pub worth: i64,
}

impl Finding {
    const fn new(code: &'static str, field: &'static str, holds: bool) -> Self {
        Self { code, field, record: None, weight: 1, worth: if holds { WHOLE } else { 0 } }
    }

    const fn filled(weight: i64, field: &'static str, filled: bool) -> Self {
        Self { weight, ..Self::new("filled", field, filled) }
    }

    /// Whether all is well.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.worth == WHOLE
    }
}

/// Everything that the ratios of a customer rest on.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Identities and contact points, by how far they are verified.
    pub accuracy: Vec<Finding>,
    /// Fields, by whether they are filled.
    pub completeness: Vec<Finding>,
    /// Checks of facts against each other.
    pub consistency: Vec<Finding>,
}

impl Findings {
    /// Looks at all facts. Resident ids are opened, because they tell date of birth and gender.
    ///
    /// # Errors
    /// [`kehu_kernel::Error::Internal`] when a sealed number does not open.
    pub fn of(conn: &Conn, facts: &Facts<'_>) -> Result<Self> {
        let accuracy = facts.identities.iter().map(identity_accuracy).chain(facts.contact_points.iter().map(contact_accuracy));
        let (completeness, consistency) = (completeness(facts), consistency(conn, facts)?);
        Ok(Self { accuracy: accuracy.collect(), completeness, consistency })
    }

    /// The ratios.
    #[must_use]
    pub fn ratios(&self) -> DataQuality {
        let accuracy = mean(&self.accuracy).unwrap_or(0);
        let completeness = mean(&self.completeness).unwrap_or(0);
        let consistency = mean(&self.consistency).unwrap_or(WHOLE);
        let [of_accuracy, of_completeness, of_consistency] = WEIGHTS;
        let score = (of_accuracy * accuracy + of_completeness * completeness + of_consistency * consistency) / 100;
        DataQuality {
            accuracy_bp: ratio(accuracy),
            completeness_bp: ratio(completeness),
            consistency_bp: ratio(consistency),
            score_bp: ratio(score),
        }
    }
}

/// Computes the ratios.
///
/// # Errors
/// As [`Findings::of`].
pub fn assess(conn: &Conn, facts: &Facts<'_>) -> Result<DataQuality> {
    Ok(Findings::of(conn, facts)?.ratios())
}

/// Computes the ratios of customers anew and keeps them; their versions stay, because nobody changed them.
///
/// # Errors
/// The database's.
pub(crate) fn keep(tx: &mut Tx<'_>, known: &Known) -> Result<()> {
    let mut changed = Vec::new();
    for facts in known.all() {
        let quality = assess(tx, &facts)?;
        if quality != facts.customer.quality() {
            changed.push((facts.customer.id, quality));
        }
    }
    match changed.as_slice() {
        [(id, quality)] => keep_one(tx, *id, quality),
        some => some.chunks(TOGETHER).try_for_each(|some| keep_some(tx, some)),
    }
}

/// Most writes are of one customer: a statement that is always the same.
fn keep_one(tx: &mut Tx<'_>, id: CustomerId, quality: &DataQuality) -> Result<()> {
    let text = "UPDATE customers SET accuracy_bp = {}, completeness_bp = {}, consistency_bp = {}, quality_score_bp = {}
                WHERE id = {}";
    let [accuracy, completeness, consistency, score] = quality.ratios().map(Into::into);
    given::<()>(text, vec![accuracy, completeness, consistency, score, id.into()]).execute(&mut tx.db)?;
    Ok(())
}

fn keep_some(tx: &mut Tx<'_>, some: &[(CustomerId, DataQuality)]) -> Result<()> {
    let text = format!(
        "UPDATE customers SET accuracy_bp = v.column2, completeness_bp = v.column3, consistency_bp = v.column4,
         quality_score_bp = v.column5 FROM (VALUES {}) AS v WHERE customers.id = v.column1",
        places(some.len(), 5)
    );
    let row = |(id, quality): &(CustomerId, DataQuality)| std::iter::once((*id).into()).chain(quality.ratios().map(Into::into));
    given::<()>(text, some.iter().flat_map(row).collect()).execute(&mut tx.db)?;
    Ok(())
}

impl DataQuality {
    /// In the order of their columns.
    const fn ratios(&self) -> [BasisPoints; 4] {
        [self.accuracy_bp, self.completeness_bp, self.consistency_bp, self.score_bp]
    }
}

impl CustomerRow {
    /// The ratios as they are kept.
    #[must_use]
    pub const fn quality(&self) -> DataQuality {
        DataQuality {
            accuracy_bp: self.accuracy_bp,
            completeness_bp: self.completeness_bp,
            consistency_bp: self.consistency_bp,
            score_bp: self.quality_score_bp,
        }
    }

    /// Takes over the ratios.
    pub fn rate(&mut self, quality: DataQuality) {
        self.accuracy_bp = quality.accuracy_bp;
        self.completeness_bp = quality.completeness_bp;
        self.consistency_bp = quality.consistency_bp;
        self.quality_score_bp = quality.score_bp;
    }
}

fn identity_accuracy(identity: &Identity) -> Finding {
    let worth = match (identity.verification.state, identity.warnings.0.is_empty()) {
        (VerificationState::Verified, true) => WHOLE,
        (VerificationState::Failed, _) => 0,
        _ => WHOLE / 2,
    };
    Finding { record: Some(identity.id.cast()), worth, ..Finding::new("verified", "identities", true) }
}

fn contact_accuracy(point: &ContactPoint) -> Finding {
    let worth = if point.verified_at.is_some() { WHOLE } else { WHOLE / 2 };
    Finding { record: Some(point.id.cast()), worth, ..Finding::new("verified", "contact_points", true) }
}

/// Weight of each field, and whether it is filled.
fn completeness(facts: &Facts<'_>) -> Vec<Finding> {
    let filled = Finding::filled;
    let reached_by = |kind| facts.contact_points.iter().any(|point| point.kind == kind);
    let mut fields = vec![
        filled(3, "identities", !facts.identities.is_empty()),
        filled(2, "contact_points.phone", reached_by(ContactPointKind::Phone)),
        filled(1, "contact_points.email", reached_by(ContactPointKind::Email) || reached_by(ContactPointKind::Wechat)),
        filled(2, "contact_points.postal_address", reached_by(ContactPointKind::PostalAddress)),
        filled(1, "home_branch_id", facts.customer.home_branch_id.is_some()),
    ];
    if let Some(person) = facts.personal {
        fields.extend([
            filled(1, "personal.gender", person.gender.is_some()),
            filled(2, "personal.birth_date", person.birth_date.is_some()),
            filled(1, "personal.nationality", person.nationality.is_some()),
            filled(1, "personal.education", person.education.is_some()),
            filled(1, "personal.occupation", person.occupation.is_some()),
            filled(1, "personal.residence_region", person.residence_region.is_some()),
        ]);
    }
    if let Some(organisation) = facts.organisation {
        let capital: Option<Money> = organisation.registered_capital.into();
        fields.extend([
            filled(2, "organisation.unified_social_credit_code", organisation.unified_social_credit_code.is_some()),
            filled(1, "organisation.legal_form", organisation.legal_form.is_some()),
            filled(2, "organisation.industry", organisation.industry.is_some()),
            filled(1, "organisation.founded_on", organisation.founded_on.is_some()),
            filled(1, "organisation.registered_capital", capital.is_some()),
            filled(1, "organisation.employees", organisation.employees.is_some()),
            filled(1, "organisation.operating_status", organisation.operating_status.is_some()),
        ]);
    }
    fields
}

/// The checks that apply, and whether each holds.
fn consistency(conn: &Conn, facts: &Facts<'_>) -> Result<Vec<Finding>> {
    let today: Date = conn.now.date();
    let check = Finding::new;
    let in_time = |identity: &Identity| {
        let holds = identity.expires_on? >= today;
        Some(Finding { record: Some(identity.id.cast()), ..check("identity_in_time", "identities", holds) })
    };
    let mut checks: Vec<Finding> = facts.identities.iter().filter_map(in_time).collect();
    for identity in facts.identities {
        let number = || conn.keys.open(NUMBER, identity.id, &identity.number_sealed);
        match (identity.identity_type, facts.personal, facts.organisation) {
            (IdentityType::ResidentId, Some(person), _) => {
                if let Ok(told) = resident_id::check(&number()?, today) {
                    let born = person.birth_date.map(|date| date == told.born_on);
                    checks.extend(born.map(|holds| check("birth_date_of_resident_id", "personal.birth_date", holds)));
                    let gender = if told.female { Gender::Female } else { Gender::Male };
                    let stated = person.gender.map(|stated| stated == gender);
                    checks.extend(stated.map(|holds| check("gender_of_resident_id", "personal.gender", holds)));
                }
            }
            (IdentityType::UnifiedSocialCreditCode, _, Some(organisation)) => {
                if let Some(code) = &organisation.unified_social_credit_code {
                    let field = "organisation.unified_social_credit_code";
                    checks.push(check("credit_code_of_identity", field, *code == number()?));
                }
            }
            _ => {}
        }
    }
    if let Some(person) = facts.personal {
        let parts = person.family_name.as_deref().zip(person.given_name.as_deref());
        let whole = |(family, given)| person.full_name.contains(family) && person.full_name.contains(given);
        checks.extend(parts.map(|parts| check("full_name_of_parts", "personal.full_name", whole(parts))));
        let died = facts.customer.deceased_on.zip(person.birth_date).map(|(died, born)| born <= died);
        checks.extend(died.map(|holds| check("birth_before_death", "deceased_on", holds)));
    }
    Ok(checks)
}

/// The mean by weight; nothing when nothing was looked at.
fn mean(findings: &[Finding]) -> Option<i64> {
    let weight: i64 = findings.iter().map(|finding| finding.weight).sum();
    let worth: i64 = findings.iter().map(|finding| finding.weight * finding.worth).sum();
    (weight > 0).then(|| worth / weight)
}

fn ratio(value: i64) -> BasisPoints {
    BasisPoints(i32::try_from(value).unwrap_or(0))
}
