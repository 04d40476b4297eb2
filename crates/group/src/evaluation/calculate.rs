//! The calculation: what a split or a merge changes, what the three rules say of it, what is decided, and how sure that is.
//!
//! Everything is counted in minor units of one currency. In both directions the step pays if the benefit changes by more than
//! the cost does: a merge that loses 3 and saves 5 changes the benefit by -3 and the cost by -5.

use kehu_kernel::text_enum;

use super::line::{EvaluationCategory, EvaluationLine, EvaluationSide, Place};

text_enum! {
    /// What is evaluated.
    pub enum EvaluationKind {
        /// One group becomes several.
        Split = "split",
        /// Several groups become one.
        Merge = "merge",
    }
}

text_enum! {
    /// What an evaluation comes to.
    pub enum EvaluationDecision {
        /// The split pays.
        Split = "split",
        /// The split does not pay.
        DoNotSplit = "do_not_split",
        /// The merge pays.
        Merge = "merge",
        /// The merge does not pay.
        DoNotMerge = "do_not_merge",
        /// Both sides are equal: nothing speaks for the step but its purpose.
        Indifferent = "indifferent",
    }
}

text_enum! {
    /// What a decision rests on.
    pub enum EvaluationBasis {
        /// Income and the money value of loyalty, satisfaction and share: rules 2 and 3 decide.
        Composite = "composite",
        /// Income alone, because no other benefit is given: rule 1 decides.
        IncomeOnly = "income_only",
    }
}

/// A line in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Which line it is.
    pub place: Place,
    /// What it is worth before.
    pub before: i64,
    /// What it is worth after.
    pub after: i64,
    /// Whether it counts: turnover without a value of its own is only shown.
    pub counts: bool,
}

impl Amounts {
    /// By how much it changes.
    #[must_use]
    pub const fn change(&self) -> i64 {
        self.after - self.before
    }

    fn is(&self, side: EvaluationSide) -> bool {
        self.counts && self.place.0 == side
    }

    /// Whether it is a benefit beside income.
    fn beside_income(&self) -> bool {
        self.is(EvaluationSide::Benefit) && self.place.1 != EvaluationCategory::Sales
    }
}

/// A sum before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Before.
    pub before: i64,
    /// After.
    pub after: i64,
}

impl Sum {
    fn of<'a>(lines: impl Iterator<Item = &'a Amounts>) -> Self {
        lines.fold(Self::default(), |sum, line| Self { before: sum.before + line.before, after: sum.after + line.after })
    }

    /// By how much it changes.
    #[must_use]
    pub const fn change(self) -> i64 {
        self.after - self.before
    }
}

/// A rule as it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 1, 2 or 3.
    pub id: i32,
    /// Whether it holds.
    pub fired: bool,
    /// What stands on its left; nothing when what it compares is not given.
    pub left: Option<i64>,
    /// What stands on its right.
    pub right: Option<i64>,
}

/// What a change of one line by a tenth would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensitivity {
    /// The line.
    pub place: Place,
    /// Whether what it is after rises, or falls.
    pub rises: bool,
    /// What it would be after.
    pub after: i64,
    /// By how much the benefit would then change more than the cost.
    pub net: i64,
    /// What would then be decided.
    pub decision: EvaluationDecision,
    /// What the line would have to be after for both sides to be equal, all else being as it is.
    pub break_even_after: i64,
}

/// What an evaluation comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Income from sales.
    pub income: Sum,
    /// Every benefit that counts.
    pub composite: Sum,
    /// Every cost.
    pub cost: Sum,
    /// What the decision rests on.
    pub basis: EvaluationBasis,
    /// By how much the deciding benefit changes more than the cost: above zero the step pays.
    pub net: i64,
    /// The rules 1, 2 and 3.
    pub rules: [Rule; 3],
    /// What is decided.
    pub decision: EvaluationDecision,
    /// What a change of each line that counts would do.
    pub sensitivity: Vec<Sensitivity>,
}

impl Outcome {
    /// The change of the benefit that decides.
    #[must_use]
    pub const fn deciding_change(&self) -> i64 {
        match self.basis {
            EvaluationBasis::Composite => self.composite.change(),
            EvaluationBasis::IncomeOnly => self.income.change(),
        }
    }
}

