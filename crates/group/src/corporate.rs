//! Groups of companies that the bank could form: the corporate tree as a group, with roles and a primary member.

use kehu_customer::{CustomerId, scope, tree};
use kehu_kernel::{Action, Actor, BasisPoints, Conn, Explanation, Reference, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::member::GroupMemberRole;

/// For which company a group is to be proposed.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CorporateGroupRequest {
    /// Any company of the group.
    pub customer_id: CustomerId,
}

/// A group of companies that could be formed: for `create_group` and `add_group_members`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CorporateGroupProposal {
    /// Who belongs to it: the company at the top first, each after the one above it; at most 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    pub members: Vec<ProposedCompany>,
    /// Whether companies were left out because there are too many.
    pub truncated: bool,
    /// How that came about.
    pub explanation: Explanation,
}

/// A company that would belong to a group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProposedCompany {
    /// The company.
    pub customer: Reference,
    /// What it would be in the group.
    pub role: GroupMemberRole,
    /// Whether this would be the primary member.
    pub primary: bool,
    /// The company directly above; null at the top.
    pub parent_id: Option<CustomerId>,
    /// The share that the top controls; null when no chain of known holdings leads here.
    pub controlled_bp: Option<BasisPoints>,
}

/// Proposes the group to which a company belongs by its relations of today, as far as the actor sees the companies.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `group.manage` and `customer.read`; [`kehu_kernel::Error::Invalid`] `/customer_id` `unknown_customer`
/// for a company out of sight; [`kehu_kernel::Error::Conflict`] `not_an_organisation`.
pub fn propose(conn: &mut Conn, actor: &Actor, request: &CorporateGroupRequest) -> Result<CorporateGroupProposal> {
    scope::allow_inside(actor, Action::GroupManage)?;
    let found = tree::of(conn, actor, request.customer_id);
    let tree = scope::named(conn, actor, "/customer_id", request.customer_id, found)?;
    let mut explanation = Explanation::new("group.corporate", 1)
        .input("customer_id", request.customer_id.to_string())
        .input("as_of", conn.now.date().to_string());
    explanation.step("the company at the top", true, tree.ultimate_parent.id.to_string());
    let company = |node: tree::CorporateTreeNode| {
        let top = node.parent_id.is_none();
        ProposedCompany {
            role: if top { GroupMemberRole::UltimateParent } else { GroupMemberRole::Subsidiary },
            primary: top,
            customer: node.customer,
            parent_id: node.parent_id,
            controlled_bp: node.controlled_bp,
        }
    };
    let members: Vec<ProposedCompany> = tree.nodes.into_iter().map(company).collect();
    for member in &members {
        if let Some(parent) = member.parent_id {
            let control = member.controlled_bp.map_or("an unknown share".to_owned(), |share| format!("{} basis points", share.0));
            explanation.step(&format!("{} stands below {parent}", member.customer.id), true, format!("controlled by {control}"));
        }
    }
    Ok(CorporateGroupProposal { members, truncated: tree.truncated, explanation })
}
