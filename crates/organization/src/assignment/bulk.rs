//! Many customers to one person at once.

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::CustomerId;
use kehu_kernel::{Action, Actor, Error, Result, Tx, schema::assignments};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::{AssignmentId, AssignmentRole, AssignmentRow, NewAssignment, check_staff, close, insert, lock};
use crate::staff::StaffId;

/// Customers that one person is to look after.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BulkAssignment {
    /// Who is to look after the customers; active staff of any branch.
    pub staff_id: StaffId,
    /// As what.
    pub role: AssignmentRole,
    /// The customers; each once.
    #[schema(min_items = 1, max_items = 1000)]
    #[validate(length(min = 1, max = 1000), custom(function = "each_once"))]
    pub customer_ids: Vec<CustomerId>,
    /// Whether to take over from those who are primarily responsible now; their assignments end today. No unless given.
    #[serde(default)]
    #[schema(nullable = false)]
    pub replace: bool,
    /// Why; kept in the history of each customer.
    #[schema(max_length = 500)]
    #[validate(length(max = 500))]
    pub reason: Option<String>,
}

fn each_once(ids: &[CustomerId]) -> Result<(), ValidationError> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == ids.len() {
        Ok(())
    } else {
        Err(ValidationError::new("duplicate").with_message("Each customer may stand here once.".into()))
    }
}

/// What became of the customers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkAssignmentReport {
    /// How many customers the person looks after by this call.
    #[schema(value_type = i32, minimum = 0, maximum = 1000)]
    pub assigned: usize,
    /// How many were refused.
    #[schema(value_type = i32, minimum = 0, maximum = 1000)]
    pub refused: usize,
    /// Each customer, in the order of their ids.
    #[schema(max_items = 1000)]
    pub results: Vec<BulkAssignmentResult>,
}

/// What became of one customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkAssignmentResult {
    /// The customer.
    pub customer_id: CustomerId,
    /// The new assignment; null when it was refused.
    pub assignment_id: Option<AssignmentId>,
    /// Why it was refused, the code that `create_assignment` would have answered.
    #[schema(example = "primary_assigned", max_length = 64)]
    pub code: Option<String>,
    /// The same in words.
    #[schema(max_length = 500)]
    pub detail: Option<String>,
}

/// Assigns many customers to one person. Each customer stands alone: what is refused leaves the others.
///
/// # Errors
/// [`Error::Forbidden`] without `assignment.manage`; [`Error::Invalid`] for unknown or inactive staff.
pub fn assign(tx: &mut Tx<'_>, actor: &Actor, bulk: &BulkAssignment) -> Result<BulkAssignmentReport> {
    actor.allow(Action::AssignmentManage)?;
    check_staff(tx, bulk.staff_id)?;
    let mut customers = bulk.customer_ids.clone();
    // Always in the same order, so that two such calls wait for each other instead of locking each other out.
    customers.sort_unstable();
    let mut results = Vec::with_capacity(customers.len());
    for customer in customers {
        let (assignment_id, code, detail) = match tx.savepoint(|tx| assign_one(tx, actor, bulk, customer)) {
            Ok(id) => (Some(id), None, None),
            Err(Error::NotFound) => (None, Some("not_found"), Some("There is no such customer within your reach.".to_owned())),
            Err(Error::Conflict { code, detail }) => (None, Some(code), Some(detail)),
            Err(other) => return Err(other),
        };
        results.push(BulkAssignmentResult { customer_id: customer, assignment_id, code: code.map(ToOwned::to_owned), detail });
    }
    let assigned = results.iter().filter(|result| result.assignment_id.is_some()).count();
    Ok(BulkAssignmentReport { assigned, refused: results.len() - assigned, results })
}

fn assign_one(tx: &mut Tx<'_>, actor: &Actor, bulk: &BulkAssignment, customer_id: CustomerId) -> Result<AssignmentId> {
    lock(tx, actor, customer_id)?;
    if bulk.replace && bulk.role == AssignmentRole::Primary {
        relieve(tx, actor, bulk, customer_id)?;
    }
    let new =
        NewAssignment { customer_id, staff_id: bulk.staff_id, role: bulk.role, valid_from: None, reason: bulk.reason.clone() };
    insert(tx, actor, &new)
}

/// Ends the assignment of somebody else who is primarily responsible.
fn relieve(tx: &mut Tx<'_>, actor: &Actor, bulk: &BulkAssignment, customer: CustomerId) -> Result<()> {
    let present: Option<AssignmentRow> = assignments::table
        .filter(assignments::customer_id.eq(customer))
        .filter(assignments::role.eq(AssignmentRole::Primary))
        .filter(assignments::valid_to.is_null())
        .filter(assignments::staff_id.ne(bulk.staff_id))
        .select(AssignmentRow::as_select())
        .first(&mut tx.db)
        .optional()?;
    match present {
        Some(row) => {
            let today = tx.now.date();
            close(tx, actor, &row, today, bulk.reason.as_deref())
        }
        None => Ok(()),
    }
}
