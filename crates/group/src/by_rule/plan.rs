//! Who has to come into a group and who has to leave it.

use std::collections::HashSet;

use diesel::{QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{Conn, Result, schema::group_members, store::among};

use super::standing::Standing;
use crate::{
    group::GroupId,
    member::{MembershipId, active_from},
};

/// How many customers, or groups, one query names.
pub(super) const CHUNK: usize = 2_000;

/// What makes the members those whom the rule wants.
#[derive(Default)]
pub(super) struct Plan {
    /// Who comes into which group, in the order of customers.
    pub come: Vec<(CustomerId, GroupId)>,
    /// Memberships that end, with their customers.
    pub leave: Vec<(MembershipId, CustomerId)>,
}

type Present = (MembershipId, CustomerId, GroupId);

/// The plan for all customers, or for those who were changed.
pub(super) fn plan(conn: &mut Conn, standing: &Standing, changed: Option<&[CustomerId]>) -> Result<Plan> {
    let mut plan = Plan::default();
    match changed {
        None => plan.differ(standing.wanted(conn, None)?, present(conn, standing, None)?),
        Some(changed) => {
            for some in changed.chunks(CHUNK) {
                plan.differ(standing.wanted(conn, Some(some.to_vec()))?, present(conn, standing, Some(some))?);
            }
        }
    }
    plan.come.sort_unstable();
    Ok(plan)
}

impl Plan {
    fn differ(&mut self, wanted: Vec<(CustomerId, GroupId)>, present: Vec<Present>) {
        let mut wanted: HashSet<(CustomerId, GroupId)> = wanted.into_iter().collect();
        let gone = present.into_iter().filter(|(_, customer, group)| !wanted.remove(&(*customer, *group)));
        self.leave.extend(gone.map(|(membership, customer, _)| (membership, customer)));
        self.come.extend(wanted);
    }
}

/// Who is in the groups now or will be.
fn present(conn: &mut Conn, standing: &Standing, some: Option<&[CustomerId]>) -> Result<Vec<Present>> {
    let mut found = Vec::new();
    for groups in standing.groups().collect::<Vec<_>>().chunks(CHUNK) {
        let mut of = group_members::table
            .filter(among(group_members::group_id, groups.to_vec()))
            .filter(active_from(conn.now.date()))
            .into_boxed();
        if let Some(some) = some {
            of = of.filter(among(group_members::customer_id, some.to_vec()));
        }
        let columns = (group_members::id, group_members::customer_id, group_members::group_id);
        found.extend(of.select(columns).load::<Present>(&mut conn.db)?);
    }
    Ok(found)
}
