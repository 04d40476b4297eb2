//! Groups: what they are for, who answers for them, who works for them, and which stand above which.

mod change;
mod list;
mod parent;
mod staff;

use diesel::{Insertable, Queryable, Selectable};
use kehu_kernel::{Date, Id, Instant, Reference, Rule, json::Json, patch, rule::Dimension, schema::groups, text_enum};
use kehu_organization::{branch::BranchId, staff::StaffId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

pub(crate) use change::{announce, close_empty, insert, refreshed, touch};
pub use change::{close, create, update};
pub use list::{get, list};
pub(crate) use list::{names, row};

/// Identifier of a group.
pub type GroupId = Id<Group>;

text_enum! {
    /// What kind of group it is.
    pub enum GroupKind {
        /// Its customers are in it as a fact, until somebody takes them out.
        Static = "static",
        /// Its customers are in it as long as they meet its rule.
        Dynamic = "dynamic",
        /// Divides the customers who meet its rule by dimensions; each cell is a dynamic group below it.
        Matrix = "matrix",
        /// People who live together, with roles and a primary member.
        Household = "household",
        /// Companies that belong together, with roles and a primary member at the top.
        CorporateGroup = "corporate_group",
    }
}

text_enum! {
    /// Whether a group is in use.
    pub enum GroupStatus {
        /// In use.
        Active = "active",
        /// Closed: it has no members any more and takes none; its past stays known.
        Closed = "closed",
    }
}

text_enum! {
    /// What somebody does for a group.
    pub enum GroupStaffRole {
        /// Leads the work.
        Lead = "lead",
        /// Looks after its customers.
        RelationshipManager = "relationship_manager",
        /// Knows the products it needs.
        ProductSpecialist = "product_specialist",
        /// Plans what is offered to it.
        Marketing = "marketing",
        /// Serves it.
        Service = "service",
        /// Watches its risks.
        Risk = "risk",
        /// Works out what it brings and costs.
        Analyst = "analyst",
        /// Helps with something else.
        Member = "member",
    }
}

/// A group of customers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Group {
    /// Identifier of the group.
    pub id: GroupId,
    /// Number of the group; unique, and never changed.
    #[schema(example = "G36N4S-7F20H8-0QKXW3", max_length = 32)]
    pub number: String,
    /// Name of the group.
    #[schema(example = "Savers with a mortgage", max_length = 200)]
    pub name: String,
    /// What kind of group it is.
    pub kind: GroupKind,
    /// What the group is for.
    #[schema(max_length = 2000)]
    pub purpose: Option<String>,
    /// How its customers are to be dealt with.
    #[schema(max_length = 4000)]
    pub strategy: Option<String>,
    /// The level at which its customers are served, a code of the bank's own.
    #[schema(example = "gold", max_length = 64)]
    pub service_level: Option<String>,
    /// Who answers for it.
    pub owner: Option<Reference>,
    /// Who works for it, leads first.
    #[schema(max_items = 100)]
    pub team: Vec<GroupStaff>,
    /// The groups directly above it.
    #[schema(max_items = 20)]
    pub parents: Vec<Reference>,
    /// Whom a dynamic group has, or whom a matrix divides: everybody without it. Null for other kinds and for cells, whom their
    /// matrix fills.
    pub rule: Option<Rule>,
    /// What a matrix divides by; empty for other kinds.
    #[schema(max_items = 5)]
    pub dimensions: Vec<Dimension>,
    /// The branch whose customers, with those of the branches below it, are looked at; null for the whole bank.
    pub branch: Option<Reference>,
    /// Of which matrix it is a cell, and which one.
    pub cell: Option<GroupCell>,
    /// Whether it is in use.
    pub status: GroupStatus,
    /// The day on which it was closed.
    pub closed_on: Option<Date>,
    /// Why it was closed.
    #[schema(max_length = 500)]
    pub close_reason: Option<String>,
    /// Who made it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// Where a group stands in a matrix.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupCell {
    /// The matrix.
    pub matrix: Reference,
    /// The parts of the dimensions that meet in it, in the order of the dimensions.
    #[schema(value_type = Vec<kehu_kernel::limits::Line>, max_items = 5, example = json!(["below 10000.00 CNY", "personal"]))]
    pub parts: Vec<String>,
}

/// Somebody who works for a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupStaff {
    /// Who it is.
    pub staff: Reference,
    /// What they do for it.
    pub role: GroupStaffRole,
}

/// A group as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = groups, treat_none_as_default_value = false)]
pub(crate) struct GroupRow {
    pub id: GroupId,
    pub number: String,
    pub name: String,
    pub kind: GroupKind,
    pub purpose: Option<String>,
    pub strategy: Option<String>,
    pub service_level: Option<String>,
    pub owner_id: Option<StaffId>,
    pub status: GroupStatus,
    pub closed_on: Option<Date>,
    pub close_reason: Option<String>,
    pub created_by: String,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
    pub rule: Option<Json<Rule>>,
    pub dimensions: Option<Json<Vec<Dimension>>>,
    pub branch_id: Option<BranchId>,
    pub matrix_id: Option<GroupId>,
    pub cell: Option<String>,
    pub refresh_number: i64,
    pub refreshed_to: Option<i64>,
    pub refreshed_on: Option<Date>,
    pub refreshed_at: Option<Instant>,
}

impl GroupKind {
    /// Whether members follow a rule.
    #[must_use]
    pub const fn by_rule(self) -> bool {
        matches!(self, Self::Dynamic | Self::Matrix)
    }

