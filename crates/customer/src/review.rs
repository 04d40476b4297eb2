//! Keeping profiles true: the work list of stale or doubtful ones, why a score is what it is, and the mark that
//! somebody has checked a profile with the customer.

use std::{collections::HashMap, time::Duration};

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, BasisPoints, Conn, Date, Error, Explanation, Page, PageParams, Result, Tx,
    access::Reach,
    event::NewEvent,
    schema::{branches, customers, identities},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{
    Customer, CustomerId, CustomerKind, CustomerRow,
    customer::DataQuality,
    facts::{Facts, Known},
    identity::VerificationState,
    list, present,
    quality::{self, Finding, Findings},
    scope,
};

/// Below this score a profile is doubtful.
const DOUBTFUL: BasisPoints = BasisPoints(5_000);
/// After so many days without a change a profile is stale, unless a list asks for another number.
const STALE_DAYS: i64 = 730;
/// When a profile that was reviewed is due again, in days: an organisation, or whoever's profile is doubtful; and
/// everybody else.
const DUE_DAYS: [i64; 2] = [365, 730];

text_enum! {
    /// Why a profile is on the work list.
    pub enum DoubtReason {
        /// The day on which it was to be checked with the customer has passed.
        ReviewDue = "review_due",
        /// Nobody has changed it for long.
        NotUpdated = "not_updated",
        /// Its score is below 5,000 basis points.
        LowScore = "low_score",
        /// An identity document failed its check.
        FailedIdentity = "failed_identity",
        /// An identity document has expired.
        ExpiredIdentity = "expired_identity",
        /// Facts contradict each other. As a filter it also finds profiles whose documents have expired: the kept
        /// ratio of consistency counts both.
        Contradiction = "contradiction",
    }
}

/// Filters of the work list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DoubtFilter {
    /// Only profiles that are there for this reason, whatever else is doubtful about them.
    #[param(inline, example = "review_due")]
    pub reason: Option<DoubtReason>,
    /// Only customers that the branch with this code, or one below it, keeps.
    #[param(max_length = 32, example = "SH")]
    pub branch: Option<String>,
    /// Only customers of this relationship manager.
    pub owner_id: Option<AnyId>,
    /// Only profiles whose score is at most this, in basis points.
    #[param(minimum = 0, maximum = 10000, example = 6000)]
    pub max_score_bp: Option<i32>,
    /// After how many days without a change a profile counts as not updated, 1 to 3,650; 730 unless given.
    #[param(minimum = 1, maximum = 3650, example = 730)]
    pub stale_after_days: Option<i64>,
}

/// A profile that is stale or doubtful.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DoubtfulProfile {
    /// The customer, without sensitive fields.
    pub customer: Customer,
    /// Why it is here, the gravest first.
    #[schema(max_items = 100)]
    pub reasons: Vec<Doubt>,
}

/// One reason why a profile is stale or doubtful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Doubt {
    /// The kind of reason.
    pub code: DoubtReason,
    /// The reason in words.
    #[schema(example = "The date of birth is not that of the resident id.", max_length = 200)]
    pub text: String,
    /// The field that it is about; null when it is the profile as a whole.
    #[schema(example = "personal.birth_date", max_length = 64)]
    pub field: Option<String>,
    /// The record that it is about, such as an identity document.
    pub record_id: Option<AnyId>,
}

/// Why a profile's score is what it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerDataQuality {
    /// The customer.
    pub customer_id: CustomerId,
    /// The ratios and the score, as of now.
    pub data_quality: DataQuality,
    /// Each field and each check with its weight and outcome.
    pub explanation: Explanation,
    /// What is to be done about it: the reasons for which it would be on the work list.
    #[schema(max_items = 100)]
    pub reasons: Vec<Doubt>,
}

/// A review: somebody has checked the profile with the customer.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerReview {
    /// When it is due again; unless given, in two years, for organisations and doubtful profiles in one.
    pub next_review_on: Option<Date>,
}

