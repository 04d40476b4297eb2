//! What an evaluation answers.

use kehu_kernel::{Currency, Explanation, Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    EvaluationVariance,
    calculate::{Amounts, EvaluationBasis, EvaluationDecision, EvaluationKind, Outcome, Rule, Sensitivity, Sum, part_bp},
    compare::EvaluationFollowUp,
    line::{EvaluationCategory, EvaluationLine, EvaluationSide},
};

/// Name of the rule that decides, in explanations.
const RULE: &str = "group.segmentation";

/// What an evaluation comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationResult {
    /// What the decision rests on.
    pub basis: EvaluationBasis,
    /// The three rules, all of them.
    #[schema(max_items = 3)]
    pub rules: Vec<EvaluationRule>,
    /// The sums before and after.
    pub totals: EvaluationTotals,
    /// Where the decision would turn.
    pub break_even: EvaluationBreakEven,
    /// What would be decided if what a line is after were a tenth higher or lower; two entries for each line that counts.
    #[schema(max_items = 200)]
    pub sensitivity: Vec<EvaluationSensitivity>,
    /// How each line of the forecast came out; empty for forecasts.
    #[schema(max_items = 200)]
    pub variance: Vec<EvaluationVariance>,
    /// What follows from what came out; null for forecasts, and when everything came out as forecast.
    pub follow_up: Option<EvaluationFollowUp>,
    /// How the decision came about.
    pub explanation: Explanation,
}

/// One of the three rules. A merge compares what is lost with what is saved, a split what is gained with what it costs besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationRule {
    /// 1: income against cost. 2: composite benefit against cost. 3: cost against composite benefit.
    #[schema(minimum = 1, maximum = 3)]
    pub id: i32,
    /// What it says.
    #[schema(example = "lost net sales income < saved cost: merge", max_length = 200)]
    pub says: String,
    /// Whether it holds.
    pub fired: bool,
    /// Its left side; null when the composite is not given.
    pub left: Option<Money>,
    /// Its right side; null when the composite is not given.
    pub right: Option<Money>,
}

/// A sum before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationTotal {
    /// Before.
    pub before: Money,
    /// After.
    pub after: Money,
    /// By how much it changes.
    pub change: Money,
}

/// The sums of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationTotals {
    /// Income from sales.
    pub income: EvaluationTotal,
    /// Income and the money value of loyalty, satisfaction and share; income alone if none of them is given.
    pub composite: EvaluationTotal,
    /// All costs.
    pub cost: EvaluationTotal,
    /// By how much the deciding benefit changes more than the cost: the step pays if this is above zero.
    pub net: Money,
}

/// Where a decision would turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationBreakEven {
    /// The change of the deciding benefit at which both sides would be equal: the change of the cost.
    pub benefit_change: Money,
    /// The change of the cost at which both sides would be equal: the change of the deciding benefit.
    pub cost_change: Money,
    /// How much the benefit may fall short, or the cost exceed, before the decision turns; what is lacking if negative.
    pub margin: Money,
    /// The same as a part of the change of the deciding benefit, in basis points; null if the benefit does not change.
    pub margin_bp: Option<i64>,
}

/// What a tenth more or less of a line would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationSensitivity {
    /// The side of the line.
    pub side: EvaluationSide,
    /// Its category.
    pub category: EvaluationCategory,
    /// The line.
    pub line: EvaluationLine,
    /// By how much what it is worth after is changed: 1000 or -1000 basis points.
    #[schema(minimum = -1000, maximum = 1000)]
    pub change_bp: i32,
    /// What it is worth after then.
    pub after: Money,
    /// By how much the deciding benefit changes more than the cost then.
    pub net: Money,
    /// What is decided then.
    pub decision: EvaluationDecision,
    /// Whether that is another decision.
    pub turns: bool,
    /// What the line would have to be worth after for both sides to be equal.
    pub break_even_after: Money,
}

