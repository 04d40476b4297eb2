//! The graph of relations around a customer: level by level, with one query a level and direction.

use std::collections::{HashMap, HashSet};

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Date, Error, Reference, Result,
    access::Reach,
    schema::{customers, relations},
    store::MultiBackend,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    CustomerId, CustomerKind,
    relation::{RelationId, RelationRow, RelationType, one_is_seen, other_is_seen},
    scope,
};

/// How many customers a graph shows at most.
const MOST: usize = 500;
/// How many relations a graph shows at most.
const MOST_EDGES: i64 = 2_000;
/// How far a graph reaches at most.
const DEEPEST: i32 = 4;

/// Which graph is wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RelationGraphQuery {
    /// How many relations away the graph reaches, 1 to 4; 2 unless given.
    #[param(minimum = 1, maximum = 4, example = 2)]
    pub depth: Option<i32>,
    /// Only along relations of this type, whichever side names it so.
    #[serde(rename = "type")]
    #[param(inline, example = "shareholder")]
    pub relation_type: Option<RelationType>,
    /// Only relations that hold on this day; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// Customers around a customer, and the relations among them. Whoever is out of the caller's sight is not
/// there, and nobody is reached through them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RelationGraph {
    /// The customer in the middle.
    pub customer_id: CustomerId,
    /// How many relations away the graph reaches.
    #[schema(minimum = 1, maximum = 4)]
    pub depth: i32,
    /// The day on which the relations hold.
    pub as_of: Date,
    /// The customers, nearest first, the one in the middle at the head; at most 500.
    #[schema(max_items = 500)]
    pub nodes: Vec<RelationGraphNode>,
    /// All relations among these customers, oldest record first; at most 2,000.
    #[schema(max_items = 2000)]
    pub edges: Vec<RelationGraphEdge>,
    /// Whether customers or relations were left out because there are more.
    pub truncated: bool,
}

/// A customer of a graph.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RelationGraphNode {
    /// The customer.
    pub customer: Reference,
    /// What kind of customer it is.
    pub kind: CustomerKind,
    /// How many relations it is away from the one in the middle, on the shortest way.
    #[schema(minimum = 0, maximum = 4)]
    pub depth: i32,
}

/// A relation of a graph: `from` is the `type` of `to`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RelationGraphEdge {
    /// The relation.
    pub id: RelationId,
    /// What `from` is to `to`; the other way round it reads as the inverse.
    #[serde(rename = "type")]
    pub relation_type: RelationType,
    /// The first customer.
    pub from: CustomerId,
    /// The second customer.
    pub to: CustomerId,
    /// The first one's role in it, in words.
    #[schema(max_length = 100)]
    pub role_from: Option<String>,
    /// The second one's role in it, in words.
    #[schema(max_length = 100)]
    pub role_to: Option<String>,
    /// The share, of shareholders.
    pub share_bp: Option<BasisPoints>,
}

/// The graph of relations around a customer.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a depth that is out of range.
pub fn around(conn: &mut Conn, actor: &Actor, customer: CustomerId, query: RelationGraphQuery) -> Result<RelationGraph> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let depth = query.depth.unwrap_or(2);
    if !(1..=DEEPEST).contains(&depth) {
        return Err(Error::invalid("?depth", "out_of_range", format!("A graph reaches 1 to {DEEPEST} relations away.")));
    }
    let of =
        Edges { kind: query.relation_type.map(RelationType::canonical), day: query.as_of.unwrap_or_else(|| conn.now.date()) };
    let (found, mut truncated) = of.walk(conn, &reach, customer, depth)?;
    let edges = of.among(conn, found.iter().map(|(id, _)| *id).collect())?;
    let most = usize::try_from(MOST_EDGES).unwrap_or(usize::MAX);
    truncated |= edges.len() > most;
    Ok(RelationGraph {
        customer_id: customer,
        depth,
        as_of: of.day,
        nodes: nodes(conn, &found)?,
        edges: edges.into_iter().take(most).map(Into::into).collect(),
        truncated,
    })
}

/// Which relations count.
struct Edges {
    kind: Option<RelationType>,
    day: Date,
}