/// The work list: profiles within reach that are stale or doubtful, the worst score first.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.read`, and for customers; [`Error::Invalid`] for a bad filter or page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &DoubtFilter, params: &PageParams) -> Result<Page<DoubtfulProfile>> {
    let reach = actor.allow(Action::CustomerRead)?;
    scope::refuse_customers(actor)?;
    let wanted = Wanted::of(conn, filter, reach)?;
    let window = params.window::<(i32, CustomerId)>(&conn.keys, &format!("data-quality?{filter:?}"))?;
    let total = if window.include_total { Some(wanted.matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = wanted
        .matching()
        .order((customers::quality_score_bp, customers::id))
        .limit(window.fetch())
        .select(CustomerRow::as_select());
    if let Some((score, id)) = window.after {
        let beyond = customers::quality_score_bp.gt(BasisPoints(score)).or(customers::id.gt(id));
        query = query.filter(customers::quality_score_bp.ge(BasisPoints(score)).and(beyond));
    }
    let rows: Vec<CustomerRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &CustomerRow| (row.quality_score_bp.0, row.id))?;
    let ids: Vec<CustomerId> = page.items.iter().map(|row| row.id).collect();
    let known = Known::load(conn, &ids)?;
    let mut doubts: HashMap<CustomerId, Vec<Doubt>> = HashMap::new();
    for facts in known.all() {
        doubts.insert(facts.customer.id, wanted.doubts(&facts, &Findings::of(conn, &facts)?));
    }
    let shown = present::many(conn, actor, page.items, false)?;
    let with_reasons =
        |customer: Customer| DoubtfulProfile { reasons: doubts.remove(&customer.id).unwrap_or_default(), customer };
    Ok(Page { items: shown.into_iter().map(with_reasons).collect(), next_cursor: page.next_cursor, total: page.total })
}

/// Why a customer's score is what it is.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] without `customer.read`, and for customers.
pub fn explain(conn: &mut Conn, actor: &Actor, id: CustomerId) -> Result<CustomerDataQuality> {
    scope::require_inside(conn, actor, Action::CustomerRead, id)?;
    let wanted = Wanted::of(conn, &DoubtFilter::default(), Reach::All)?;
    let known = Known::load(conn, &[id])?;
    let facts = known.all().next().ok_or(Error::NotFound)?;
    let findings = Findings::of(conn, &facts)?;
    let data_quality = findings.ratios();
    let reasons = wanted.doubts(&facts, &findings);
    Ok(CustomerDataQuality { customer_id: id, data_quality, explanation: explanation(&findings, data_quality), reasons })
}

fn explanation(findings: &Findings, found: DataQuality) -> Explanation {
    let [accuracy, completeness, consistency] = quality::WEIGHTS;
    let mut explanation = Explanation::new("customer.data_quality", quality::VERSION)
        .input("weights_percent", json!({ "accuracy": accuracy, "completeness": completeness, "consistency": consistency }))
        .input("ratios", json!(found));
    let ratios =
        [("accuracy", &findings.accuracy), ("completeness", &findings.completeness), ("consistency", &findings.consistency)];
    for (ratio, of) in ratios {
        let weights: i64 = of.iter().map(|finding| finding.weight).sum();
        for finding in of {
            let record = finding.record.map(|id| format!(" {id}")).unwrap_or_default();
            let check = format!("{ratio}: {} {}{record}", finding.field, finding.code);
            let detail = format!("worth {} of 10000, weight {} of {weights}", finding.worth, finding.weight);
            explanation.step(&check, finding.holds(), detail);
        }
    }
    explanation
}

