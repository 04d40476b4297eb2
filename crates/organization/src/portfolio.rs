//! The portfolio of a staff member: how many customers they look after, and how many they can.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, dsl::count_star};
use kehu_kernel::{Action, Actor, BasisPoints, Conn, Error, Reference, Result, schema::assignments};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    assignment::AssignmentRole,
    staff::{self, StaffId, StaffStatus},
};

/// What a staff member has to look after.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Portfolio {
    /// The staff member.
    pub staff: Reference,
    /// Whether they work for the bank; the customers of those who do not are to be assigned to others.
    pub status: StaffStatus,
    /// How many customers they are primarily responsible for.
    #[schema(minimum = 0)]
    pub primary_count: i64,
    /// For how many customers they stand in.
    #[schema(minimum = 0)]
    pub deputy_count: i64,
    /// How many customers they help as specialists.
    #[schema(minimum = 0)]
    pub specialist_count: i64,
    /// For how many customers they can be primarily responsible; null when there is no limit.
    #[schema(minimum = 0, maximum = 100_000)]
    pub capacity: Option<i32>,
    /// How many more customers they can take; below zero when they have more than they can look after, as after their
    /// capacity was lowered. Null when there is no limit.
    pub free: Option<i64>,
    /// The part of the capacity that is taken, rounded down; null when there is no limit, or when it is zero.
    pub load_bp: Option<BasisPoints>,
}

/// The portfolio of a staff member as it is now. What it holds, `list_assignments` lists.
///
/// # Errors
/// [`Error::Forbidden`] without `assignment.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: StaffId) -> Result<Portfolio> {
    actor.allow(Action::AssignmentRead)?;
    let person = staff::find(conn, id)?;
    let counts: Vec<(AssignmentRole, i64)> = assignments::table
        .filter(assignments::staff_id.eq(id))
        .filter(assignments::valid_to.is_null())
        .group_by(assignments::role)
        .select((assignments::role, count_star()))
        .load(&mut conn.db)?;
    let of = |role| counts.iter().find(|(counted, _)| *counted == role).map_or(0, |(_, count)| *count);
    let primary_count = of(AssignmentRole::Primary);
    Ok(Portfolio {
        staff: Reference::new(id, person.name),
        status: person.status,
        primary_count,
        deputy_count: of(AssignmentRole::Deputy),
        specialist_count: of(AssignmentRole::Specialist),
        capacity: person.capacity,
        free: person.capacity.map(|capacity| i64::from(capacity) - primary_count),
        load_bp: person.capacity.and_then(|capacity| load(primary_count, capacity)),
    })
}

/// Refuses one more customer to somebody who can be primarily responsible for no more. The staff member is locked.
pub(crate) fn check_room(conn: &mut Conn, id: StaffId) -> Result<()> {
    let Some(capacity) = staff::row(conn, id)?.capacity else { return Ok(()) };
    let held: i64 = assignments::table
        .filter(assignments::staff_id.eq(id))
        .filter(assignments::role.eq(AssignmentRole::Primary))
        .filter(assignments::valid_to.is_null())
        .count()
        .get_result(&mut conn.db)?;
    if held < i64::from(capacity) {
        return Ok(());
    }
    Err(Error::conflict("portfolio_full", format!("This person can look after {capacity} customers and has {held}.")))
}

fn load(held: i64, capacity: i32) -> Option<BasisPoints> {
    let whole = i64::from(BasisPoints::WHOLE.0);
    let load = held.checked_mul(whole)?.checked_div(i64::from(capacity))?;
    Some(BasisPoints(i32::try_from(load).unwrap_or(i32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_the_taken_part_of_the_capacity() {
        assert_eq!(load(50, 150), Some(BasisPoints(3_333)));
        assert_eq!(load(3, 2), Some(BasisPoints(15_000)));
        assert_eq!(load(0, 0), None);
    }
}
