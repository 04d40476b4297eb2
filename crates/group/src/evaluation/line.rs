//! What an evaluation lists: its two sides, their categories and their lines.

use kehu_kernel::text_enum;

text_enum! {
    /// A side of an evaluation.
    pub enum EvaluationSide {
        /// What it brings.
        Benefit = "benefit",
        /// What it costs.
        Cost = "cost",
    }
}

text_enum! {
    /// A category of lines.
    pub enum EvaluationCategory {
        /// What is sold, as a benefit; what selling takes, as a cost.
        Sales = "sales",
        /// What customers think of the bank.
        Customer = "customer",
        /// Where the bank stands in the market.
        Market = "market",
        /// What marketing takes.
        Marketing = "marketing",
        /// What service takes.
        Service = "service",
        /// What management takes.
        Management = "management",
    }
}

text_enum! {
    /// A line of an evaluation; which stand in which category is told with the items of an evaluation.
    pub enum EvaluationLine {
        /// Turnover. It counts only if it is given what one unit of it brings; otherwise it is shown and net income counts.
        SalesAmount = "sales_amount",
        /// What sales bring after their own cost.
        NetIncome = "net_income",
        /// How loyal customers are, measured; counts by what one unit is worth.
        Loyalty = "loyalty",
        /// How satisfied customers are, measured; counts by what one unit is worth.
        Satisfaction = "satisfaction",
        /// The share of the market that brings something, measured; counts by what one unit is worth.
        EffectiveShare = "effective_share",
        /// Market research.
        Research = "research",
        /// Projects.
        Project = "project",
        /// Plans.
        Plan = "plan",
        /// Methods.
        Method = "method",
        /// Staff.
        Staff = "staff",
        /// Activities.
        Activity = "activity",
        /// Processes.
        Process = "process",
        /// Contracts.
        Contract = "contract",
        /// Channels.
        Channel = "channel",
        /// Following opportunities.
        Opportunity = "opportunity",
        /// Finding demand.
        Demand = "demand",
        /// Products and services.
        ProductService = "product_service",
        /// Commission.
        Commission = "commission",
        /// Serving everything at one place.
        OneStop = "one_stop",
        /// Calls to customers.
        Outbound = "outbound",
        /// Enquiries.
        Inquiry = "inquiry",
        /// Complaints and suggestions.
        ComplaintSuggestion = "complaint_suggestion",
        /// Claims.
        Claim = "claim",
        /// Care.
        Care = "care",
        /// Statements.
        Statement = "statement",
        /// Visits.
        Visit = "visit",
        /// What managing it takes.
        ManagementCost = "management_cost",
    }
}

use EvaluationCategory as C;
use EvaluationLine as L;
use EvaluationSide as S;

/// Where a line stands; a line of the same name may stand in several categories.
pub type Place = (EvaluationSide, EvaluationCategory, EvaluationLine);

/// The lines of each category.
pub const LINES: &[(EvaluationSide, EvaluationCategory, &[EvaluationLine])] = &[
    (S::Benefit, C::Sales, &[L::SalesAmount, L::NetIncome]),
    (S::Benefit, C::Customer, &[L::Loyalty, L::Satisfaction]),
    (S::Benefit, C::Market, &[L::EffectiveShare]),
    (S::Cost, C::Marketing, &[L::Research, L::Project, L::Plan, L::Method, L::Staff, L::Activity]),
    (
        S::Cost,
        C::Sales,
        &[
            L::Process,
            L::Plan,
            L::Contract,
            L::Channel,
            L::Opportunity,
            L::Demand,
            L::Method,
            L::Activity,
            L::Staff,
            L::Project,
            L::ProductService,
            L::Commission,
        ],
    ),
    (
        S::Cost,
        C::Service,
        &[L::OneStop, L::Outbound, L::Inquiry, L::ComplaintSuggestion, L::Claim, L::Care, L::Statement, L::Visit],
    ),
    (S::Cost, C::Management, &[L::ManagementCost]),
];

/// Every place of the scheme.
pub fn places() -> impl Iterator<Item = Place> {
    LINES.iter().flat_map(|(side, category, lines)| lines.iter().map(|line| (*side, *category, *line)))
}

/// Whether there is such a line in such a category on such a side.
#[must_use]
pub fn is_known(place: Place) -> bool {
    places().any(|known| known == place)
}

/// Whether a line is measured in something else than money, so that it counts only by what one unit is worth.
#[must_use]
pub const fn is_measured(line: EvaluationLine) -> bool {
    matches!(line, L::Loyalty | L::Satisfaction | L::EffectiveShare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_as_it_was_specified() {
        let of = |side, category| places().filter(move |(s, c, _)| (*s, *c) == (side, category)).count();
        let counts = [
            of(S::Benefit, C::Sales),
            of(S::Benefit, C::Customer),
            of(S::Benefit, C::Market),
            of(S::Cost, C::Marketing),
            of(S::Cost, C::Sales),
            of(S::Cost, C::Service),
            of(S::Cost, C::Management),
        ];
        assert_eq!(counts, [2, 2, 1, 6, 12, 8, 1]);
        // Every line stands somewhere, and none of the measured ones is a cost.
        assert!(L::ALL.iter().all(|line| places().any(|(_, _, known)| known == *line)));
        assert!(places().all(|(side, _, line)| side == S::Benefit || !is_measured(line)));
        assert!(!is_known((S::Cost, C::Customer, L::Loyalty)));
    }
}
