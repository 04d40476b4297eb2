//! Why two customers are, or are not, taken for one: each comparison with its values and its weight.

use kehu_kernel::{Action, Actor, BasisPoints, Conn, Error, Explanation, Result, access::FieldClass};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    band::MatchBand,
    candidate::{self, MatchedCustomer},
    engine::{self, Scale, rounded},
    facts::{self, Facts, MatchSubject},
};
use crate::{CustomerId, matching::Score, rules::identity_number, scope};

/// One comparison of the waterfall.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchStep {
    /// What was compared.
    #[schema(example = "birth_date", max_length = 64)]
    pub field: String,
    /// What the one customer has. Numbers of documents are masked; null for callers whose role does not show the field.
    #[schema(value_type = Option<Vec<kehu_kernel::limits::Told>>, max_items = 200)]
    pub left: Option<Vec<String>>,
    /// What the other customer has.
    #[schema(value_type = Option<Vec<kehu_kernel::limits::Told>>, max_items = 200)]
    pub right: Option<Vec<String>>,
    /// How well they agree: a level of the field's comparison.
    #[schema(example = "exact", max_length = 64)]
    pub level: String,
    /// Evidence in bits: positive speaks for one customer, negative for two.
    #[schema(example = 9.41, minimum = -1000, maximum = 1000)]
    pub weight: f64,
    /// How much of it is due to this very value being rare, or frequent.
    #[schema(example = 1.3, minimum = -1000, maximum = 1000)]
    pub rarity: f64,
    /// Evidence so far in bits, the prior included.
    #[schema(example = -4.2, minimum = -10000, maximum = 10000)]
    pub total: f64,
}

/// What speaks for and against two customers being one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchExplanation {
    /// The customer that was asked about.
    pub left: MatchedCustomer,
    /// The customer that it was compared with.
    pub right: MatchedCustomer,
    /// What was compared.
    pub subject: MatchSubject,
    /// How probable it is that they are one.
    pub score_bp: BasisPoints,
    /// How sure that is.
    pub band: MatchBand,
    /// Whether both have the same verified document, which alone decides.
    pub same_document: bool,
    /// Version of the parameters; 0 are those that Kehu brings along.
    #[schema(example = 1, minimum = 0)]
    pub parameters_version: i64,
    /// How probable any two records are one, in bits, before anything is compared.
    #[schema(example = -16.6, minimum = -1000, maximum = 1000)]
    pub prior: f64,
    /// The comparisons, in the order of the fields.
    #[schema(max_items = 50)]
    pub steps: Vec<MatchStep>,
    /// The same decision in the shape of all automatic decisions.
    pub explanation: Explanation,
}

/// Compares two customers within reach, and says how.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`; [`Error::NotFound`]; [`Error::Invalid`] for a customer and itself;
/// [`Error::Conflict`] `other_kind` for a person and an organisation.
pub fn explain(conn: &mut Conn, actor: &Actor, left: CustomerId, right: CustomerId) -> Result<MatchExplanation> {
    for id in [left, right] {
        scope::require_inside(conn, actor, Action::CustomerMatch, id)?;
        scope::require_inside(conn, actor, Action::CustomerRead, id)?;
    }
    if left == right {
        return Err(Error::invalid("/customer_id", "same_customer", "A customer is not compared with itself."));
    }
    let mut known = facts::load(conn, &[left, right])?;
    let (Some(one), Some(other)) = (known.remove(&left), known.remove(&right)) else { return Err(Error::NotFound) };
    if one.subject != other.subject {
        return Err(Error::conflict("other_kind", "People are compared with people, organisations with organisations."));
    }
    let scale = Scale::in_use(conn, one.subject)?;
    let same_document = one.shares_document(&other);
    let scorer = scale.scorer();
    let (mine, theirs) = (engine::prepare(&one), engine::prepare(&other));
    // As everywhere, the older record comes first.
    let (older, newer) = if left < right { (&mine, &theirs) } else { (&theirs, &mine) };
    let judged = engine::judge(&scorer, older, newer, same_document);
    let score = scorer.explain(older, newer);
    let explanation = told(&scale, &score, same_document, left, right);
    let (shown_left, shown_right) = (masked(actor, &one), masked(actor, &other));
    let mut total = score.prior_weight;
    let steps = score.waterfall.into_iter().map(|step| {
        total += step.weight + step.term_adjustment;
        MatchStep {
            left: shown_left.values(&step.field),
            right: shown_right.values(&step.field),
            level: step.level.to_owned(),
            weight: rounded(step.weight + step.term_adjustment),
            rarity: rounded(step.term_adjustment),
            total: rounded(total),
            field: step.field,
        }
    });
    let steps = steps.collect();
    let mut shown = candidate::customers_of(conn, vec![left, right])?;
    let (Some(left), Some(right)) = (shown.remove(&left), shown.remove(&right)) else { return Err(Error::NotFound) };
    Ok(MatchExplanation {
        left,
        right,
        subject: one.subject,
        score_bp: judged.score,
        band: MatchBand::of(judged.score),
        same_document,
        parameters_version: scale.version,
        prior: rounded(score.prior_weight),
        steps,
        explanation,
    })
}

/// The decision in words, without values.
fn told(scale: &Scale, score: &Score, same_document: bool, left: CustomerId, right: CustomerId) -> Explanation {
    let version = i32::try_from(scale.version).unwrap_or(i32::MAX);
    let mut explanation = Explanation::new("customer.match", version)
        .input("left_id", left.to_string())
        .input("right_id", right.to_string())
        .input("subject", scale.subject.as_str());
    let verdict = if same_document { "decides alone" } else { "no" };
    explanation.step(engine::SAME_DOCUMENT, same_document, verdict);
    explanation.step("prior", score.prior_weight > 0.0, format!("{:+.2} bits", score.prior_weight));
    for step in &score.waterfall {
        let weight = step.weight + step.term_adjustment;
        explanation.step(&format!("{}: {}", step.field, step.level), weight > 0.0, format!("{weight:+.2} bits"));
    }
    explanation
}

/// The facts as the actor may see them: `None` for fields of a class that the role does not show.
struct Masked {
    facts: Facts,
    contacts: bool,
}

fn masked(actor: &Actor, facts: &Facts) -> Masked {
    let mut facts = facts.clone();
    for number in &mut facts.numbers {
        number.number = identity_number::mask(&number.number);
    }
    Masked { facts, contacts: actor.sees(FieldClass::Internal) }
}

impl Masked {
    fn values(&self, field: &str) -> Option<Vec<String>> {
        let hidden = matches!(field, "phone" | "email" | "street" | "postcode" | "city") && !self.contacts;
        (!hidden).then(|| engine::values_of(&self.facts, field))
    }
}