impl Edges {
    fn counting<'a>(&self) -> relations::BoxedQuery<'a, MultiBackend> {
        let lasts = relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(self.day));
        let mut query = relations::table.filter(relations::valid_from.le(self.day).and(lasts)).into_boxed();
        if let Some(kind) = self.kind {
            query = query.filter(relations::relation_type.eq(kind));
        }
        query
    }

    /// Everybody within reach who is at most so far away, with the distance; and whether some had to be left out.
    fn walk(&self, conn: &mut Conn, reach: &Reach, from: CustomerId, depth: i32) -> Result<(Vec<(CustomerId, i32)>, bool)> {
        let (mut found, mut known) = (vec![(from, 0)], HashSet::from([from]));
        let mut level = vec![from];
        for distance in 1..=depth {
            let mut next = Vec::new();
            for forward in [true, false] {
                let room = MOST - found.len();
                for id in self.neighbours(conn, reach, &level, &found, forward, room)? {
                    if known.insert(id) {
                        if found.len() == MOST {
                            return Ok((found, true));
                        }
                        found.push((id, distance));
                        next.push(id);
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        Ok((found, false))
    }

    /// Those next to a level who are not known yet: one more than there is room for, so that it shows when there are more.
    fn neighbours(
        &self,
        conn: &mut Conn,
        reach: &Reach,
        level: &[CustomerId],
        found: &[(CustomerId, i32)],
        forward: bool,
        room: usize,
    ) -> Result<Vec<CustomerId>> {
        let known: Vec<CustomerId> = found.iter().map(|(id, _)| *id).collect();
        let limit = i64::try_from(room).map_err(Error::internal)? + 1;
        let query = self.counting().limit(limit);
        Ok(if forward {
            query
                .filter(relations::customer_id.eq_any(level.to_vec()))
                .filter(relations::related_customer_id.ne_all(known))
                .filter(other_is_seen(conn, reach, level))
                .order(relations::related_customer_id)
                .select(relations::related_customer_id)
                .distinct()
                .load(&mut conn.db)?
        } else {
            query
                .filter(relations::related_customer_id.eq_any(level.to_vec()))
                .filter(relations::customer_id.ne_all(known))
                .filter(one_is_seen(conn, reach, level))
                .order(relations::customer_id)
                .select(relations::customer_id)
                .distinct()
                .load(&mut conn.db)?
        })
    }

    /// The relations that these customers have among each other, one more than are shown.
    fn among(&self, conn: &mut Conn, ids: Vec<CustomerId>) -> Result<Vec<RelationRow>> {
        Ok(self
            .counting()
            .filter(relations::customer_id.eq_any(ids.clone()))
            .filter(relations::related_customer_id.eq_any(ids))
            .order(relations::id)
            .limit(MOST_EDGES + 1)
            .select(RelationRow::as_select())
            .load(&mut conn.db)?)
    }
}

fn nodes(conn: &mut Conn, found: &[(CustomerId, i32)]) -> Result<Vec<RelationGraphNode>> {
    let ids: Vec<CustomerId> = found.iter().map(|(id, _)| *id).collect();
    let named: HashMap<CustomerId, (String, CustomerKind)> = customers::table
        .filter(customers::id.eq_any(ids))
        .select((customers::id, customers::display_name, customers::kind))
        .load::<(CustomerId, String, CustomerKind)>(&mut conn.db)?
        .into_iter()
        .map(|(id, name, kind)| (id, (name, kind)))
        .collect();
    let node = |(id, depth): &(CustomerId, i32)| {
        let (name, kind) = named.get(id)?;
        Some(RelationGraphNode { customer: Reference::new(*id, name.clone()), kind: *kind, depth: *depth })
    };
    Ok(found.iter().filter_map(node).collect())
}

impl From<RelationRow> for RelationGraphEdge {
    fn from(row: RelationRow) -> Self {
        Self {
            id: row.id,
            relation_type: row.relation_type,
            from: row.customer_id,
            to: row.related_customer_id,
            role_from: row.role_from,
            role_to: row.role_to,
            share_bp: row.share_bp,
        }
    }
}
