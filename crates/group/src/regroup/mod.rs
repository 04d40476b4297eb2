//! Splitting and merging groups: members move with their history, and where groups came from stays known.

mod justify;
mod lineage;
mod merge;
mod relocate;
mod split;

use kehu_customer::CustomerId;
use kehu_kernel::{Date, Id, Instant, Reference, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

pub use lineage::of as lineage;
pub use merge::merge;
pub use split::split;

use crate::{
    evaluation::{EvaluationDecision, EvaluationId},
    group::{GroupId, NewGroup},
};

/// Identifier of a split or a merge.
pub type LineageId = Id<GroupLineageEntry>;

text_enum! {
    /// How groups came to be out of others.
    pub enum LineageOperation {
        /// One group became several.
        Split = "split",
        /// Several groups became one.
        Merge = "merge",
    }
}

text_enum! {
    /// On which side of a split or a merge a group stands.
    pub enum LineageSide {
        /// Members left it.
        Source = "source",
        /// Members came to it.
        Target = "target",
    }
}

/// A split or a merge of groups.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupLineageEntry {
    /// Identifier of the split or merge.
    pub id: LineageId,
    /// What was done.
    pub operation: LineageOperation,
    /// The groups that members left.
    #[schema(max_items = 50)]
    pub sources: Vec<LineageGroup>,
    /// The groups that members came to.
    #[schema(max_items = 50)]
    pub targets: Vec<LineageGroup>,
    /// The evaluation on which it rests.
    pub evaluation_id: EvaluationId,
    /// What the evaluation came to; the step may have been taken against it.
    pub decision: EvaluationDecision,
    /// What it was to achieve.
    #[schema(max_length = 500)]
    pub purpose: String,
    /// Who decided it.
    #[schema(max_length = 128)]
    pub decided_by: String,
    /// The day from which the members are in their new groups.
    pub happened_on: Date,
    /// When it was done.
    pub created_at: Instant,
}

/// A group of a split or a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineageGroup {
    /// The group.
    pub group: Reference,
    /// How many memberships of it ended, or began.
    #[schema(minimum = 0)]
    pub member_count: i64,
}

/// Where a group came from and what became of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupLineage {
    /// The group.
    pub group_id: GroupId,
    /// All splits and merges that led to it, through other groups too, the oldest first; at most 500.
    #[schema(max_items = 500)]
    pub origin: Vec<GroupLineageEntry>,
    /// All splits and merges that it went into, through other groups too, the oldest first; at most 500.
    #[schema(max_items = 500)]
    pub outcome: Vec<GroupLineageEntry>,
    /// Whether any were left out because there are more.
    pub truncated: bool,
}

/// A group to be split.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupSplit {
    /// The forecast on which it rests: of a split of this group.
    pub evaluation_id: EvaluationId,
    /// What it is to achieve; kept with the lineage and with each membership.
    #[schema(example = "offer mortgages to savers who rent", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "kehu_customer::rules::text"))]
    pub purpose: String,
    /// Where its members go. Who is named nowhere stays.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(length(min = 1, max = 50), nested)]
    pub targets: Vec<SplitTarget>,
    /// Whether the group is closed afterwards; then nobody may be left in it.
    #[serde(default)]
    pub close_source: bool,
}

/// Members who go to one group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SplitTarget {
    /// The group to which they go, if there is one already; else `new_group`.
    pub group_id: Option<GroupId>,
    /// The group to be made for them; of the kind of the group that is split.
    #[validate(nested)]
    pub new_group: Option<NewGroup>,
    /// Who goes there; each customer to one group.
    #[schema(min_items = 1, max_items = 10000)]
    #[validate(length(min = 1, max = 10000))]
    pub customer_ids: Vec<CustomerId>,
}

/// Groups to be merged into another one.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupMerge {
    /// The forecast on which it rests: of a merge of these groups.
    pub evaluation_id: EvaluationId,
    /// What it is to achieve; kept with the lineage and with each membership.
    #[schema(example = "one plan for both", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "kehu_customer::rules::text"))]
    pub purpose: String,
    /// The groups whose members go over; of the same kind.
    #[schema(min_items = 1, max_items = 50)]
    #[validate(length(min = 1, max = 50))]
    pub sources: Vec<MergeSource>,
    /// Whether these groups stay open without members; closed unless so.
    #[serde(default)]
    pub keep_sources: bool,
}

/// A group whose members go over.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeSource {
    /// The group.
    pub group_id: GroupId,
    /// The version of it that the caller saw.
    #[schema(minimum = 1, example = 1)]
    pub version: i64,
}
