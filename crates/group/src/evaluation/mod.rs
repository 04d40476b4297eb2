//! Evaluations of splits and merges: what is listed, what the rules say of it, and what came out compared with the forecast.
//! The theory stands at the head of this crate.

pub mod calculate;
mod compare;
pub mod decimal;
pub mod line;
mod prefill;
mod record;
mod result;

use kehu_kernel::{Currency, Id, Instant, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

pub use calculate::{EvaluationBasis, EvaluationDecision, EvaluationKind};
pub use compare::{EvaluationFollowUp, EvaluationVariance};
pub use decimal::Decimal;
pub use line::{EvaluationCategory, EvaluationLine, EvaluationSide};
pub use prefill::{EvaluationPrefill, PrefillRequest, PrefilledItem, UnknownItem, prefill};
pub(crate) use prefill::{by_product, held_links};
pub(crate) use record::row as stored;
pub use record::{create, get, list};
pub use result::{
    EvaluationBreakEven, EvaluationResult, EvaluationRule, EvaluationSensitivity, EvaluationTotal, EvaluationTotals,
};

use crate::group::GroupId;

/// Identifier of an evaluation.
pub type EvaluationId = Id<SegmentationEvaluation>;

text_enum! {
    /// Whether an evaluation looks ahead or back.
    pub enum EvaluationPhase {
        /// What is expected, before the step.
        Forecast = "forecast",
        /// What came out, after it.
        Actual = "actual",
    }
}

/// One line of an evaluation: over the whole horizon, before the step and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluationItem {
    /// The side on which it stands.
    pub side: EvaluationSide,
    /// The category in which it stands. Benefits: `sales` {sales_amount, net_income}, `customer` {loyalty, satisfaction},
    /// `market` {effective_share}. Costs: `marketing` {research, project, plan, method, staff, activity}, `sales` {process, plan,
    /// contract, channel, opportunity, demand, method, activity, staff, project, product_service, commission}, `service`
    /// {one_stop, outbound, inquiry, complaint_suggestion, claim, care, statement, visit}, `management` {management_cost}.
    pub category: EvaluationCategory,
    /// The line; each line of a category once.
    pub line: EvaluationLine,
    /// What it is before: an amount in the major unit of the currency, or a measure if `money_per_unit` is given.
    pub before: Decimal,
    /// What it is after.
    pub after: Decimal,
    /// What one unit of the measure is worth in the major unit of the currency. Needed for loyalty, satisfaction and effective share,
    /// which are no amounts; turnover counts only with it.
    pub money_per_unit: Option<Decimal>,
}

/// A group that is or will be the outcome of the step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EvaluationTarget {
    /// The group, if there is one already; else `name`.
    pub group_id: Option<GroupId>,
    /// What the group is to be called; the name of the group if there is one.
    #[schema(example = "Savers with a mortgage", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "kehu_customer::rules::text"))]
    pub name: Option<String>,
}

/// A group of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EvaluatedGroup {
    /// The group; null for one that was only planned.
    pub group_id: Option<GroupId>,
    /// What it was called when it was evaluated.
    #[schema(max_length = 200)]
    pub name: String,
}

/// An evaluation to be made.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewSegmentationEvaluation {
    /// What is evaluated.
    pub kind: EvaluationKind,
    /// Whether it looks ahead or back.
    pub phase: EvaluationPhase,
    /// The forecast with which it is compared; needed for `actual`, refused for `forecast`. Kind, groups, currency and
    /// horizon are those of the forecast.
    pub forecast_id: Option<EvaluationId>,
    /// What the step is to achieve; kept, also where the figures speak against it.
    #[schema(example = "offer mortgages to savers who rent", min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "kehu_customer::rules::text"))]
    pub purpose: String,
    /// The groups that are split or merged: one to be split, or at least two groups, sources and targets together, to be merged.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(length(min = 1, max = 50))]
    pub source_groups: Vec<GroupId>,
    /// What they become.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(length(min = 1, max = 50), nested)]
    pub target_groups: Vec<EvaluationTarget>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// How many months the amounts span.
    #[schema(minimum = 1, maximum = 600, example = 12)]
    #[validate(range(min = 1, max = 600))]
    pub horizon_months: i32,
    /// The lines: at least net income, or turnover with its value, and at least one cost.
    #[schema(min_items = 2, max_items = 100)]
    #[validate(length(min = 2, max = 100))]
    pub items: Vec<EvaluationItem>,
    /// What limits the step, or how far the figures can be trusted.
    #[serde(default)]
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 50)]
    #[validate(length(max = 50), custom(function = "kehu_kernel::limits::lines"))]
    pub limiting_factors: Vec<String>,
}

/// An evaluation of a split or a merge; it is never changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SegmentationEvaluation {
    /// Identifier of the evaluation.
    pub id: EvaluationId,
    /// What is evaluated.
    pub kind: EvaluationKind,
    /// Whether it looks ahead or back.
    pub phase: EvaluationPhase,
    /// The forecast with which it is compared.
    pub forecast_id: Option<EvaluationId>,
    /// What the step is to achieve.
    #[schema(max_length = 2000)]
    pub purpose: String,
    /// The groups that are split or merged.
    #[schema(max_items = 50)]
    pub source_groups: Vec<EvaluatedGroup>,
    /// What they become.
    #[schema(max_items = 50)]
    pub target_groups: Vec<EvaluatedGroup>,
    /// The currency of all amounts.
    pub currency: Currency,
    /// How many months the amounts span.
    #[schema(minimum = 1, maximum = 600)]
    pub horizon_months: i32,
    /// The lines.
    #[schema(max_items = 100)]
    pub items: Vec<EvaluationItem>,
    /// What limits the step.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 50)]
    pub limiting_factors: Vec<String>,
    /// What is decided: by rules 2 and 3 if the composite is given, else by rule 1.
    pub decision: EvaluationDecision,
    /// How that came about.
    pub result: EvaluationResult,
    /// Who made it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When it was made.
    pub created_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// Filters of the list of evaluations.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EvaluationFilter {
    /// Only this kind.
    #[param(inline, example = "split")]
    pub kind: Option<EvaluationKind>,
    /// Only this phase.
    #[param(inline, example = "forecast")]
    pub phase: Option<EvaluationPhase>,
    /// Only those that came to this.
    #[param(inline, example = "split")]
    pub decision: Option<EvaluationDecision>,
    /// Only those that compare what came out with this forecast.
    pub forecast_id: Option<EvaluationId>,
    /// Only those in which this group is split or merged.
    pub source_group_id: Option<GroupId>,
}