impl EvaluationResult {
    /// Writes an outcome in a currency.
    pub(super) fn new(kind: EvaluationKind, currency: Currency, lines: &[Amounts], outcome: &Outcome) -> Self {
        let money = |minor: i64| Money::new(minor, currency);
        let total =
            |sum: Sum| EvaluationTotal { before: money(sum.before), after: money(sum.after), change: money(sum.change()) };
        let benefit = outcome.deciding_change();
        let sensitivity = |entry: &Sensitivity| EvaluationSensitivity {
            side: entry.place.0,
            category: entry.place.1,
            line: entry.place.2,
            change_bp: if entry.rises { 1_000 } else { -1_000 },
            after: money(entry.after),
            net: money(entry.net),
            decision: entry.decision,
            turns: entry.decision != outcome.decision,
            break_even_after: money(entry.break_even_after),
        };
        Self {
            basis: outcome.basis,
            rules: outcome.rules.iter().map(|rule| shown(kind, currency, rule)).collect(),
            totals: EvaluationTotals {
                income: total(outcome.income),
                composite: total(outcome.composite),
                cost: total(outcome.cost),
                net: money(outcome.net),
            },
            break_even: EvaluationBreakEven {
                benefit_change: money(outcome.cost.change()),
                cost_change: money(benefit),
                margin: money(outcome.net),
                margin_bp: part_bp(outcome.net, benefit),
            },
            sensitivity: outcome.sensitivity.iter().map(sensitivity).collect(),
            variance: Vec::new(),
            follow_up: None,
            explanation: explain(kind, currency, lines, outcome),
        }
    }
}

/// What a rule says, in words.
const fn says(kind: EvaluationKind, id: i32) -> &'static str {
    match (kind, id) {
        (EvaluationKind::Merge, 1) => "lost net sales income < saved cost: merge",
        (EvaluationKind::Merge, 2) => "lost composite benefit < saved cost: merge",
        (EvaluationKind::Merge, _) => "saved cost < lost composite benefit: do not merge",
        (EvaluationKind::Split, 1) => "gained net sales income > added cost: split",
        (EvaluationKind::Split, 2) => "gained composite benefit > added cost: split",
        (EvaluationKind::Split, _) => "added cost > gained composite benefit: do not split",
    }
}

fn shown(kind: EvaluationKind, currency: Currency, rule: &Rule) -> EvaluationRule {
    let money = |minor: i64| Money::new(minor, currency);
    EvaluationRule {
        id: rule.id,
        says: says(kind, rule.id).to_owned(),
        fired: rule.fired,
        left: rule.left.map(money),
        right: rule.right.map(money),
    }
}

fn explain(kind: EvaluationKind, currency: Currency, lines: &[Amounts], outcome: &Outcome) -> Explanation {
    let amount = |minor: i64| Money::new(minor, currency).to_string();
    let counted = lines.iter().filter(|line| line.counts).count();
    let mut explanation = Explanation::new(RULE, 1)
        .input("kind", kind.as_str())
        .input("basis", outcome.basis.as_str())
        .input("lines", lines.len())
        .input("counted_lines", counted)
        .input("income_change", amount(outcome.income.change()))
        .input("composite_change", amount(outcome.composite.change()))
        .input("cost_change", amount(outcome.cost.change()));
    for rule in &outcome.rules {
        let found = match (rule.left, rule.right) {
            (Some(left), Some(right)) => format!("{} against {}", amount(left), amount(right)),
            _ => "the composite benefit is not given".to_owned(),
        };
        explanation.step(&format!("rule {}: {}", rule.id, says(kind, rule.id)), rule.fired, found);
    }
    let [first, second, third] = &outcome.rules;
    match outcome.basis {
        EvaluationBasis::IncomeOnly => {
            explanation.step("rule 1 decides alone", true, "no benefit beside income is given");
        }
        EvaluationBasis::Composite => {
            let apart = first.fired != second.fired && (first.fired && third.fired || second.fired);
            explanation.step("rules 2 and 3 decide", true, "benefits beside income are given");
            if apart {
                explanation.step("income alone would have decided otherwise", true, "rule 1 does not see what rules 2 and 3 see");
            }
        }
    }
    if outcome.decision == EvaluationDecision::Indifferent {
        explanation.step("both sides are equal", true, "nothing speaks for the step but its purpose");
    }
    explanation
}