    /// Whether one of the members is the primary one.
    #[must_use]
    pub const fn has_primary(self) -> bool {
        matches!(self, Self::Household | Self::CorporateGroup)
    }
}

/// A group to be created.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Name of the group. It stays when members are erased, so it must not name a person.
    #[schema(example = "Savers with a mortgage", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "kehu_customer::rules::text"))]
    pub name: String,
    /// What kind of group it is; never changed.
    pub kind: GroupKind,
    /// What the group is for.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(length(min = 1, max = 2000), custom(function = "kehu_customer::rules::text"))]
    pub purpose: Option<String>,
    /// How its customers are to be dealt with.
    #[schema(min_length = 1, max_length = 4000)]
    #[validate(length(min = 1, max = 4000), custom(function = "kehu_customer::rules::text"))]
    pub strategy: Option<String>,
    /// The level at which its customers are served, a code of the bank's own.
    #[schema(example = "gold", min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    #[validate(length(min = 1, max = 64), custom(function = "kehu_kernel::check::code"))]
    pub service_level: Option<String>,
    /// Who answers for it: active staff within reach of the caller's `group.manage`. The caller unless given; a group
    /// without an owner needs that right with depth `all`.
    pub owner_id: Option<StaffId>,
    /// Who works for it; each person once.
    #[serde(default)]
    #[schema(max_items = 100)]
    #[validate(length(max = 100))]
    pub team: Vec<NewGroupStaff>,
    /// The groups directly above it.
    #[serde(default)]
    #[schema(max_items = 20)]
    #[validate(length(max = 20))]
    pub parent_ids: Vec<GroupId>,
    /// Whom a dynamic group is to have; for a matrix, whom it divides: everybody unless given. It stays when members are erased, so
    /// it must not name a person. Needs the rights that its conditions need, with all below `branch_id`.
    pub rule: Option<Rule>,
    /// What a matrix divides by; at most 1,000 cells.
    #[serde(default)]
    #[schema(max_items = 5)]
    #[validate(length(max = 5))]
    pub dimensions: Vec<Dimension>,
    /// The branch whose customers, with those of the branches below it, are looked at; all customers of the bank unless given.
    pub branch_id: Option<BranchId>,
}

/// Somebody who is to work for a group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroupStaff {
    /// Who it is; active staff of any branch.
    pub staff_id: StaffId,
    /// What they do for it.
    pub role: GroupStaffRole,
}

/// Changes to a group; what is absent stays, null clears.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupPatch {
    /// Name of the group. It stays when members are erased, so it must not name a person.
    #[schema(nullable = false, value_type = String, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(min = 1, max = 200), custom(function = "kehu_customer::rules::text"))]
    pub name: Option<String>,
    /// What the group is for.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 2000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 2000), custom(function = "kehu_customer::rules::text"))]
    pub purpose: Option<Option<String>>,
    /// How its customers are to be dealt with.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 4000)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 4000), custom(function = "kehu_customer::rules::text"))]
    pub strategy: Option<Option<String>>,
    /// The level at which its customers are served, a code of the bank's own.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 64), custom(function = "kehu_kernel::check::code"))]
    pub service_level: Option<Option<String>>,
    /// Who answers for it from now on: active staff within reach of the caller's `group.manage`.
    #[schema(value_type = Option<StaffId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub owner_id: Option<Option<StaffId>>,
    /// All who work for it from now on.
    #[schema(nullable = false, value_type = Vec<NewGroupStaff>, max_items = 100)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 100))]
    pub team: Option<Vec<NewGroupStaff>>,
    /// All groups directly above it from now on.
    #[schema(nullable = false, value_type = Vec<GroupId>, max_items = 20)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 20))]
    pub parent_ids: Option<Vec<GroupId>>,
    /// Whom it has, or divides, from now on; null only for a matrix.
    #[schema(value_type = Option<Rule>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub rule: Option<Option<Rule>>,
    /// What it divides by from now on: cells that are no more are closed.
    #[schema(nullable = false, value_type = Vec<Dimension>, max_items = 5)]
    #[serde(default, deserialize_with = "patch::required")]
    #[validate(length(max = 5))]
    pub dimensions: Option<Vec<Dimension>>,
    /// The branch whose customers are looked at from now on; null for the whole bank.
    #[schema(value_type = Option<BranchId>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub branch_id: Option<Option<BranchId>>,
}

/// How a group is closed.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupClose {
    /// Why; kept with the record.
    #[schema(example = "the campaign is over", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "kehu_customer::rules::text"))]
    pub reason: String,
    /// Whether the memberships of its present and future members end today. Without this a group that has any is not closed.
    #[serde(default)]
    pub end_members: bool,
}

/// Filters of the list of groups.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupFilter {
    /// Only this kind.
    #[param(inline, example = "static")]
    pub kind: Option<GroupKind>,
    /// Only this status.
    #[param(inline, example = "active")]
    pub status: Option<GroupStatus>,
    /// Only groups for which this person answers.
    pub owner_id: Option<StaffId>,
    /// Only groups for which this person works.
    pub staff_id: Option<StaffId>,
    /// Only groups directly below this one, such as the cells of a matrix.
    pub parent_id: Option<GroupId>,
    /// Only groups in which this customer is today; none when the caller does not see the customer.
    pub customer_id: Option<kehu_customer::CustomerId>,
    /// Only the group with this number.
    #[param(max_length = 32, example = "G36N4S-7F20H8-0QKXW3")]
    pub number: Option<String>,
}