/// Marks a profile as checked with the customer, and says when it is due again. Who did so and when stands in the
/// event.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::PreconditionFailed`]; [`Error::Invalid`] for a day that has passed.
pub fn review(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId, version: i64, review: &CustomerReview) -> Result<Customer> {
    scope::require_inside(tx, actor, Action::CustomerWrite, id)?;
    let mut row = scope::lock(tx, actor, Action::CustomerWrite, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    let today = tx.now.date();
    if review.next_review_on.is_some_and(|day| day <= today) {
        return Err(Error::invalid("/next_review_on", "not_in_future", "The next review lies after today."));
    }
    let [soon, late] = DUE_DAYS;
    let doubtful = row.kind != CustomerKind::Personal || row.quality_score_bp < DOUBTFUL;
    let due = review.next_review_on.unwrap_or_else(|| today.plus_days(if doubtful { soon } else { late }));
    row.review_due_on = Some(due);
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(customers::table.find(id))
        .set((customers::review_due_on.eq(due), customers::updated_at.eq(tx.now), customers::version.eq(row.version)))
        .execute(&mut tx.db)?;
    tx.emit(actor, NewEvent::new("customer.reviewed", id, json!({ "review_due_on": due })).of_customer(id));
    present::disclose_row(tx, actor, &row)
}

/// Which profiles are wanted, with what the filter leaves open filled in.
struct Wanted {
    filter: DoubtFilter,
    reach: Reach,
    subtree: Option<String>,
    today: Date,
    stale_before: kehu_kernel::Instant,
}

impl Wanted {
    fn of(conn: &mut Conn, filter: &DoubtFilter, reach: Reach) -> Result<Self> {
        let days = filter.stale_after_days.unwrap_or(STALE_DAYS);
        if !(1..=3_650).contains(&days) {
            return Err(Error::invalid("?stale_after_days", "out_of_range", "A profile is stale after 1 to 3650 days."));
        }
        if filter.max_score_bp.is_some_and(|score| !(0..=10_000).contains(&score)) {
            return Err(Error::invalid("?max_score_bp", "out_of_range", "A score is 0 to 10000."));
        }
        let subtree = filter.branch.as_deref().map(|code| list::subtree(conn, code)).transpose()?;
        let days = u64::try_from(days).map_err(Error::internal)?;
        let stale_before = conn.now.minus(Duration::from_secs(days * 24 * 3600));
        Ok(Self { filter: filter.clone(), reach, subtree, today: conn.now.date(), stale_before })
    }

    fn matching<'a>(&self) -> customers::BoxedQuery<'a, MultiBackend> {
        let mut query = customers::table.filter(scope::visible_to(&self.reach)).into_boxed();
        if let Some(path) = &self.subtree {
            let (from, to) = Reach::path_range(path);
            let below = branches::table.filter(branches::path.ge(from).and(branches::path.lt(to))).select(branches::id);
            query = query.filter(customers::home_branch_id.assume_not_null().eq_any(below));
        }
        if let Some(owner) = self.filter.owner_id {
            query = query.filter(customers::owner_id.eq(owner));
        }
        if let Some(score) = self.filter.max_score_bp {
            query = query.filter(customers::quality_score_bp.le(BasisPoints(score)));
        }
        let due = customers::review_due_on.is_not_null().and(customers::review_due_on.assume_not_null().le(self.today));
        let stale = customers::updated_at.lt(self.stale_before);
        let low = customers::quality_score_bp.lt(DOUBTFUL);
        let failed = identities::table
            .filter(identities::ended_at.is_null())
            .filter(identities::verification.eq(VerificationState::Failed))
            .select(identities::customer_id);
        let expired = identities::table
            .filter(identities::ended_at.is_null())
            .filter(identities::expires_on.is_not_null())
            .filter(identities::expires_on.assume_not_null().lt(self.today))
            .select(identities::customer_id);
        let failed = customers::id.eq_any(failed);
        let expired = customers::id.eq_any(expired);
        // Documents that have expired make a record inconsistent, too; they are a reason of their own.
        let contradicting = customers::consistency_bp.lt(BasisPoints::WHOLE);
        match self.filter.reason {
            Some(DoubtReason::ReviewDue) => query.filter(due),
            Some(DoubtReason::NotUpdated) => query.filter(stale),
            Some(DoubtReason::LowScore) => query.filter(low),
            Some(DoubtReason::FailedIdentity) => query.filter(failed),
            Some(DoubtReason::ExpiredIdentity) => query.filter(expired),
            Some(DoubtReason::Contradiction) => query.filter(contradicting),
            None => query.filter(due.or(stale).or(low).or(failed).or(expired).or(contradicting)),
        }
    }

    /// Why a profile is on the list, the gravest reason first.
    fn doubts(&self, facts: &Facts<'_>, findings: &Findings) -> Vec<Doubt> {
        let row = facts.customer;
        let whole = |code, text: String| Doubt { code, text, field: None, record_id: None };
        let of = |code, finding: &Finding, text: &str| Doubt {
            code,
            text: text.to_owned(),
            field: Some(finding.field.to_owned()),
            record_id: finding.record,
        };
        let mut doubts = Vec::new();
        for identity in facts.identities.iter().filter(|identity| identity.verification.state == VerificationState::Failed) {
            let text = format!("The {} failed its check.", identity.identity_type);
            let field = Some("identities".to_owned());
            doubts.push(Doubt { code: DoubtReason::FailedIdentity, text, field, record_id: Some(identity.id.cast()) });
        }
        for finding in findings.consistency.iter().filter(|finding| !finding.holds()) {
            doubts.push(match finding.code {
                "identity_in_time" => of(DoubtReason::ExpiredIdentity, finding, "The identity document has expired."),
                code => of(DoubtReason::Contradiction, finding, contradiction(code)),
            });
        }
        let score = findings.ratios().score_bp;
        if score < DOUBTFUL {
            doubts.push(whole(DoubtReason::LowScore, format!("The score is {} of 10000.", score.0)));
        }
        if let Some(due) = row.review_due_on.filter(|due| *due <= self.today) {
            doubts.push(whole(DoubtReason::ReviewDue, format!("A review was due on {due}.")));
        }
        if row.updated_at < self.stale_before {
            doubts.push(whole(DoubtReason::NotUpdated, format!("Nobody has changed it since {}.", row.updated_at.date())));
        }
        doubts
    }
}

/// A check that does not hold, in words.
fn contradiction(code: &str) -> &'static str {
    match code {
        "birth_date_of_resident_id" => "The date of birth is not that of the resident id.",
        "gender_of_resident_id" => "The gender is not that of the resident id.",
        "credit_code_of_identity" => "The credit code is not that of the identity document.",
        "full_name_of_parts" => "The full name does not hold the family name and the given name.",
        "birth_before_death" => "The date of death lies before the date of birth.",
        _ => "Facts contradict each other.",
    }
}
