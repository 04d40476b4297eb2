//! What the members of a group have with the bank together.

use std::collections::{BTreeSet, HashSet};

use diesel::{QueryDsl, RunQueryDsl};
use kehu_account_link::combined::{self, GroupTotals};
use kehu_customer::CustomerId;
use kehu_kernel::{
    Actor, Conn, Date, Error, Result,
    schema::{group_members, group_parents, groups},
    store::among,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{access, group::GroupId, member::active};

/// Of how many members totals are made while a caller waits.
const MOST: usize = 20_000;

/// Which totals are wanted.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupTotalsQuery {
    /// Whether the members of all groups below count, too, each customer once; false unless given.
    #[param(example = true)]
    pub below: Option<bool>,
}

/// What the members of a group have with the bank today.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupRollUp {
    /// The group.
    pub group_id: GroupId,
    /// The day.
    pub as_of: Date,
    /// Of how many groups the members were summed up: the group itself and those below it.
    #[schema(minimum = 1)]
    pub group_count: i64,
    /// The totals of those members whom the caller sees; null for callers who may not read accounts or see amounts.
    pub totals: Option<GroupTotals>,
}

/// The totals of the members whom the actor sees.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`]; [`Error::Conflict`] `group_too_large`.
pub fn of(conn: &mut Conn, actor: &Actor, id: GroupId, query: GroupTotalsQuery) -> Result<GroupRollUp> {
    access::read(actor)?;
    groups::table.find(id).select(groups::id).first::<GroupId>(&mut conn.db)?;
    let ids = if query.below.unwrap_or(false) { with_those_below(conn, id)? } else { vec![id] };
    let group_count = i64::try_from(ids.len()).map_err(Error::internal)?;
    let (as_of, reach) = (conn.now.date(), access::members_within(actor));
    let mut members: BTreeSet<CustomerId> = BTreeSet::new();
    for chunk in ids.chunks(1_000) {
        let limit = i64::try_from(MOST + 1).map_err(Error::internal)?;
        let found: Vec<CustomerId> = group_members::table
            .filter(among(group_members::group_id, chunk.to_vec()))
            .filter(active(as_of))
            .filter(kehu_customer::of_visible(group_members::customer_id, &reach))
            .select(group_members::customer_id)
            .distinct()
            .limit(limit)
            .load(&mut conn.db)?;
        members.extend(found);
    }
    if members.len() > MOST {
        return Err(Error::conflict("group_too_large", "Totals are made of at most 20,000 members."));
    }
    let members: Vec<CustomerId> = members.into_iter().collect();
    Ok(GroupRollUp { group_id: id, as_of, group_count, totals: combined::totals(conn, actor, &members)? })
}

/// A group and all groups below it, level by level.
fn with_those_below(conn: &mut Conn, id: GroupId) -> Result<Vec<GroupId>> {
    let mut seen = HashSet::from([id]);
    let mut all = vec![id];
    let mut level = vec![id];
    while !level.is_empty() {
        let below: Vec<GroupId> = group_parents::table
            .filter(among(group_parents::parent_id, level))
            .select(group_parents::group_id)
            .load(&mut conn.db)?;
        level = below.into_iter().filter(|group| seen.insert(*group)).collect();
        all.extend(&level);
    }
    Ok(all)
}
