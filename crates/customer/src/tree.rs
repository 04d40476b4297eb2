//! The corporate tree: who stands above and below a company today, and how much of each is controlled.

use std::collections::{HashMap, HashSet};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, BasisPoints, Conn, Date, Error, Reference, Result, schema::relations};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    CustomerId, CustomerKind,
    relation::{RelationRow, RelationType, visible_names},
    scope,
};

/// How many companies a tree shows at most.
const MOST: usize = 1_000;

/// The tree to which a company belongs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CorporateTree {
    /// The company that was asked for.
    pub customer_id: CustomerId,
    /// The company at the top, as far as the bank knows.
    pub ultimate_parent: Reference,
    /// All companies of the tree, each after the one above it; at most 1,000.
    #[schema(max_items = 1000)]
    pub items: Vec<CorporateTreeNode>,
    /// How many companies the tree has below the top, as far as it is shown.
    #[schema(minimum = 0)]
    pub subsidiary_count: i64,
    /// Whether companies were left out because there are more than 1,000.
    pub truncated: bool,
}

/// One company of a tree.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CorporateTreeNode {
    /// The company; its name is empty when it is out of the caller's sight.
    pub customer: Reference,
    /// The company directly above; null at the top.
    pub parent_id: Option<CustomerId>,
    /// How many companies are between this one and the top, plus one; 0 at the top.
    #[schema(minimum = 0)]
    pub depth: i32,
    /// The share that the company directly above holds itself; null when unknown.
    pub share_bp: Option<BasisPoints>,
    /// The share that the top controls along the tree: the product of the shares on the way; null when
    /// one of them is unknown.
    pub controlled_bp: Option<BasisPoints>,
}

/// The corporate tree of an organisation as of today.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Conflict`] `not_an_organisation` for a person.
pub fn of(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<CorporateTree> {
    let row = scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    if row.kind == CustomerKind::Personal {
        return Err(Error::conflict("not_an_organisation", "Only organisations have a corporate tree."));
    }
    let today = conn.now.date();
    let top = topmost(conn, customer, today)?;
    let (mut nodes, truncated) = descend(conn, top, today)?;
    let names = visible_names(conn, actor, nodes.iter().map(|node| node.customer.id.cast()).collect())?;
    for node in &mut nodes {
        node.customer.label = names.get(&node.customer.id.cast()).cloned().unwrap_or_default();
    }
    let subsidiary_count = i64::try_from(nodes.len()).map_err(Error::internal)? - 1;
    let ultimate_parent = Reference::new(top, names.get(&top).cloned().unwrap_or_default());
    Ok(CorporateTree { customer_id: customer, ultimate_parent, items: nodes, subsidiary_count, truncated })
}

fn topmost(conn: &mut Conn, customer: CustomerId, today: Date) -> Result<CustomerId> {
    let mut top = customer;
    let mut seen = HashSet::from([customer]);
    loop {
        let parents: Vec<RelationRow> = relations::table
            .filter(relations::related_customer_id.eq(top))
            .filter(relations::relation_type.eq(RelationType::ParentCompany))
            .select(RelationRow::as_select())
            .load(&mut conn.db)?;
        match parents.iter().find(|row| row.holds_on(today)) {
            Some(row) if seen.insert(row.customer_id) => top = row.customer_id,
            _ => return Ok(top),
        }
    }
}

/// Level by level from the top down.
fn descend(conn: &mut Conn, top: CustomerId, today: Date) -> Result<(Vec<CorporateTreeNode>, bool)> {
    let whole = Some(BasisPoints::WHOLE);
    let root =
        CorporateTreeNode { customer: Reference::new(top, ""), parent_id: None, depth: 0, share_bp: None, controlled_bp: whole };
    let mut nodes = vec![root];
    let mut level: HashMap<CustomerId, Option<BasisPoints>> = HashMap::from([(top, whole)]);
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        let above: Vec<CustomerId> = level.keys().copied().collect();
        let children = held(conn, &above, RelationType::ParentCompany, today)?;
        let shares: HashMap<(CustomerId, CustomerId), BasisPoints> = held(conn, &above, RelationType::Shareholder, today)?
            .into_iter()
            .filter_map(|row| Some(((row.customer_id, row.related_customer_id), row.share_bp?)))
            .collect();
        let mut next = HashMap::new();
        for row in children {
            if nodes.len() >= MOST {
                return Ok((nodes, true));
            }
            let share = shares.get(&(row.customer_id, row.related_customer_id)).copied();
            let controlled = level.get(&row.customer_id).copied().flatten().zip(share).map(|(above, own)| product(above, own));
            next.insert(row.related_customer_id, controlled);
            nodes.push(CorporateTreeNode {
                customer: Reference::new(row.related_customer_id, ""),
                parent_id: Some(row.customer_id),
                depth,
                share_bp: share,
                controlled_bp: controlled,
            });
        }
        level = next;
    }
    Ok((nodes, false))
}

fn held(conn: &mut Conn, by: &[CustomerId], kind: RelationType, today: Date) -> Result<Vec<RelationRow>> {
    let rows: Vec<RelationRow> = relations::table
        .filter(relations::customer_id.eq_any(by.to_vec()))
        .filter(relations::relation_type.eq(kind))
        .order(relations::id)
        .select(RelationRow::as_select())
        .load(&mut conn.db)?;
    Ok(rows.into_iter().filter(|row| row.holds_on(today)).collect())
}

fn product(one: BasisPoints, other: BasisPoints) -> BasisPoints {
    BasisPoints(i32::try_from(i64::from(one.0) * i64::from(other.0) / 10_000).unwrap_or(0))
}
