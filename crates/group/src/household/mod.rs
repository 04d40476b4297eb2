//! Households that the bank could form: people whom address, phone and relations tie together, proposed with the reasons.

mod form;
mod ties;

use std::collections::{BTreeSet, HashMap};

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::{CustomerId, CustomerKind, scope};
use kehu_kernel::{
    Action, Actor, BasisPoints, Conn, Error, Explanation, Reference, Result,
    access::{FieldClass, Reach},
    schema::{customers, group_members, groups},
    store::{MultiBackend, among, within},
    text_enum,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use self::form::{ENOUGH, Household};
use crate::{
    group::GroupKind,
    member::{GroupMemberRole, active},
};

/// How many customers one request looks at unless it says.
const LOOKED_AT: i64 = 50;

text_enum! {
    /// What ties two people together.
    pub enum HouseholdEvidence {
        /// They are married.
        Spouse = "spouse",
        /// The first is a parent of the other.
        Parent = "parent",
        /// They have the same postal address.
        SharedAddress = "shared_address",
        /// They have the same phone number.
        SharedPhone = "shared_phone",
    }
}

/// For whom households are to be proposed.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct HouseholdProposalRequest {
    /// Only the household of this customer.
    pub customer_id: Option<CustomerId>,
    /// Without a customer: those after this one are looked at, in the order of their ids; `next_after` of the answer before.
    pub after: Option<CustomerId>,
    /// How many customers are looked at, 1 to 200; 50 unless given.
    #[schema(minimum = 1, maximum = 200, example = 50)]
    #[validate(range(min = 1, max = 200))]
    pub limit: Option<i64>,
}

/// Households that could be formed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HouseholdProposals {
    /// The households; none twice over all answers of one walk.
    #[schema(max_items = 200)]
    pub proposals: Vec<HouseholdProposal>,
    /// How many customers were looked at.
    #[schema(minimum = 0)]
    pub examined_count: i64,
    /// Where to go on; null when all have been looked at.
    pub next_after: Option<CustomerId>,
}

/// A household that could be formed: for `create_group` and `add_group_members`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HouseholdProposal {
    /// Who belongs to it, the primary member first.
    #[schema(min_items = 2, max_items = 20)]
    pub members: Vec<ProposedMember>,
    /// What ties them together; those ties that are strong enough.
    #[schema(min_items = 1, max_items = 190)]
    pub ties: Vec<HouseholdTie>,
    /// How that came about.
    pub explanation: Explanation,
}

/// Who would belong to a household.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProposedMember {
    /// The customer.
    pub customer: Reference,
    /// What the customer would be in it.
    pub role: GroupMemberRole,
    /// Whether this would be the primary member.
    pub primary: bool,
}

/// What ties two people of a household together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct HouseholdTie {
    /// The first.
    pub customer_id: CustomerId,
    /// The other.
    pub related_customer_id: CustomerId,
    /// What ties them.
    #[schema(min_items = 1, max_items = 4)]
    pub evidence: Vec<HouseholdEvidence>,
    /// How strong that is: married 8000, parent 5000, same address 5000, same phone 4000, at most 10000 together; from 8000 on they
    /// are proposed as one household.
    pub score_bp: BasisPoints,
}

/// Proposes households of people who are in none: of one customer, or of all within reach, some at a time.
///
/// # Errors
/// [`Error::Forbidden`] without `group.manage`, `customer.read` and the right to see contact data; [`Error::Invalid`] `/customer_id`
/// `unknown_customer` for one out of sight; [`Error::Conflict`] `not_a_person` or `in_a_household`.
pub fn propose(conn: &mut Conn, actor: &Actor, request: &HouseholdProposalRequest) -> Result<HouseholdProposals> {
    scope::allow_inside(actor, Action::GroupManage)?;
    let reach = actor.allow(Action::CustomerRead)?;
    if !actor.sees(FieldClass::Internal) {
        return Err(Error::Forbidden("Contact data is shown to roles that see internal fields.".into()));
    }
    let (seeds, next_after) = match request.customer_id {
        Some(id) => (vec![one(conn, actor, id)?], None),
        None => walk(conn, &reach, request)?,
    };
    let mut proposals = Vec::new();
    for seed in &seeds {
        let Some(household) = around(conn, &reach, *seed)? else { continue };
        // Each household is proposed once: by the first of its members.
        if request.customer_id.is_some() || household.members.keys().next() == Some(seed) {
            proposals.push(shown(conn, &reach, household)?);
        }
    }
    let examined_count = i64::try_from(seeds.len()).map_err(Error::internal)?;
    Ok(HouseholdProposals { proposals, examined_count, next_after })
}

