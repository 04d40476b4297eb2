//! Which customers an actor sees, and the way in for everything that belongs to a customer.

use std::collections::{BTreeSet, HashMap, HashSet};

use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl,
    QueryableByName, RunQueryDsl, SelectableHelper, dsl::auto_type, sql_types::Bool,
};
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Instant, Kind, Result, Tx,
    access::{ActorKind, Reach},
    event::NewEvent,
    schema::{assignments, branches, customers},
    store::{self, MultiBackend, among, found_in, sql},
};
use serde_json::json;

use crate::{CustomerId, CustomerRow, belonging::Statement};

/// How many ids one query names.
const CHUNK: usize = 5_000;

/// Whether the customer in a column is among some.
pub type Belongs<C> = store::Within<C, customers::BoxedQuery<'static, MultiBackend, sql::Uuid>>;

/// A condition on the table of customers, for `.filter(…)`.
pub type Visible = Box<dyn BoxableExpression<customers::table, MultiBackend, SqlType = Bool>>;

/// The customers within reach: by the branch that keeps them, by active assignment, or the one customer.
/// Customers that were absorbed by a merge, or erased, are out of everybody's sight.
///
/// For what belongs to customers there is [`of_visible`].
#[must_use]
pub fn visible_to(reach: &Reach) -> Visible {
    Box::new(is_living().and(kept_within(reach)))
}

/// Whether the customer in a column can be seen: [`visible_to`] for the tables of what belongs to customers.
#[must_use]
pub fn of_visible<C>(column: C, reach: &Reach) -> Belongs<C> {
    belongs(column, reach, visible_to(reach))
}

/// As [`of_visible`], absorbed and erased customers included.
pub(crate) fn of_kept<C>(column: C, reach: &Reach) -> Belongs<C> {
    belongs(column, reach, kept_within(reach))
}

/// [`of_visible`] for customers with whom the row does not lie. Spread over machines, a row cannot look at another one's
/// customer, so it is asked beforehand which customers are seen: of `some`, a condition that all whom the column may name meet.
pub(crate) fn of_visible_beyond<C>(conn: &Conn, column: C, reach: &Reach, some: impl FnOnce() -> Visible) -> Belongs<C> {
    if conn.distributed { asked_beforehand(column, visible_to(reach), some()) } else { of_visible(column, reach) }
}

/// As [`of_visible_beyond`], absorbed and erased customers included.
pub(crate) fn of_kept_beyond<C>(conn: &Conn, column: C, reach: &Reach, some: impl FnOnce() -> Visible) -> Belongs<C> {
    if conn.distributed { asked_beforehand(column, kept_within(reach), some()) } else { of_kept(column, reach) }
}

fn asked_beforehand<C>(column: C, condition: Visible, some: Visible) -> Belongs<C> {
    store::within(column, customers::table.filter(condition).filter(some).select(customers::id).into_boxed())
}

fn belongs<C>(column: C, reach: &Reach, condition: Visible) -> Belongs<C> {
    let of = customers::table.filter(condition).select(customers::id).into_boxed();
    if reach.is_wide() { found_in(column, "id", of) } else { store::within(column, of) }
}

/// Neither absorbed by a merge nor erased.
#[auto_type]
pub(crate) fn is_living() -> _ {
    customers::merged_into.is_null().and(customers::erased_at.is_null())
}

/// Kept by a branch whose path lies between these.
#[auto_type]
fn kept_below(from: String, to: String) -> _ {
    let within = branches::table.filter(branches::path.ge(from)).filter(branches::path.lt(to)).select(branches::id);
    customers::home_branch_id.assume_not_null().eq_any(within).assume_not_null()
}

/// Kept by the branch with this path.
#[auto_type]
fn kept_at(path: String) -> _ {
    let branch = branches::table.filter(branches::path.eq(path)).select(branches::id);
    customers::home_branch_id.assume_not_null().eq_any(branch).assume_not_null()
}

