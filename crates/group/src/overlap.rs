//! Which customers of a group are in others, too.

use std::collections::BTreeSet;

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, BasisPoints, Conn, Date, Error, Reference, Result,
    access::Reach,
    schema::{group_members, groups},
    store::{MultiBackend, among, within},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::other::others;
use crate::{
    access,
    group::{self, GroupId},
    member::active,
};

/// How many groups an answer names.
const MOST: i64 = 100;

/// Which overlap is wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GroupOverlapQuery {
    /// Only with these groups; with every group that shares a member unless given.
    #[serde(default)]
    #[param(max_items = 50)]
    pub other_id: Vec<GroupId>,
    /// The day for which members are compared; today unless given.
    #[param(example = "2026-01-31")]
    pub as_of: Option<Date>,
}

/// What a group shares with others, of the customers whom the caller sees.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupOverlap {
    /// The group.
    pub group_id: GroupId,
    /// The day for which members were compared.
    pub as_of: Date,
    /// How many members the group has that the caller sees.
    #[schema(minimum = 0)]
    pub member_count: i64,
    /// The groups that share members with it, those that share most first; at most 100.
    #[schema(max_items = 100)]
    pub groups: Vec<SharedMembers>,
    /// Whether groups were left out because there are more.
    pub truncated: bool,
}

/// What two groups share.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SharedMembers {
    /// The other group.
    pub group: Reference,
    /// How many members it has that the caller sees.
    #[schema(minimum = 0)]
    pub member_count: i64,
    /// How many of them are members of both.
    #[schema(minimum = 0)]
    pub shared_count: i64,
    /// The part of the first group that is in both.
    pub share_bp: BasisPoints,
    /// The part of the other group that is in both.
    pub other_share_bp: BasisPoints,
}

/// The members of the other groups.
mod other {
    use kehu_kernel::schema::group_members;

    diesel::alias!(group_members as others: Others);
}

/// What a group shares with others on a day.
///
/// # Errors
/// [`Error::Forbidden`] without `group.read`; [`Error::NotFound`]; [`Error::Invalid`] for other groups that do not exist.
pub fn of(conn: &mut Conn, actor: &Actor, id: GroupId, query: &GroupOverlapQuery) -> Result<GroupOverlap> {
    access::read(actor)?;
    groups::table.find(id).select(groups::id).first::<GroupId>(&mut conn.db)?;
    if query.other_id.len() > 50 {
        return Err(Error::invalid("?other_id", "too_many", "At most 50 groups are compared at once."));
    }
    let wanted: BTreeSet<GroupId> = query.other_id.iter().copied().filter(|other| *other != id).collect();
    if group::names(conn, wanted.iter().copied())?.len() < wanted.len() {
        return Err(Error::invalid("?other_id", "unknown_group", "There is no group with this id."));
    }
    let day = query.as_of.unwrap_or_else(|| conn.now.date());
    let reach = access::members_within(actor);
    let member_count = count(conn, id, day, &reach)?;
    let mut shared = shared(conn, id, day, &reach, wanted.into_iter().collect())?;
    let most = usize::try_from(MOST).map_err(Error::internal)?;
    let truncated = shared.len() > most;
    shared.truncate(most);
    let names = group::names(conn, shared.iter().map(|(other, _)| *other))?;
    let mut found = Vec::with_capacity(shared.len());
    for (other, shared_count) in shared {
        let other_count = count(conn, other, day, &reach)?;
        found.push(SharedMembers {
            group: Reference::new(other, names.get(&other).cloned().unwrap_or_default()),
            member_count: other_count,
            shared_count,
            share_bp: part(shared_count, member_count),
            other_share_bp: part(shared_count, other_count),
        });
    }
    Ok(GroupOverlap { group_id: id, as_of: day, member_count, groups: found, truncated })
}

fn part(shared: i64, whole: i64) -> BasisPoints {
    let bp = i128::from(shared) * 10_000 / i128::from(whole.max(1));
    BasisPoints(i32::try_from(bp).unwrap_or(BasisPoints::WHOLE.0))
}

fn count(conn: &mut Conn, group: GroupId, day: Date, reach: &Reach) -> Result<i64> {
    let of = group_members::table
        .filter(group_members::group_id.eq(group))
        .filter(active(day))
        .filter(kehu_customer::of_visible(group_members::customer_id, reach));
    Ok(of.count().get_result(&mut conn.db)?)
}

/// How many members a group shares with each other one, those with most first.
fn shared(conn: &mut Conn, id: GroupId, day: Date, reach: &Reach, wanted: Vec<GroupId>) -> Result<Vec<(GroupId, i64)>> {
    let members = group_members::table
        .filter(group_members::group_id.eq(id))
        .filter(active(day))
        .filter(kehu_customer::of_visible(group_members::customer_id, reach))
        .select(group_members::customer_id)
        .into_boxed::<MultiBackend>();
    let valid_to = others.field(group_members::valid_to);
    let holds = others.field(group_members::valid_from).le(day).and(valid_to.is_null().or(valid_to.assume_not_null().gt(day)));
    let group = others.field(group_members::group_id);
    let number = diesel::dsl::count(others.field(group_members::id));
    let of = others.filter(group.ne(id)).filter(holds).filter(within(others.field(group_members::customer_id), members));
    let grouped = of.group_by(group).order((number.desc(), group)).limit(MOST + 1).select((group, number));
    Ok(if wanted.is_empty() { grouped.load(&mut conn.db)? } else { grouped.filter(among(group, wanted)).load(&mut conn.db)? })
}
