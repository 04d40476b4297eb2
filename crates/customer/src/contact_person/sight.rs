//! Which contact persons an actor sees.

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl,
    SelectableHelper,
    dsl::{exists, not},
    sql_types::Bool,
};
use kehu_kernel::{
    Action, Actor, Conn, Error, Result, Tx,
    access::Reach,
    schema::{branches, contact_persons, customers, employments},
    store::{MultiBackend, found_in, within},
};

use super::person::{ContactPerson, ContactPersonId};
use crate::scope;

/// A condition on the table of contact persons, for `.filter(…)`.
pub(super) type Visible = Box<dyn BoxableExpression<contact_persons::table, MultiBackend, SqlType = Bool>>;

/// The contact persons within reach: who is or was employed by a customer within reach, who is one, and of those without
/// any tie to a customer, those whose branch is within reach and those that the actor recorded.
pub(super) fn visible_to(conn: &Conn, actor: &Actor, reach: &Reach) -> Visible {
    if *reach == Reach::All {
        return Box::new(contact_persons::version.ge(0));
    }
    let employed = employments::table.filter(scope::of_visible(employments::customer_id, reach));
    let employed = employed.select(employments::contact_person_id).into_boxed();
    let employed = if reach.is_wide() && !conn.distributed {
        found_in(contact_persons::id, "contact_person_id", employed)
    } else {
        within(contact_persons::id, employed)
    };
    let itself = contact_persons::person_customer_id.is_not_null();
    let known = contact_persons::person_customer_id.assume_not_null();
    let itself = itself.and(scope::of_visible_beyond(conn, known, reach, || {
        let there = contact_persons::table.filter(contact_persons::person_customer_id.is_not_null());
        Box::new(customers::id.eq_any(there.select(contact_persons::person_customer_id.assume_not_null())))
    }));
    let loose = contact_persons::person_customer_id.is_null().and(is_nowhere(conn));
    let recorded = contact_persons::created_by.eq(actor.subject.clone());
    let home = contact_persons::home_branch_id.assume_not_null();
    let placed = contact_persons::home_branch_id.is_not_null();
    match reach {
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            let below = branches::table.filter(branches::path.ge(from)).filter(branches::path.lt(to)).select(branches::id);
            Box::new(employed.or(itself).or(loose.and(recorded.or(placed.and(home.eq_any(below))))))
        }
        Reach::Branch(path) => {
            let branch = branches::table.filter(branches::path.eq(path.clone())).select(branches::id);
            Box::new(employed.or(itself).or(loose.and(recorded.or(placed.and(home.eq_any(branch))))))
        }
        Reach::All | Reach::Staff(_) | Reach::Customer(_) => Box::new(employed.or(itself).or(loose.and(recorded))),
    }
}

/// Employed nowhere, now or ever.
fn is_nowhere(conn: &Conn) -> Visible {
    if conn.distributed {
        return Box::new(not(within(
            contact_persons::id,
            employments::table.select(employments::contact_person_id).into_boxed(),
        )));
    }
    Box::new(not(exists(employments::table.filter(employments::contact_person_id.eq(contact_persons::id)))))
}

/// The contact person, if the actor may do this to them. Customers are refused.
pub(super) fn require(conn: &mut Conn, actor: &Actor, action: Action, id: ContactPersonId) -> Result<ContactPerson> {
    let reach = scope::allow_inside(actor, action)?;
    let row = contact_persons::table.filter(contact_persons::id.eq(id)).filter(visible_to(conn, actor, &reach));
    Ok(row.select(ContactPerson::as_select()).first(&mut conn.db)?)
}

/// As [`require`], with the row locked until the end of the transaction. What has ended is changed no more:
/// [`Error::Conflict`] `already_ended`.
pub(super) fn lock(tx: &mut Tx<'_>, actor: &Actor, action: Action, id: ContactPersonId) -> Result<ContactPerson> {
    scope::allow_inside(actor, action)?;
    hold(tx, id)?;
    let row = require(tx, actor, action, id)?;
    check_open(&row)?;
    Ok(row)
}

/// Refuses what has ended.
pub(super) fn check_open(row: &ContactPerson) -> Result<()> {
    if row.ended_on.is_some() {
        return Err(Error::conflict("already_ended", "The bank deals with this contact person no more."));
    }
    Ok(())
}

/// Locks a contact person's row; of one that does not exist, nothing.
pub(super) fn hold(tx: &mut Tx<'_>, id: ContactPersonId) -> Result<()> {
    tx.hold_row("contact_persons", id)
}