/// The one customer that is asked for.
fn one(conn: &mut Conn, actor: &Actor, id: CustomerId) -> Result<CustomerId> {
    let found = scope::require(conn, actor, Action::CustomerRead, id);
    let row = scope::named(conn, actor, "/customer_id", id, found)?;
    if row.kind != CustomerKind::Personal {
        return Err(Error::conflict("not_a_person", "Only people live in households."));
    }
    if free(conn, &actor.allow(Action::CustomerRead)?, &[id])?.is_empty() {
        return Err(Error::conflict("in_a_household", "The customer is in a household already."));
    }
    Ok(id)
}

/// The next customers of a walk over all, and where to go on.
fn walk(conn: &mut Conn, reach: &Reach, request: &HouseholdProposalRequest) -> Result<(Vec<CustomerId>, Option<CustomerId>)> {
    let limit = request.limit.unwrap_or(LOOKED_AT);
    let mut of = people(conn, reach).order(customers::id).limit(limit).select(customers::id);
    if let Some(after) = request.after {
        of = of.filter(customers::id.gt(after));
    }
    let seeds: Vec<CustomerId> = of.load(&mut conn.db)?;
    let full = i64::try_from(seeds.len()).map_err(Error::internal)? == limit;
    let next = seeds.last().copied().filter(|_| full);
    Ok((seeds, next))
}

/// People within reach who are in no household today.
fn people(conn: &Conn, reach: &Reach) -> customers::BoxedQuery<'static, MultiBackend> {
    let households = groups::table.filter(groups::kind.eq(GroupKind::Household)).select(groups::id);
    let housed = group_members::table
        .filter(active(conn.now.date()))
        .filter(group_members::group_id.eq_any(households))
        .select(group_members::customer_id)
        .into_boxed::<MultiBackend>();
    customers::table
        .filter(customers::kind.eq(CustomerKind::Personal))
        .filter(kehu_customer::visible_to(reach))
        .filter(diesel::dsl::not(within(customers::id, housed)))
        .into_boxed()
}

/// Those of some who are people within reach and in no household today.
fn free(conn: &mut Conn, reach: &Reach, ids: &[CustomerId]) -> Result<BTreeSet<CustomerId>> {
    let of = people(conn, reach).filter(among(customers::id, ids.to_vec())).select(customers::id);
    Ok(of.load::<CustomerId>(&mut conn.db)?.into_iter().collect())
}

/// The household around somebody: on from each to those who are tied to them strongly enough.
fn around(conn: &mut Conn, reach: &Reach, seed: CustomerId) -> Result<Option<Household>> {
    let mut household = Household::new(seed);
    let mut level = vec![seed];
    while !level.is_empty() {
        let found = ties::of(conn, &level)?;
        let others: Vec<CustomerId> = found.iter().flat_map(|tie| [tie.one, tie.other]).collect();
        let free = free(conn, reach, &others)?;
        level = household.grow(found.into_iter().filter(|tie| free.contains(&tie.one) && free.contains(&tie.other)));
    }
    Ok(household.settled())
}

fn shown(conn: &mut Conn, reach: &Reach, household: Household) -> Result<HouseholdProposal> {
    let ids: Vec<CustomerId> = household.members.keys().copied().collect();
    let names: HashMap<CustomerId, String> = customers::table
        .filter(among(customers::id, ids))
        .filter(kehu_customer::visible_to(reach))
        .select((customers::id, customers::display_name))
        .load::<(CustomerId, String)>(&mut conn.db)?
        .into_iter()
        .collect();
    let mut explanation = Explanation::new("group.household", 1)
        .input("members", household.members.len())
        .input("enough_bp", ENOUGH)
        .input("as_of", conn.now.date().to_string());
    for tie in &household.ties {
        let evidence: Vec<&str> = tie.evidence.iter().map(|one| one.as_str()).collect();
        let check = format!("{} and {} belong together", tie.customer_id, tie.related_customer_id);
        explanation.step(&check, true, format!("{}: {} basis points", evidence.join(", "), tie.score_bp.0));
    }
    let member = |(id, role): (&CustomerId, &GroupMemberRole)| ProposedMember {
        customer: Reference::new(*id, names.get(id).cloned().unwrap_or_default()),
        role: *role,
        primary: *role == GroupMemberRole::Head,
    };
    let mut members: Vec<ProposedMember> = household.members.iter().map(member).collect();
    members.sort_by_key(|member| !member.primary);
    Ok(HouseholdProposal { members, ties: household.ties, explanation })
}
