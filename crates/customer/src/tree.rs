//! The corporate tree: who stands above and below a company today, and how much of each is controlled.

use std::collections::{HashMap, HashSet};

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};
use kehu_kernel::{Action, Actor, BasisPoints, Conn, Date, Error, Reference, Result, access::Reach, schema::relations};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    CustomerId, CustomerKind, control,
    relation::{RelationType, held_by, holding_on, one_is_seen, visible_names},
    scope,
};

/// How many companies a tree shows at most.
const MOST: usize = 1_000;

/// The tree to which a company belongs; the api adds what the group has with the bank.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The company that was asked for.
    pub customer_id: CustomerId,
    /// The company at the top, as far as the bank knows and the actor sees.
    pub ultimate_parent: Reference,
    /// All companies of the tree that the actor sees, each after the one above it.
    pub nodes: Vec<CorporateTreeNode>,
    /// Whether companies or holdings were left out because there are too many.
    pub truncated: bool,
}

/// One company of a tree.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CorporateTreeNode {
    /// The company.
    pub customer: Reference,
    /// The company directly above; null at the top.
    pub parent_id: Option<CustomerId>,
    /// How many companies are between this one and the top, plus one; 0 at the top.
    #[schema(minimum = 0)]
    pub depth: i32,
    /// The share that the company directly above holds itself; null when unknown.
    pub share_bp: Option<BasisPoints>,
    /// The share that the top controls: over all chains of known holdings from the top to this company, the
    /// sum of the products of the shares on each; holdings outside the tree count, too, and those that run in a circle once
    /// for each time around; chains through companies out of the caller's sight do not. Null when no chain of known holdings leads here.
    pub controlled_bp: Option<BasisPoints>,
}

/// The corporate tree of an organisation as of today. Companies out of sight are not there, and nothing is reached through
/// them, neither above nor below.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Conflict`] `not_an_organisation` for a person.
pub fn of(conn: &mut Conn, actor: &Actor, customer: CustomerId) -> Result<Tree> {
    let row = scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    if row.kind == CustomerKind::Personal {
        return Err(Error::conflict("not_an_organisation", "Only organisations have a corporate tree."));
    }
    let reach = actor.allow(Action::CustomerRead)?;
    let today = conn.now.date();
    let top = topmost(conn, &reach, customer, today)?;
    let (mut nodes, cut) = descend(conn, &reach, top, today)?;
    let (controlled, cut_short) = control::from_top(conn, &reach, top, today)?;
    let names = visible_names(conn, actor, nodes.iter().map(|node| node.customer.id.cast()).collect())?;
    for node in &mut nodes {
        let company: CustomerId = node.customer.id.cast();
        node.customer.label = names.get(&company).cloned().unwrap_or_default();
        node.controlled_bp = controlled.get(&company).copied();
    }
    let ultimate_parent = Reference::new(top, names.get(&top).cloned().unwrap_or_default());
    Ok(Tree { customer_id: customer, ultimate_parent, nodes, truncated: cut || cut_short })
}

fn topmost(conn: &mut Conn, reach: &Reach, customer: CustomerId, today: Date) -> Result<CustomerId> {
    let mut top = customer;
    let mut seen = HashSet::from([customer]);
    loop {
        let parent: Option<CustomerId> = holding_on(today)
            .filter(relations::related_customer_id.eq(top))
            .filter(relations::relation_type.eq(RelationType::ParentCompany))
            .filter(one_is_seen(conn, reach, &[top]))
            .select(relations::customer_id)
            .first(&mut conn.db)
            .optional()?;
        match parent {
            Some(parent) if seen.insert(parent) => top = parent,
            _ => return Ok(top),
        }
    }
}

/// Level by level from the top down; controlled shares come later.
fn descend(conn: &mut Conn, reach: &Reach, top: CustomerId, today: Date) -> Result<(Vec<CorporateTreeNode>, bool)> {
    let node = |company, parent_id, depth, share_bp| CorporateTreeNode {
        customer: Reference::new(company, ""),
        parent_id,
        depth,
        share_bp,
        controlled_bp: None,
    };
    let mut nodes = vec![node(top, None, 0, None)];
    let mut known: HashSet<CustomerId> = HashSet::from([top]);
    let mut level = vec![top];
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        // One more than there is room for, so that it shows when there are more.
        let room = MOST - nodes.len();
        let mut children = held_by(conn, reach, &level, RelationType::ParentCompany, today, room + 1)?;
        let more = children.len() > room;
        children.truncate(room);
        children.retain(|row| known.insert(row.related_customer_id));
        let shares = direct_shares(conn, &level, children.iter().map(|row| row.related_customer_id).collect(), today)?;
        level = Vec::new();
        for row in children {
            let share = shares.get(&(row.customer_id, row.related_customer_id)).copied();
            level.push(row.related_customer_id);
            nodes.push(node(row.related_customer_id, Some(row.customer_id), depth, share));
        }
        if more {
            return Ok((nodes, true));
        }
    }
    Ok((nodes, false))
}

/// What the companies of one level hold of those of the next.
fn direct_shares(
    conn: &mut Conn,
    holders: &[CustomerId],
    held: Vec<CustomerId>,
    today: Date,
) -> Result<HashMap<(CustomerId, CustomerId), BasisPoints>> {
    let rows: Vec<(CustomerId, CustomerId, Option<BasisPoints>)> = holding_on(today)
        .filter(relations::customer_id.eq_any(holders.to_vec()))
        .filter(relations::related_customer_id.eq_any(held))
        .filter(relations::relation_type.eq(RelationType::Shareholder))
        .select((relations::customer_id, relations::related_customer_id, relations::share_bp))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().filter_map(|(holder, held, share)| Some(((holder, held), share?))).collect())
}
