//! Memberships: who is in a group, as what, from when until when.

mod add;
mod end;
mod list;

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, Insertable, NullableExpressionMethods, Queryable, Selectable,
    sql_types::Bool,
};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Actor, Date, Id, Instant, Reference, Tx, event::NewEvent, schema::group_members, store::MultiBackend, text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

pub use add::add;
use add::reaches;
pub(crate) use add::{hold_customers, insert};
pub use end::end;
pub(crate) use end::{all_open_rows, close_rows, end_all, open_rows, refuse_members};
pub use list::list;

use crate::{
    group::{GroupId, GroupKind},
    interval::Span,
};

/// Identifier of a membership.
pub type MembershipId = Id<GroupMember>;

text_enum! {
    /// What a customer is in a group.
    pub enum GroupMemberRole {
        /// Belongs to it.
        Member = "member",
        /// Head of a household.
        Head = "head",
        /// Married to the head of a household, or lives with them as if.
        Spouse = "spouse",
        /// Child in a household.
        Child = "child",
        /// Parent of the head of a household, or of the spouse.
        Parent = "parent",
        /// Another relative in a household.
        Relative = "relative",
        /// Stands at the top of a group of companies.
        UltimateParent = "ultimate_parent",
        /// Stands below another company of the group.
        Subsidiary = "subsidiary",
        /// Belongs to a group of companies in another way: held in part, or led by the same people.
        Affiliate = "affiliate",
    }
}

text_enum! {
    /// From where a membership is known.
    pub enum MembershipSource {
        /// Somebody put the customer in.
        Manual = "manual",
        /// A rule did.
        Rule = "rule",
        /// A feed did.
        Import = "import",
        /// Groups were merged.
        Merge = "merge",
        /// A group was split.
        Split = "split",
    }
}

text_enum! {
    /// From where a membership is known that a caller records.
    pub enum GivenSource {
        /// Somebody puts the customer in.
        Manual = "manual",
        /// A feed does.
        Import = "import",
    }
}

impl GroupMemberRole {
    /// Whether members of a kind of group may have this role.
    #[must_use]
    pub const fn fits(self, kind: GroupKind) -> bool {
        match self {
            Self::Member => true,
            Self::Head | Self::Spouse | Self::Child | Self::Parent | Self::Relative => matches!(kind, GroupKind::Household),
            Self::UltimateParent | Self::Subsidiary | Self::Affiliate => matches!(kind, GroupKind::CorporateGroup),
        }
    }
}

/// A customer in a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupMember {
    /// Identifier of the membership.
    pub id: MembershipId,
    /// The group.
    pub group_id: GroupId,
    /// The customer.
    pub customer: Reference,
    /// What the customer is in the group.
    pub role: GroupMemberRole,
    /// Whether this is the primary member: at most one at a time, of households and groups of companies.
    pub primary: bool,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The day from which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// From where it is known.
    pub source: MembershipSource,
    /// Why it began.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// Who recorded it.
    #[schema(max_length = 128)]
    pub created_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record.
    pub version: i64,
}

/// A membership as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = group_members, treat_none_as_default_value = false)]
pub(crate) struct MemberRow {
    pub id: MembershipId,
    pub group_id: GroupId,
    pub customer_id: CustomerId,
    pub role: GroupMemberRole,
    pub is_primary: bool,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub source: MembershipSource,
    pub reason: Option<String>,
    pub end_reason: Option<String>,
    pub created_by: String,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

impl MemberRow {
    pub(crate) const fn span(&self) -> Span {
        Span { from: self.valid_from, to: self.valid_to }
    }
}

/// Customers to be put into a group.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewGroupMembers {
    /// Who; each customer once.
    #[schema(min_items = 1, max_items = 1000)]
    #[validate(length(min = 1, max = 1000))]
    pub members: Vec<NewGroupMember>,
    /// The first day on which the memberships hold; today unless given.
    pub valid_from: Option<Date>,
    /// The day from which they no longer hold; after the first.
    pub valid_to: Option<Date>,
    /// From where they are known; `manual` unless given.
    pub source: Option<GivenSource>,
    /// Why; kept with each of them.
    #[schema(example = "asked for it at the counter", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "kehu_customer::rules::text"))]
    pub reason: Option<String>,
}

/// A customer to be put into a group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewGroupMember {
    /// Who.
    pub customer_id: CustomerId,
    /// What the customer is in the group; `member` unless given, and one that fits the kind of the group.
    pub role: Option<GroupMemberRole>,
    /// Whether this is the primary member; only of households and groups of companies, and one at a time.
    #[serde(default)]
    pub primary: bool,
}

/// Customers who leave a group.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupMembersEnd {
    /// Who; each customer once.
    #[schema(min_items = 1, max_items = 1000)]
    #[validate(length(min = 1, max = 1000))]
    pub customer_ids: Vec<CustomerId>,
    /// The day from which they are no longer members, today unless given; memberships that begin later never hold.
    pub valid_to: Option<Date>,
    /// Why; kept with each membership.
    #[schema(example = "moved to another bank", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "kehu_customer::rules::text"))]
    pub reason: String,
}

/// What became of the members of a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupMembersChange {
    /// The group.
    pub group_id: GroupId,
    /// How many memberships began or ended.
    #[schema(minimum = 0)]
    pub changed_count: i64,
    /// These memberships, as they are now.
    #[schema(max_items = 2000)]
    pub members: Vec<GroupMember>,
}

/// Filters of the list of members.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupMemberFilter {
    /// Only memberships that hold on this day; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
    /// Past and future memberships, too, whatever the day; false unless given, and not together with `as_of`.
    #[param(example = false)]
    pub all: Option<bool>,
    /// Only this role.
    #[param(inline, example = "member")]
    pub role: Option<GroupMemberRole>,
    /// Only the memberships of this customer.
    pub customer_id: Option<CustomerId>,
}

type Active = Box<dyn BoxableExpression<group_members::table, MultiBackend, SqlType = Bool>>;

/// The memberships that hold on a day.
pub(crate) fn active(day: Date) -> Active {
    let not_ended = group_members::valid_to.is_null().or(group_members::valid_to.assume_not_null().gt(day));
    Box::new(group_members::valid_from.le(day).and(not_ended))
}

/// The memberships that hold on a day or on a later one.
pub(crate) fn active_from(day: Date) -> Active {
    Box::new(group_members::valid_to.is_null().or(group_members::valid_to.assume_not_null().gt(day)))
}

/// Tells what happened to a membership.
fn announce(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, row: &MemberRow) {
    let data = json!({
        "group_id": row.group_id, "role": row.role, "primary": row.is_primary, "source": row.source,
        "valid_from": row.valid_from, "valid_to": row.valid_to,
    });
    tx.emit(actor, NewEvent::new(kind, row.id, data).of_customer(row.customer_id));
}
