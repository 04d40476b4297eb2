//! What came out, compared with its forecast.

use std::collections::BTreeMap;

use kehu_kernel::{Currency, Money, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    calculate::{Amounts, EvaluationKind, Outcome, part_bp},
    line::{EvaluationCategory, EvaluationLine, EvaluationSide, Place},
};

text_enum! {
    /// What follows from what came out.
    pub enum EvaluationFollowUp {
        /// The step holds, but figures were estimated wrongly: correct the estimate for the next time.
        CorrectEstimate = "correct_estimate",
        /// The split does not pay: merge the groups again.
        ReMerge = "re_merge",
        /// The merge does not pay: split the group again.
        ReSplit = "re_split",
    }
}

/// How a line came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluationVariance {
    /// The side of the line.
    pub side: EvaluationSide,
    /// Its category.
    pub category: EvaluationCategory,
    /// The line.
    pub line: EvaluationLine,
    /// By how much it was to change; null if the forecast did not have it.
    pub forecast_change: Option<Money>,
    /// By how much it changed; null if it was not looked at afterwards.
    pub actual_change: Option<Money>,
    /// By how much it changed more than forecast; what is missing counts as no change.
    pub variance: Money,
    /// The same as a part of the forecast change, in basis points; null if no change was forecast.
    pub variance_bp: Option<i64>,
}

/// Every line of either, in the order of the scheme.
pub(super) fn variance(currency: Currency, forecast: &[Amounts], actual: &[Amounts]) -> Vec<EvaluationVariance> {
    let mut lines: BTreeMap<Place, (Option<i64>, Option<i64>)> = BTreeMap::new();
    for line in forecast {
        lines.entry(line.place).or_default().0 = Some(line.change());
    }
    for line in actual {
        lines.entry(line.place).or_default().1 = Some(line.change());
    }
    let entry = |((side, category, line), (expected, found)): (Place, (Option<i64>, Option<i64>))| {
        let money = |minor: i64| Money::new(minor, currency);
        let variance = found.unwrap_or(0) - expected.unwrap_or(0);
        EvaluationVariance {
            side,
            category,
            line,
            forecast_change: expected.map(money),
            actual_change: found.map(money),
            variance: money(variance),
            variance_bp: part_bp(variance, expected.unwrap_or(0)),
        }
    };
    lines.into_iter().map(entry).collect()
}

/// What follows: a step whose actual figures speak against it is taken back; one that holds, or does neither harm nor good,
/// stays, and where figures came out otherwise the estimate is corrected.
pub(super) fn follow_up(kind: EvaluationKind, actual: &Outcome, variance: &[EvaluationVariance]) -> Option<EvaluationFollowUp> {
    match (kind, actual.net) {
        (EvaluationKind::Split, ..0) => Some(EvaluationFollowUp::ReMerge),
        (EvaluationKind::Merge, ..0) => Some(EvaluationFollowUp::ReSplit),
        (_, 0..) => variance.iter().any(|line| line.variance.amount_minor != 0).then_some(EvaluationFollowUp::CorrectEstimate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::calculate::evaluate;

    const INCOME: Place = (EvaluationSide::Benefit, EvaluationCategory::Sales, EvaluationLine::NetIncome);
    const STAFF: Place = (EvaluationSide::Cost, EvaluationCategory::Sales, EvaluationLine::Staff);
    const VISIT: Place = (EvaluationSide::Cost, EvaluationCategory::Service, EvaluationLine::Visit);

    fn line(place: Place, before: i64, after: i64) -> Amounts {
        Amounts { place, before, after, counts: true }
    }

    fn of(kind: EvaluationKind, forecast: &[Amounts], actual: &[Amounts]) -> (Vec<i64>, Option<EvaluationFollowUp>) {
        let variance = variance(Currency::CNY, forecast, actual);
        let follow_up = follow_up(kind, &evaluate(kind, actual), &variance);
        (variance.iter().map(|line| line.variance.amount_minor).collect(), follow_up)
    }

    #[test]
    fn a_step_is_taken_back_only_when_the_figures_refute_it() {
        let forecast = [line(INCOME, 100, 200), line(STAFF, 50, 80)];
        assert_eq!(of(EvaluationKind::Split, &forecast, &forecast), (vec![0, 0], None));
        let less = [line(INCOME, 100, 150), line(STAFF, 50, 80)];
        assert_eq!(of(EvaluationKind::Split, &forecast, &less), (vec![-50, 0], Some(EvaluationFollowUp::CorrectEstimate)));
        let nothing = [line(INCOME, 100, 130), line(STAFF, 50, 80)];
        assert_eq!(of(EvaluationKind::Split, &forecast, &nothing).1, Some(EvaluationFollowUp::CorrectEstimate));
        let loss = [line(INCOME, 100, 129), line(STAFF, 50, 80)];
        assert_eq!(of(EvaluationKind::Split, &forecast, &loss).1, Some(EvaluationFollowUp::ReMerge));
        // A cost that nobody had thought of.
        let surprise = [line(INCOME, 100, 200), line(STAFF, 50, 80), line(VISIT, 0, 200)];
        assert_eq!(of(EvaluationKind::Split, &forecast, &surprise), (vec![0, 0, 200], Some(EvaluationFollowUp::ReMerge)));
        let merge = [line(INCOME, 200, 100), line(STAFF, 80, 50)];
        assert_eq!(of(EvaluationKind::Merge, &merge, &merge).1, Some(EvaluationFollowUp::ReSplit));
    }
}
