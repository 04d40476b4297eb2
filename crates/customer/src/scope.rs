//! Which customers an actor sees, and the way in for everything that belongs to a customer.

use std::collections::HashSet;

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl,
    QueryableByName, RunQueryDsl, SelectableHelper, sql_types::Bool,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Db, Error, Instant, Result, Tx,
    access::{ActorKind, Reach},
    event::NewEvent,
    schema::{assignments, branches, customers},
    store::{self, MultiBackend, among, sql},
};
use serde_json::json;

use crate::{CustomerId, CustomerRow, belonging::Statement};

/// A condition on the table of customers, for `.filter(…)`.
pub type Visible = Box<dyn BoxableExpression<customers::table, MultiBackend, SqlType = Bool>>;

/// The customers within reach: by the branch that keeps them, by active assignment, or the one customer.
/// Customers that were absorbed by a merge, or erased, are out of everybody's sight.
///
/// For what belongs to customers:
/// `within(x::customer_id, customers::table.filter(visible_to(&reach)).select(customers::id).into_boxed())`.
#[must_use]
pub fn visible_to(reach: &Reach) -> Visible {
    Box::new(customers::merged_into.is_null().and(customers::erased_at.is_null()).and(kept_within(reach)))
}

/// The customers within reach, absorbed and erased ones included: for what tells of them afterwards.
pub(crate) fn kept_within(reach: &Reach) -> Visible {
    let home = customers::home_branch_id.assume_not_null();
    match reach {
        Reach::All => Box::new(customers::id.is_not_null()),
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            let within = branches::table.filter(branches::path.ge(from)).filter(branches::path.lt(to)).select(branches::id);
            Box::new(home.eq_any(within).assume_not_null())
        }
        Reach::Branch(path) => {
            let branch = branches::table.filter(branches::path.eq(path.clone())).select(branches::id);
            Box::new(home.eq_any(branch).assume_not_null())
        }
        Reach::Staff(staff) => {
            let assigned = assignments::table
                .filter(among(assignments::staff_id, staff.clone()))
                .filter(assignments::valid_to.is_null())
                .select(assignments::customer_id)
                .into_boxed();
            Box::new(store::within(customers::id, assigned))
        }
        Reach::Customer(id) => Box::new(customers::id.eq(*id)),
    }
}

/// The customer, if the actor may do this to it.
///
/// # Errors
/// [`Error::Forbidden`] when no role grants the action; [`Error::NotFound`] when the customer is absent or out of sight.
pub fn require(conn: &mut Conn, actor: &Actor, action: Action, id: CustomerId) -> Result<CustomerRow> {
    let reach = actor.allow(action)?;
    within(conn, &reach, id)
}

/// As [`require`], for what the bank keeps about a customer for itself: customers are refused.
///
/// # Errors
/// As [`require`].
pub fn require_inside(conn: &mut Conn, actor: &Actor, action: Action, id: CustomerId) -> Result<CustomerRow> {
    let row = require(conn, actor, action, id)?;
    refuse_customers(actor)?;
    Ok(row)
}

/// The reach of an action on what the bank keeps for itself and what belongs to no one customer.
///
/// # Errors
/// [`Error::Forbidden`] when no role grants the action, and for customers.
pub fn allow_inside(actor: &Actor, action: Action) -> Result<Reach> {
    let reach = actor.allow(action)?;
    refuse_customers(actor)?;
    Ok(reach)
}

/// Refuses customers: for what the bank keeps for itself.
pub(crate) fn refuse_customers(actor: &Actor) -> Result<()> {
    if actor.kind == ActorKind::Customer {
        return Err(Error::Forbidden("This is the bank's own record of its customers.".into()));
    }
    Ok(())
}

