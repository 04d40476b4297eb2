//! The group of a pair: all customers that open pairs connect, so that whoever decides sees them together and can make one
//! customer of them by one merge.

use std::collections::BTreeSet;

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{Action, Actor, Conn, Error, Result, access::Reach, schema::match_candidates};
use serde::Serialize;
use utoipa::ToSchema;

use super::candidate::{self, MatchCandidate, MatchCandidateId, MatchState, MatchedCustomer, Pair};
use crate::CustomerId;

/// How many customers a group shows at most.
const MOST: usize = 20;
/// How many pairs a group shows at most: all of them between so many customers.
const PAIRS: usize = MOST * (MOST - 1) / 2;

/// Customers of whom each may be the same as another one of the group.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MatchGroup {
    /// The customers, the oldest record first, with the versions that `merge_customers` asks for.
    #[schema(min_items = 2, max_items = 20)]
    pub customers: Vec<MatchedCustomer>,
    /// The open pairs between them, the best score first. Two customers without a pair are in the group by way of others:
    /// a chain alone does not make them one.
    #[schema(max_items = 190)]
    pub pairs: Vec<MatchCandidate>,
    /// Whether that is the whole group; no when it has more than 20 customers.
    pub complete: bool,
}

/// The group of an open pair, as far as the actor reaches it: pairs beyond the reach and those that were put off connect
/// nobody.
///
/// # Errors
/// [`Error::Forbidden`] without `customer.match`; [`Error::NotFound`]; [`Error::Conflict`] `already_decided`.
pub fn get(conn: &mut Conn, actor: &Actor, id: MatchCandidateId) -> Result<MatchGroup> {
    let reach = actor.allow(Action::CustomerMatch)?;
    let asked = candidate::find(conn, actor, id)?;
    if asked.state != MatchState::Open {
        return Err(Error::conflict("already_decided", format!("The pair is {} already.", asked.state)));
    }
    let mut group = BTreeSet::from([asked.left_id, asked.right_id]);
    let mut edge: Vec<CustomerId> = group.iter().copied().collect();
    let mut complete = true;
    while !edge.is_empty() {
        let mut next = Vec::new();
        for pair in around(conn, &reach, &edge)? {
            for customer in [pair.left_id, pair.right_id] {
                if group.contains(&customer) {
                    continue;
                }
                if group.len() == MOST {
                    complete = false;
                    continue;
                }
                group.insert(customer);
                next.push(customer);
            }
        }
        edge = next;
    }
    let ids: Vec<CustomerId> = group.into_iter().collect();
    let mut pairs = around(conn, &reach, &ids)?;
    pairs.retain(|pair| ids.contains(&pair.left_id) && ids.contains(&pair.right_id));
    if pairs.iter().all(|pair| pair.id != asked.id) {
        pairs.push(asked);
    }
    pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.score_bp), pair.id));
    pairs.truncate(PAIRS);
    let known = candidate::customers_of(conn, ids.clone())?;
    let customers = ids.iter().filter_map(|id| known.get(id).cloned()).collect();
    Ok(MatchGroup { customers, pairs: candidate::shown(conn, pairs)?, complete })
}

/// Open pairs of customers within reach that were not put off, the best first; of very many only so many that a group is
/// full.
fn around(conn: &mut Conn, reach: &Reach, of: &[CustomerId]) -> Result<Vec<Pair>> {
    let due = match_candidates::postponed_until.assume_not_null().le(conn.now.date());
    let limit = i64::try_from(PAIRS.saturating_mul(2)).map_err(Error::internal)?;
    Ok(candidate::reachable(conn, reach)
        .filter(match_candidates::state.eq(MatchState::Open))
        .filter(match_candidates::postponed_until.is_null().or(due))
        .filter(match_candidates::left_id.eq_any(of.to_vec()).or(match_candidates::right_id.eq_any(of.to_vec())))
        .order((match_candidates::score_bp.desc(), match_candidates::id))
        .limit(limit)
        .select(Pair::as_select())
        .load(&mut conn.db)?)
}
