//! Assignments: who looks after which customer. One person is primarily responsible, others stand in or help.

mod bulk;

use diesel::{
    BoxableExpression, ExpressionMethods, Insertable, JoinOnDsl, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
    sql_types::Bool,
};
use kehu_customer::{CustomerId, scope};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Id, Instant, Page, PageParams, Reference, Result, Tx,
    access::Reach,
    error::taken,
    event::NewEvent,
    page::counted,
    schema::{assignments, customers, staff},
    store::MultiBackend,
    text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::{
    portfolio,
    staff::{StaffId, StaffStatus},
};

pub use bulk::{BulkAssignment, BulkAssignmentReport, BulkAssignmentResult, assign};

/// Identifier of an assignment.
pub type AssignmentId = Id<Assignment>;

text_enum! {
    /// As what somebody looks after a customer.
    pub enum AssignmentRole {
        /// Primarily responsible; a customer has at most one, who is also the customer's owner.
        Primary = "primary",
        /// Stands in for the primary one.
        Deputy = "deputy",
        /// Helps with what they know best.
        Specialist = "specialist",
    }
}

/// Somebody who looks after a customer, now or in the past.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Assignment {
    /// Identifier of the assignment.
    pub id: AssignmentId,
    /// Whom they look after.
    pub customer: Reference,
    /// Who looks after the customer.
    pub staff: Reference,
    /// As what.
    pub role: AssignmentRole,
    /// The first day.
    pub valid_from: Date,
    /// The day from which it holds no more; null while it holds.
    pub valid_to: Option<Date>,
    /// Why it began.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// Who made it.
    #[schema(max_length = 128)]
    pub assigned_by: String,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = assignments, treat_none_as_default_value = false)]
struct AssignmentRow {
    id: AssignmentId,
    customer_id: CustomerId,
    staff_id: StaffId,
    role: AssignmentRole,
    valid_from: Date,
    valid_to: Option<Date>,
    reason: Option<String>,
    end_reason: Option<String>,
    assigned_by: String,
    created_at: Instant,
    updated_at: Instant,
    version: i64,
}