/// Whether an actor who reads this customer may do something else to it, too. Asks the database only where that reaches
/// less far than reading does.
///
/// # Errors
/// The database's.
pub fn may(conn: &mut Conn, actor: &Actor, action: Action, id: CustomerId) -> Result<bool> {
    let Some(reach) = actor.reach(action) else { return Ok(false) };
    if reach == Reach::All || actor.reach(Action::CustomerRead).as_ref() == Some(&reach) {
        return Ok(true);
    }
    match within(conn, &reach, id) {
        Ok(_) => Ok(true),
        Err(Error::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The customer, if it lies within a reach.
pub(crate) fn within(conn: &mut Conn, reach: &Reach, id: CustomerId) -> Result<CustomerRow> {
    Ok(customers::table
        .filter(customers::id.eq(id))
        .filter(visible_to(reach))
        .select(CustomerRow::as_select())
        .first(&mut conn.db)?)
}

/// The customer and every record that was absorbed into it, directly or through others; the customer first.
/// What stays with absorbed records (events, histories) is read over all of them. The caller has checked the
/// right to see the customer.
///
/// # Errors
/// The database's.
pub fn lineage(conn: &mut Conn, id: CustomerId) -> Result<Vec<CustomerId>> {
    // Few customers were ever merged; that is asked by a statement that is always the same.
    let direct = customers::table.filter(customers::merged_into.eq(id)).select(customers::id).limit(1);
    if direct.load::<CustomerId>(&mut conn.db)?.is_empty() {
        return Ok(vec![id]);
    }
    let absorbed: Vec<Absorbed> = Statement::new(
        "WITH RECURSIVE line(id) AS (SELECT c.id FROM customers c WHERE c.merged_into = {id}
         UNION SELECT c.id FROM customers c JOIN line ON c.merged_into = line.id) SELECT id FROM line ORDER BY id",
    )
    .id("id", id)
    .query()?
    .load(&mut conn.db)?;
    Ok(std::iter::once(id).chain(absorbed.into_iter().map(|row| row.id)).collect())
}

/// Whether all of these records, absorbed ones included, lie within a reach. Assignments go with a merge, so
/// whoever reaches the survivor by one reaches what it absorbed.
pub(crate) fn reached(conn: &mut Conn, reach: &Reach, ids: &[CustomerId]) -> Result<bool> {
    let among = customers::table.filter(customers::id.eq_any(ids));
    if let Reach::Staff(_) = reach {
        let count: i64 = among.filter(kept_within(reach)).count().get_result(&mut conn.db)?;
        return Ok(count > 0);
    }
    let count: i64 = among.filter(kept_within(reach)).count().get_result(&mut conn.db)?;
    Ok(usize::try_from(count) == Ok(ids.len()))
}

/// The customer into which a record was merged in the end, if it was and the actor sees that customer.
///
/// # Errors
/// The database's.
pub fn merged_into(conn: &mut Conn, actor: &Actor, id: CustomerId) -> Result<Option<CustomerId>> {
    let Some(reach) = actor.reach(Action::CustomerRead) else { return Ok(None) };
    match survivor(conn, id)? {
        Some(survivor) => {
            let seen: i64 = customers::table.find(survivor).filter(visible_to(&reach)).count().get_result(&mut conn.db)?;
            Ok((seen > 0).then_some(survivor))
        }
        None => Ok(None),
    }
}

/// The customer into which a record was merged in the end, through others if need be; whoever may see it.
///
/// # Errors
/// The database's.
pub fn survivor(conn: &mut Conn, id: CustomerId) -> Result<Option<CustomerId>> {
    let mut last = None;
    let mut next = Some(id);
    while let Some(id) = next {
        let found: Option<Option<CustomerId>> =
            customers::table.find(id).select(customers::merged_into).first(&mut conn.db).optional()?;
        next = found.flatten();
        last = next.or(last);
    }
    Ok(last)
}

/// The fault of a field that names a customer whom the actor does not see: unknown, or part of another by now.
///
/// # Errors
/// The database's.
pub fn unknown(conn: &mut Conn, actor: &Actor, pointer: &str, id: CustomerId) -> Result<Error> {
    Ok(match merged_into(conn, actor, id)? {
        Some(survivor) => {
            Error::invalid(pointer, "customer_merged", format!("This record was merged into the customer {survivor}."))
        }
        None => Error::invalid(pointer, "unknown_customer", "There is no such customer within your reach."),
    })
}

#[derive(QueryableByName)]
struct Absorbed {
    #[diesel(sql_type = sql::Uuid)]
    id: CustomerId,
}

/// As [`require`], with the customer's row locked until the end of the transaction: what is checked
/// about the customer stays true until it is written.
///
/// # Errors
/// As [`require`].
pub fn lock(tx: &mut Tx<'_>, actor: &Actor, action: Action, id: CustomerId) -> Result<CustomerRow> {
    let reach = actor.allow(action)?;
    hold(tx, id)?;
    within(tx, &reach, id)
}

/// Locks a customer's row; whether there is something to be locked that was not erased meanwhile. For feeds, which know
/// their customers by ids of their own.
pub(crate) fn hold_living(tx: &mut Tx<'_>, id: CustomerId) -> Result<bool> {
    let held = diesel::update(customers::table.find(id)).set(customers::version.eq(customers::version));
    let erased: Option<Option<Instant>> = held.returning(customers::erased_at).get_result(&mut tx.db).optional()?;
    Ok(erased == Some(None))
}

/// As [`lock`], for what the bank keeps about a customer for itself: customers are refused.
///
/// # Errors
/// As [`require_inside`].
pub fn lock_inside(tx: &mut Tx<'_>, actor: &Actor, action: Action, id: CustomerId) -> Result<CustomerRow> {
    let row = lock(tx, actor, action, id)?;
    refuse_customers(actor)?;
    Ok(row)
}

/// Locks a customer's row; of one that does not exist, nothing.
pub(crate) fn hold(tx: &mut Tx<'_>, id: CustomerId) -> Result<()> {
    diesel::update(customers::table.find(id)).set(customers::version.eq(customers::version)).execute(&mut tx.db)?;
    Ok(())
}

/// Keeps customers from being merged, erased or otherwise changed until the end of the transaction, without hindering those
/// who only want the same; those of them that are there. The rows are locked in the order of their ids.
pub(crate) fn share_living(tx: &mut Tx<'_>, mut ids: Vec<CustomerId>) -> Result<HashSet<CustomerId>> {
    ids.sort_unstable();
    ids.dedup();
    let mut living = HashSet::with_capacity(ids.len());
    // A statement takes a limited number of parameters.
    for some in ids.chunks(2_000) {
        let there = customers::table
            .filter(customers::id.eq_any(some))
            .filter(customers::merged_into.is_null())
            .filter(customers::erased_at.is_null())
            .order(customers::id)
            .select(customers::id);
        let found: Vec<CustomerId> = match &mut tx.db {
            // There is one writer.
            Db::Sqlite(conn) => there.load(conn)?,
            Db::Postgres(conn) => there.for_share().load(conn)?,
        };
        living.extend(found);
    }
    Ok(living)
}

/// Names the primary relationship manager (a row of staff), or nobody; for assignments, which have
/// checked the right to do so.
///
/// # Errors
/// [`Error::NotFound`] when there is no such customer.
pub fn set_owner(tx: &mut Tx<'_>, actor: &Actor, id: CustomerId, owner: Option<AnyId>) -> Result<()> {
    let version = diesel::update(customers::table.find(id))
        .set((customers::owner_id.eq(owner), customers::updated_at.eq(tx.now), customers::version.eq(customers::version + 1)))
        .returning(customers::version)
        .get_result::<i64>(&mut tx.db)
        .optional()?;
    if version.is_none() {
        return Err(Error::NotFound);
    }
    tx.emit(actor, NewEvent::new("customer.owner_changed", id, json!({ "owner_id": owner })).of_customer(id));
    Ok(())
}
