//! How good a customer record is: three ratios and their weighted mean, computed with every write.
//!
//! - accuracy: mean over identities and contact points that count: 10,000 verified and unsuspicious,
//!   5,000 unverified or with a warning, 0 failed; 0 when there are none;
//! - completeness: weights of the filled fields over all weights, as `completeness` lists them;
//! - consistency: share of the applicable checks, as `consistency` lists them, that hold; 10,000 when none applies;
//! - score: 40 % accuracy, 35 % completeness, 25 % consistency.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{BasisPoints, Conn, Date, Money, Result, Tx, schema::customers};

use crate::{
    CustomerRow,
    contact_point::{ContactPoint, ContactPointKind},
    customer::DataQuality,
    facts::Facts,
    identity::{Identity, IdentityType, NUMBER, VerificationState},
    profile::Gender,
    rules::resident_id,
};

/// Computes the ratios. Resident ids are opened, because they tell date of birth and gender.
///
/// # Errors
/// [`kehu_kernel::Error::Internal`] when a sealed number does not open.
pub fn assess(conn: &Conn, facts: &Facts<'_>) -> Result<DataQuality> {
    let accuracy = mean(facts.identities.iter().map(identity_accuracy).chain(facts.contact_points.iter().map(contact_accuracy)));
    let filled = completeness(facts);
    let total: i64 = filled.iter().map(|(weight, _)| weight).sum();
    let reached: i64 = filled.iter().filter(|(_, filled)| *filled).map(|(weight, _)| weight).sum();
    let checks = consistency(conn, facts)?;
    let held = mean(checks.iter().map(|holds| if *holds { 10_000 } else { 0 }));
    let consistency = if checks.is_empty() { 10_000 } else { held };
    let completeness = if total == 0 { 0 } else { reached * 10_000 / total };
    Ok(DataQuality {
        accuracy_bp: ratio(accuracy),
        completeness_bp: ratio(completeness),
        consistency_bp: ratio(consistency),
        score_bp: ratio((40 * accuracy + 35 * completeness + 25 * consistency) / 100),
    })
}

/// Computes the ratios of a customer anew and keeps them; its version stays, because nobody changed it.
///
/// # Errors
/// The database's.
pub(crate) fn keep(tx: &mut Tx<'_>, facts: &Facts<'_>) -> Result<()> {
    let quality = assess(tx, facts)?;
    let row = facts.customer;
    if quality == row.quality() {
        return Ok(());
    }
    diesel::update(customers::table.find(row.id))
        .set((
            customers::accuracy_bp.eq(quality.accuracy_bp),
            customers::completeness_bp.eq(quality.completeness_bp),
            customers::consistency_bp.eq(quality.consistency_bp),
            customers::quality_score_bp.eq(quality.score_bp),
        ))
        .execute(&mut tx.db)?;
    Ok(())
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

fn identity_accuracy(identity: &Identity) -> i64 {
    match (identity.verification.state, identity.warnings.0.is_empty()) {
        (VerificationState::Verified, true) => 10_000,
        (VerificationState::Failed, _) => 0,
        _ => 5_000,
    }
}

fn contact_accuracy(point: &ContactPoint) -> i64 {
    if point.verified_at.is_some() { 10_000 } else { 5_000 }
}

/// Weight of each field, and whether it is filled.
fn completeness(facts: &Facts<'_>) -> Vec<(i64, bool)> {
    let reached_by = |kind| facts.contact_points.iter().any(|point| point.kind == kind);
    let mut fields = vec![
        (3, !facts.identities.is_empty()),
        (2, reached_by(ContactPointKind::Phone)),
        (1, reached_by(ContactPointKind::Email) || reached_by(ContactPointKind::Wechat)),
        (2, reached_by(ContactPointKind::PostalAddress)),
        (1, facts.customer.home_branch_id.is_some()),
    ];
    if let Some(person) = facts.personal {
        fields.extend([
            (1, person.gender.is_some()),
            (2, person.birth_date.is_some()),
            (1, person.nationality.is_some()),
            (1, person.education.is_some()),
            (1, person.occupation.is_some()),
            (1, person.residence_region.is_some()),
        ]);
    }
    if let Some(organisation) = facts.organisation {
        let capital: Option<Money> = organisation.registered_capital.into();
        fields.extend([
            (2, organisation.unified_social_credit_code.is_some()),
            (1, organisation.legal_form.is_some()),
            (2, organisation.industry.is_some()),
            (1, organisation.founded_on.is_some()),
            (1, capital.is_some()),
            (1, organisation.employees.is_some()),
            (1, organisation.operating_status.is_some()),
        ]);
    }
    fields
}

/// The checks that apply, and whether each holds.
fn consistency(conn: &Conn, facts: &Facts<'_>) -> Result<Vec<bool>> {
    let today: Date = conn.now.date();
    let mut checks: Vec<bool> =
        facts.identities.iter().filter_map(|identity| identity.expires_on).map(|expires_on| expires_on >= today).collect();
    for identity in facts.identities {
        let number = || conn.keys.open(NUMBER, identity.id, &identity.number_sealed);
        match (identity.identity_type, facts.personal, facts.organisation) {
            (IdentityType::ResidentId, Some(person), _) => {
                if let Ok(told) = resident_id::check(&number()?, today) {
                    checks.extend(person.birth_date.map(|date| date == told.born_on));
                    let gender = if told.female { Gender::Female } else { Gender::Male };
                    checks.extend(person.gender.map(|stated| stated == gender));
                }
            }
            (IdentityType::UnifiedSocialCreditCode, _, Some(organisation)) => {
                if let Some(code) = &organisation.unified_social_credit_code {
                    checks.push(*code == number()?);
                }
            }
            _ => {}
        }
    }
    if let Some(person) = facts.personal {
        let parts = person.family_name.as_deref().zip(person.given_name.as_deref());
        checks.extend(parts.map(|(family, given)| person.full_name.contains(family) && person.full_name.contains(given)));
        checks.extend(facts.customer.deceased_on.zip(person.birth_date).map(|(died, born)| born <= died));
    }
    Ok(checks)
}

fn mean(values: impl Iterator<Item = i64>) -> i64 {
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0 } else { sum / count }
}

fn ratio(value: i64) -> BasisPoints {
    BasisPoints(i32::try_from(value).unwrap_or(0))
}