impl From<(AssignmentRow, String, String)> for Assignment {
    fn from((row, customer, staff): (AssignmentRow, String, String)) -> Self {
        Self {
            id: row.id,
            customer: Reference::new(row.customer_id, customer),
            staff: Reference::new(row.staff_id, staff),
            role: row.role,
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            reason: row.reason,
            end_reason: row.end_reason,
            assigned_by: row.assigned_by,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// An assignment to be made.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewAssignment {
    /// Whom they are to look after.
    pub customer_id: CustomerId,
    /// Who is to look after the customer; active staff of any branch.
    pub staff_id: StaffId,
    /// As what.
    pub role: AssignmentRole,
    /// The first day, today unless given; never in the future.
    pub valid_from: Option<Date>,
    /// Why; kept in the history.
    #[schema(max_length = 500)]
    #[validate(length(max = 500))]
    pub reason: Option<String>,
}

/// How an assignment ends.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AssignmentEnd {
    /// The day from which it holds no more, today unless given; never in the future nor before the first day.
    pub valid_to: Option<Date>,
    /// Why; kept in the history.
    #[schema(min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// Filters of the list of assignments.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AssignmentFilter {
    /// Only those of this customer.
    pub customer_id: Option<CustomerId>,
    /// Only those of this staff member.
    pub staff_id: Option<StaffId>,
    /// Only this role.
    #[param(example = "primary")]
    pub role: Option<AssignmentRole>,
    /// Only those that hold, or only those that have ended.
    #[param(example = true)]
    pub active: Option<bool>,
}

type Visible = Box<dyn BoxableExpression<assignments::table, MultiBackend, SqlType = Bool>>;

/// The assignments of the customers within reach.
fn visible_to(reach: &Reach) -> Visible {
    Box::new(scope::of_visible(assignments::customer_id, reach))
}

/// Assignments of customers within reach, in the order in which they were made.
///
/// # Errors
/// [`Error::Forbidden`] without `assignment.read`; [`Error::Invalid`] for a bad page request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &AssignmentFilter, params: &PageParams) -> Result<Page<Assignment>> {
    let reach = actor.allow(Action::AssignmentRead)?;
    let window = params.window::<AssignmentId>(&conn.keys, &format!("assignments?{filter:?}"))?;
    let matching = || {
        let mut query = assignments::table.filter(visible_to(&reach)).into_boxed();
        if let Some(customer) = filter.customer_id {
            query = query.filter(assignments::customer_id.eq(customer));
        }
        if let Some(person) = filter.staff_id {
            query = query.filter(assignments::staff_id.eq(person));
        }
        if let Some(role) = filter.role {
            query = query.filter(assignments::role.eq(role));
        }
        match filter.active {
            Some(true) => query.filter(assignments::valid_to.is_null()),
            Some(false) => query.filter(assignments::valid_to.is_not_null()),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching().count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching().order(assignments::id).limit(window.fetch()).select(AssignmentRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(assignments::id.gt(after));
    }
    let rows: Vec<AssignmentRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row| row.id)?;
    let items = present(conn, page.items)?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// One assignment of a customer within reach.
///
/// # Errors
/// [`Error::Forbidden`] without `assignment.read`; [`Error::NotFound`].
pub fn get(conn: &mut Conn, actor: &Actor, id: AssignmentId) -> Result<Assignment> {
    let reach = actor.allow(Action::AssignmentRead)?;
    let row = assignments::table.filter(assignments::id.eq(id)).filter(visible_to(&reach));
    let row: AssignmentRow = row.select(AssignmentRow::as_select()).first(&mut conn.db)?;
    present(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

/// Who looks after a customer now, first made first, and how many they are; the caller has checked the right to know.
///
/// # Errors
/// The database's.
pub fn of_customer(conn: &mut Conn, id: CustomerId, shown: i64) -> Result<(Vec<Assignment>, i64)> {
    let rows: Vec<(AssignmentRow, String, String)> = assignments::table
        .inner_join(customers::table.on(assignments::customer_id.eq(customers::id)))
        .inner_join(staff::table.on(assignments::staff_id.eq(staff::id)))
        .filter(assignments::customer_id.eq(id))
        .filter(assignments::valid_to.is_null())
        .order(assignments::id)
        .limit(shown + 1)
        .select((AssignmentRow::as_select(), customers::display_name, staff::name))
        .load(&mut conn.db)?;
    let all = assignments::table.filter(assignments::customer_id.eq(id)).filter(assignments::valid_to.is_null());
    let (rows, count) = counted(rows, shown, || Ok(all.count().get_result(&mut conn.db)?))?;
    Ok((rows.into_iter().map(Assignment::from).collect(), count))
}

/// Gives a customer somebody who looks after it.
///
/// # Errors
/// [`Error::NotFound`] for a customer out of reach; [`Error::Invalid`] for unknown or inactive staff and for a first day in
/// the future; [`Error::Conflict`] `primary_assigned` when another is primarily responsible, `already_assigned` when this
/// person looks after the customer in this role, `portfolio_full` when they can look after no more.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, new: &NewAssignment) -> Result<Assignment> {
    actor.allow(Action::AssignmentManage)?;
    // Staff before customers, here as in `assign`, so that nobody waits in a circle.
    check_staff(tx, new.staff_id)?;
    lock(tx, actor, new.customer_id)?;
    let id = insert(tx, actor, new)?;
    find(tx, id)
}

/// Ends an assignment; a customer whose primary one ends has no owner until the next.
///
/// # Errors
/// [`Error::NotFound`] when it, or its customer, is out of reach; [`Error::Invalid`] for an impossible last day;
/// [`Error::Conflict`] `assignment_ended`; [`Error::PreconditionFailed`].
pub fn end(tx: &mut Tx<'_>, actor: &Actor, id: AssignmentId, version: i64, how: &AssignmentEnd) -> Result<Assignment> {
    actor.allow(Action::AssignmentManage)?;
    let customer: CustomerId = assignments::table.find(id).select(assignments::customer_id).first(&mut tx.db)?;
    scope::lock(tx, actor, Action::AssignmentManage, customer)?;
    // Read again: the lock on the customer may have waited for somebody who changed this row.
    let of = assignments::table.find(id).filter(assignments::customer_id.eq(customer));
    let row: AssignmentRow = of.select(AssignmentRow::as_select()).first(&mut tx.db)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    if row.valid_to.is_some() {
        return Err(Error::conflict("assignment_ended", "This assignment has ended already."));
    }
    let last = how.valid_to.unwrap_or_else(|| tx.now.date());
    if last > tx.now.date() {
        return Err(Error::invalid("/valid_to", "in_future", "An assignment cannot end in the future."));
    }
    if last < row.valid_from {
        return Err(Error::invalid("/valid_to", "before_start", "An assignment cannot end before its first day."));
    }
    close(tx, actor, &row, last, Some(&how.reason))?;
    if row.role == AssignmentRole::Primary {
        scope::set_owner(tx, actor, row.customer_id, None)?;
    }
    find(tx, id)
}

/// The customer, locked. One that is part of another by now is named instead of being out of sight.
fn lock(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId) -> Result<()> {
    match scope::lock(tx, actor, Action::AssignmentManage, id) {
        Err(Error::NotFound) => match scope::merged_into(tx, actor, id)? {
            Some(survivor) => {
                Err(Error::conflict("customer_merged", format!("The record was merged into the customer {survivor}.")))
            }
            None => Err(Error::NotFound),
        },
        found => found.map(|_| ()),
    }
}

/// Who is given a customer has to be there and be active.
fn check_staff(conn: &mut Conn, id: StaffId) -> Result<()> {
    // Locked, so that nobody is deactivated between this look and the commit without seeing the assignment.
    conn.hold_row("staff", id)?;
    let status: Vec<StaffStatus> = staff::table.filter(staff::id.eq(id)).select(staff::status).load(&mut conn.db)?;
    match status.first() {
        Some(StaffStatus::Active) => Ok(()),
        Some(StaffStatus::Inactive) => Err(Error::invalid("/staff_id", "staff_inactive", "This staff member is inactive.")),
        None => Err(Error::invalid("/staff_id", "unknown_staff", "There is no staff member with this id.")),
    }
}

/// Writes an assignment of a customer that is locked, and keeps the customer's owner in step.
fn insert(tx: &mut Tx<'_>, actor: &Actor, new: &NewAssignment) -> Result<AssignmentId> {
    let today = tx.now.date();
    let valid_from = new.valid_from.unwrap_or(today);
    if valid_from > today {
        return Err(Error::invalid("/valid_from", "in_future", "An assignment cannot begin in the future."));
    }
    let same: i64 = assignments::table
        .filter(assignments::customer_id.eq(new.customer_id))
        .filter(assignments::staff_id.eq(new.staff_id))
        .filter(assignments::role.eq(new.role))
        .filter(assignments::valid_to.is_null())
        .count()
        .get_result(&mut tx.db)?;
    if same > 0 {
        return Err(Error::conflict("already_assigned", "This person looks after the customer in this role already."));
    }
    if new.role == AssignmentRole::Primary {
        portfolio::check_room(tx, new.staff_id)?;
    }
    let row = AssignmentRow {
        id: AssignmentId::new(),
        customer_id: new.customer_id,
        staff_id: new.staff_id,
        role: new.role,
        valid_from,
        valid_to: None,
        reason: new.reason.clone(),
        end_reason: None,
        assigned_by: actor.subject.clone(),
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    let inserted = diesel::insert_into(assignments::table).values(&row).execute(&mut tx.db);
    inserted
        .map_err(taken("primary_assigned", "Another person is primarily responsible: end that first, or use bulk_assign."))?;
    let data = json!({ "staff_id": row.staff_id, "role": row.role });
    tx.emit(actor, NewEvent::new("assignment.created", row.id, data).of_customer(row.customer_id));
    if row.role == AssignmentRole::Primary {
        scope::set_owner(tx, actor, row.customer_id, Some(row.staff_id.cast()))?;
    }
    Ok(row.id)
}

/// Ends an assignment of a customer that is locked; the owner is the caller's to set.
fn close(tx: &mut Tx<'_>, actor: &Actor, row: &AssignmentRow, last: Date, reason: Option<&str>) -> Result<()> {
    diesel::update(assignments::table.find(row.id).filter(assignments::customer_id.eq(row.customer_id)))
        .set((
            assignments::valid_to.eq(last),
            assignments::end_reason.eq(reason),
            assignments::updated_at.eq(tx.now),
            assignments::version.eq(row.version + 1),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "staff_id": row.staff_id, "role": row.role });
    tx.emit(actor, NewEvent::new("assignment.ended", row.id, data).of_customer(row.customer_id));
    Ok(())
}

fn find(conn: &mut Conn, id: AssignmentId) -> Result<Assignment> {
    let row = assignments::table.find(id).select(AssignmentRow::as_select()).first(&mut conn.db)?;
    present(conn, vec![row])?.pop().ok_or(Error::NotFound)
}

/// Adds the names of customers and staff, with one query for any number of assignments.
fn present(conn: &mut Conn, rows: Vec<AssignmentRow>) -> Result<Vec<Assignment>> {
    let ids: Vec<AssignmentId> = rows.iter().map(|row| row.id).collect();
    let mut names: std::collections::HashMap<AssignmentId, (String, String)> = assignments::table
        .inner_join(customers::table.on(assignments::customer_id.eq(customers::id)))
        .inner_join(staff::table.on(assignments::staff_id.eq(staff::id)))
        .filter(assignments::id.eq_any(ids))
        .select((assignments::id, (customers::display_name, staff::name)))
        .load::<(AssignmentId, (String, String))>(&mut conn.db)?
        .into_iter()
        .collect();
    let named = rows.into_iter().map(|row| {
        let (customer, person) = names.remove(&row.id).unwrap_or_default();
        Assignment::from((row, customer, person))
    });
    Ok(named.collect())
}