/// Evaluates a step by its lines.
#[must_use]
pub fn evaluate(kind: EvaluationKind, lines: &[Amounts]) -> Outcome {
    let income = Sum::of(lines.iter().filter(|line| line.is(EvaluationSide::Benefit) && !line.beside_income()));
    let composite = Sum::of(lines.iter().filter(|line| line.is(EvaluationSide::Benefit)));
    let cost = Sum::of(lines.iter().filter(|line| line.is(EvaluationSide::Cost)));
    let whole = lines.iter().any(Amounts::beside_income);
    let basis = if whole { EvaluationBasis::Composite } else { EvaluationBasis::IncomeOnly };
    let rules = rules(kind, income.change(), whole.then(|| composite.change()), cost.change());
    let net = composite.change() - cost.change();
    let decision = decided(kind, basis, &rules, net);
    let sensitivity = lines.iter().filter(|line| line.counts).flat_map(|line| sensitivity(kind, line, net)).collect();
    Outcome { income, composite, cost, basis, net, rules, decision, sensitivity }
}

/// The three rules. A merge compares what is lost with what is saved, a split what is gained with what it costs in addition.
fn rules(kind: EvaluationKind, income: i64, composite: Option<i64>, cost: i64) -> [Rule; 3] {
    let rule = |id: i32, left: Option<i64>, right: Option<i64>| {
        let pair = left.zip(right);
        let fired = match kind {
            EvaluationKind::Merge => pair.is_some_and(|(left, right)| left < right),
            EvaluationKind::Split => pair.is_some_and(|(left, right)| left > right),
        };
        // What is not known is not compared.
        Rule { id, fired, left, right }
    };
    let sign = match kind {
        EvaluationKind::Merge => -1,
        EvaluationKind::Split => 1,
    };
    let (income, cost) = (Some(sign * income), Some(sign * cost));
    let composite = composite.map(|change| sign * change);
    [rule(1, income, cost), rule(2, composite, cost), rule(3, cost, composite)]
}

/// Rules 2 and 3 decide where the composite is given; else rule 1, and what it does not say is told by the difference.
fn decided(kind: EvaluationKind, basis: EvaluationBasis, rules: &[Rule; 3], net: i64) -> EvaluationDecision {
    let [first, second, third] = rules;
    let (go, stay) = match basis {
        EvaluationBasis::Composite => (second.fired, third.fired),
        EvaluationBasis::IncomeOnly => (first.fired, net < 0),
    };
    match (kind, go, stay) {
        (EvaluationKind::Split, true, _) => EvaluationDecision::Split,
        (EvaluationKind::Split, false, true) => EvaluationDecision::DoNotSplit,
        (EvaluationKind::Merge, true, _) => EvaluationDecision::Merge,
        (EvaluationKind::Merge, false, true) => EvaluationDecision::DoNotMerge,
        (_, false, false) => EvaluationDecision::Indifferent,
    }
}

/// What is decided by a difference alone; the rules say the same.
const fn by_net(kind: EvaluationKind, net: i64) -> EvaluationDecision {
    match (kind, net) {
        (_, 0) => EvaluationDecision::Indifferent,
        (EvaluationKind::Split, 1..) => EvaluationDecision::Split,
        (EvaluationKind::Split, _) => EvaluationDecision::DoNotSplit,
        (EvaluationKind::Merge, 1..) => EvaluationDecision::Merge,
        (EvaluationKind::Merge, _) => EvaluationDecision::DoNotMerge,
    }
}

/// What a line is after, a tenth higher and a tenth lower.
fn sensitivity(kind: EvaluationKind, line: &Amounts, net: i64) -> [Sensitivity; 2] {
    let tenth = tenth(line.after.abs());
    let sign = match line.place.0 {
        EvaluationSide::Benefit => 1,
        EvaluationSide::Cost => -1,
    };
    let entry = |rises: bool| {
        let change = if rises { tenth } else { -tenth };
        let changed = net + sign * change;
        Sensitivity {
            place: line.place,
            rises,
            after: line.after + change,
            net: changed,
            decision: by_net(kind, changed),
            break_even_after: line.after - sign * net,
        }
    };
    [entry(true), entry(false)]
}

/// A tenth, rounded half up; of amounts that are not negative.
const fn tenth(amount: i64) -> i64 {
    amount / 10 + if amount % 10 >= 5 { 1 } else { 0 }
}

/// A part of something in basis points, rounded to zero; nothing of nothing.
#[must_use]
pub fn part_bp(part: i64, whole: i64) -> Option<i64> {
    let bp = (i128::from(part) * 10_000).checked_div(i128::from(whole.unsigned_abs()))?;
    i64::try_from(bp).ok()
}

/// Whether a line is turnover.
#[must_use]
pub fn is_turnover(place: Place) -> bool {
    place.2 == EvaluationLine::SalesAmount
}

#[cfg(test)]
mod tests;