/// The customers within reach, absorbed and erased ones included: for what tells of them afterwards.
pub(crate) fn kept_within(reach: &Reach) -> Visible {
    match reach {
        Reach::All => Box::new(customers::id.is_not_null()),
        Reach::Subtree(path) => {
            let (from, to) = Reach::path_range(path);
            Box::new(kept_below(from, to))
        }
        Reach::Branch(path) => Box::new(kept_at(path.clone())),
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

/// What is done with the statement that finds a customer within a reach. It is the way into everything: for most callers a
/// statement that is always the same, which `visible_to` cannot be.
macro_rules! found_within {
    ($reach:expr, $id:expr, $row:ident => $done:expr) => {{
        let of = customers::table.filter(customers::id.eq($id)).filter(is_living()).select(CustomerRow::as_select());
        match $reach {
            Reach::All => {
                let $row = of;
                $done
            }
            Reach::Subtree(path) => {
                let (from, to) = Reach::path_range(path);
                let $row = of.filter(kept_below(from, to));
                $done
            }
            Reach::Branch(path) => {
                let $row = of.filter(kept_at(path.clone()));
                $done
            }
            reach @ (Reach::Staff(_) | Reach::Customer(_)) => {
                let $row = of.filter(kept_within(reach));
                $done
            }
        }
    }};
}

/// The customer, if it lies within a reach.
pub(crate) fn within(conn: &mut Conn, reach: &Reach, id: CustomerId) -> Result<CustomerRow> {
    found_within!(reach, id, row => Ok(row.get_result(&mut conn.db)?))
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

/// As [`lineage`], of several customers together.
///
/// # Errors
/// The database's.
pub fn lineages(conn: &mut Conn, ids: &[CustomerId]) -> Result<Vec<CustomerId>> {
    let mut all = ids.to_vec();
    let mut last = all.clone();
    while !last.is_empty() {
        let mut absorbed: Vec<CustomerId> = Vec::new();
        for chunk in last.chunks(CHUNK) {
            let of = customers::table.filter(among(customers::merged_into.assume_not_null(), chunk.to_vec()));
            absorbed.extend(of.select(customers::id).load::<CustomerId>(&mut conn.db)?);
        }
        all.extend(&absorbed);
        last = absorbed;
    }
    Ok(all)
}

/// Which customer each of these records has become part of in the end; of records that were not absorbed, nothing.
///
/// # Errors
/// The database's.
pub fn living(conn: &mut Conn, ids: impl Iterator<Item = CustomerId>) -> Result<HashMap<CustomerId, CustomerId>> {
    let records: BTreeSet<CustomerId> = ids.collect();
    let mut next: HashMap<CustomerId, CustomerId> = HashMap::new();
    let mut open: Vec<CustomerId> = records.iter().copied().collect();
    while !open.is_empty() {
        let mut found: BTreeSet<CustomerId> = BTreeSet::new();
        for chunk in open.chunks(CHUNK) {
            let absorbed =
                customers::table.filter(among(customers::id, chunk.to_vec())).filter(customers::merged_into.is_not_null());
            let columns = (customers::id, customers::merged_into.assume_not_null());
            for (id, into) in absorbed.select(columns).load::<(CustomerId, CustomerId)>(&mut conn.db)? {
                next.insert(id, into);
                found.insert(into);
            }
        }
        open = found.into_iter().filter(|id| !next.contains_key(id)).collect();
    }
    let end = |id: CustomerId| {
        let mut last = *next.get(&id)?;
        while let Some(into) = next.get(&last) {
            last = *into;
        }
        Some((id, last))
    };
    Ok(records.into_iter().filter_map(end).collect())
}

/// Whether all of these records, absorbed ones included, lie within a reach. Assignments go with a merge, so
/// whoever reaches the survivor by one reaches what it absorbed.
pub(crate) fn reached(conn: &mut Conn, reach: &Reach, ids: &[CustomerId]) -> Result<bool> {
    let among = customers::table.filter(customers::id.eq_any(ids));
    if let Reach::Staff(_) = reach {
        let count: i64 = among.filter(kept_within(reach)).count().get_result(&mut conn.db)?;
        return Ok(count > 0);
    }
    each_reached(conn, reach, ids)
}

/// Whether each of these records, absorbed ones included, lies within a reach by itself.
pub(crate) fn each_reached(conn: &mut Conn, reach: &Reach, ids: &[CustomerId]) -> Result<bool> {
    let within = customers::table.filter(customers::id.eq_any(ids)).filter(kept_within(reach));
    let count: i64 = within.count().get_result(&mut conn.db)?;
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

/// What was found of a customer whom a field names: where it is out of sight, that is a fault of the field, not of the address.
///
/// # Errors
/// As `found`, with [`unknown`] in the place of [`Error::NotFound`].
pub fn named<T>(conn: &mut Conn, actor: &Actor, pointer: &str, id: CustomerId, found: Result<T>) -> Result<T> {
    match found {
        Err(Error::NotFound) => Err(unknown(conn, actor, pointer, id)?),
        found => found,
    }
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
    if tx.distributed {
        hold(tx, id)?;
    }
    found_within!(&reach, id, row => tx.found_held(row))
}

/// Locks a customer's row; whether there is something to be locked that was not erased meanwhile. For feeds, which know
/// their customers by ids of their own.
///
/// # Errors
/// [`Error::Busy`] when the customer was merged into another one meanwhile: the write begins anew and finds that one.
pub(crate) fn hold_living(tx: &mut Tx<'_>, id: CustomerId) -> Result<bool> {
    let held = diesel::update(customers::table.find(id)).set(customers::version.eq(customers::version));
    let found: Option<(Option<Instant>, Option<CustomerId>)> =
        held.returning((customers::erased_at, customers::merged_into)).get_result(&mut tx.db).optional()?;
    match found {
        Some((_, Some(_))) => Err(Error::Busy),
        found => Ok(found == Some((None, None))),
    }
}

/// Locks the rows of customers in the order of their ids: none of them becomes part of another one before what refers to
/// them is written.
///
/// # Errors
/// [`Error::Busy`] as for a single one that was merged meanwhile.
pub fn hold_all(tx: &mut Tx<'_>, ids: impl Iterator<Item = CustomerId>) -> Result<()> {
    // SQLite has one writer at a time.
    if matches!(tx.db.kind, Kind::Sqlite(_)) { Ok(()) } else { hold_living_all(tx, ids).map(drop) }
}

/// As [`hold_all`]; those of the customers that were not erased meanwhile.
///
/// # Errors
/// As [`hold_all`].
pub(crate) fn hold_living_all(tx: &mut Tx<'_>, ids: impl Iterator<Item = CustomerId>) -> Result<HashSet<CustomerId>> {
    type Row = (CustomerId, Option<Instant>, Option<CustomerId>);
    let ids: BTreeSet<CustomerId> = ids.collect();
    let mut living = HashSet::with_capacity(ids.len());
    let spread = tx.distributed;
    for chunk in ids.into_iter().collect::<Vec<_>>().chunks(CHUNK) {
        let rows = customers::table.filter(customers::id.eq_any(chunk.to_vec()));
        let columns = (customers::id, customers::erased_at, customers::merged_into);
        let held: Vec<Row> = match &mut tx.db.kind {
            Kind::Sqlite(conn) => rows.select(columns).load(conn)?,
            // Rows of several machines are only locked by a change of them; here it is none.
            Kind::Postgres(conn) if spread => {
                let held = diesel::update(rows).set(customers::version.eq(customers::version));
                held.returning(columns).get_results(conn)?
            }
            Kind::Postgres(conn) => rows.order(customers::id).select(columns).for_no_key_update().load(conn)?,
        };
        if held.iter().any(|(_, _, merged)| merged.is_some()) {
            return Err(Error::Busy);
        }
        living.extend(held.into_iter().filter(|(_, erased, _)| erased.is_none()).map(|(id, ..)| id));
    }
    Ok(living)
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
    tx.hold_row("customers", id)
}

/// Keeps customers from being merged, erased or otherwise changed until the end of the transaction, without hindering those
/// who only want the same; those of them that are there. The rows are locked in the order of their ids.
///
/// # Errors
/// The database's.
pub fn share_living(tx: &mut Tx<'_>, mut ids: Vec<CustomerId>) -> Result<HashSet<CustomerId>> {
    ids.sort_unstable();
    ids.dedup();
    let mut living = HashSet::with_capacity(ids.len());
    let spread = tx.distributed;
    // A statement takes a limited number of parameters.
    for some in ids.chunks(2_000) {
        let there = customers::table
            .filter(customers::id.eq_any(some))
            .filter(customers::merged_into.is_null())
            .filter(customers::erased_at.is_null());
        let ordered = there.clone().order(customers::id).select(customers::id);
        let found: Vec<CustomerId> = match &mut tx.db.kind {
            // There is one writer.
            Kind::Sqlite(conn) => ordered.load(conn)?,
            // As in `hold_all`; then those who only want the same wait.
            Kind::Postgres(conn) if spread => {
                let held = diesel::update(there).set(customers::version.eq(customers::version));
                held.returning(customers::id).get_results(conn)?
            }
            Kind::Postgres(conn) => ordered.for_share().load(conn)?,
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
