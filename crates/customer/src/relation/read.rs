//! Relations of a customer, read from its side. Whoever is out of sight is not there: neither listed nor counted.

use std::collections::HashMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Page, PageParams, Result,
    access::Reach,
    page::counted,
    schema::{customers, relations},
    store::{MultiBackend, among},
};

use super::{Relation, RelationFilter, RelationId, RelationRow, RelationType};
use crate::{CustomerId, scope};

/// Relations of a customer with others within sight, oldest record first, from both directions.
///
/// # Errors
/// [`Error::NotFound`] when the customer is out of sight; [`Error::Invalid`] for a bad page request.
pub fn list(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &RelationFilter,
    params: &PageParams,
) -> Result<Page<Relation>> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let window = params.window::<RelationId>(&conn.keys, &format!("relations/{customer}?{filter:?}"))?;
    let matching = |conn: &Conn| {
        let mut query = seen_from(conn, customer, &reach);
        if let Some(kind) = filter.relation_type {
            let forward = relations::relation_type.eq(kind).and(relations::customer_id.eq(customer));
            let backward = relations::relation_type.eq(kind.inverse()).and(relations::related_customer_id.eq(customer));
            query = query.filter(forward.or(backward));
        }
        if let Some(day) = filter.as_of {
            query = query.filter(relations::valid_from.le(day)).filter(lasts_beyond(day));
        }
        query
    };
    let total = if window.include_total { Some(matching(conn).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(conn).order(relations::id).limit(window.fetch()).select(RelationRow::as_select());
    if let Some(after) = window.after {
        query = query.filter(relations::id.gt(after));
    }
    let rows: Vec<RelationRow> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &RelationRow| row.id)?;
    let others = page.items.iter().map(|row| row.other_than(customer)).collect();
    let names = visible_names(conn, actor, others)?;
    Ok(page.map(|row| row.read_by(customer, &names)))
}

/// One relation of a customer with another one within sight.
///
/// # Errors
/// [`Error::NotFound`], also when the other customer is out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, customer: CustomerId, id: RelationId) -> Result<Relation> {
    scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let row = seen_from(conn, customer, &reach).filter(relations::id.eq(id)).select(RelationRow::as_select());
    let row: RelationRow = row.first(&mut conn.db)?;
    let names = visible_names(conn, actor, vec![row.other_than(customer)])?;
    Ok(row.read_by(customer, &names))
}

/// The relations of a customer that hold today with others within sight, oldest record first, and how many there are; the
/// caller has checked the right.
pub(crate) fn in_short(conn: &mut Conn, actor: &Actor, customer: CustomerId, shown: i64) -> Result<(Vec<Relation>, i64)> {
    let reach = actor.allow(Action::CustomerRead)?;
    let today = conn.now.date();
    let all = |conn: &Conn| seen_from(conn, customer, &reach).filter(relations::valid_from.le(today)).filter(lasts_beyond(today));
    let rows: Vec<RelationRow> =
        all(conn).order(relations::id).limit(shown + 1).select(RelationRow::as_select()).load(&mut conn.db)?;
    let (rows, count) = counted(rows, shown, || Ok(all(conn).count().get_result(&mut conn.db)?))?;
    let others: Vec<CustomerId> = rows.iter().map(|row| row.other_than(customer)).collect();
    let names = if others.is_empty() { HashMap::new() } else { visible_names(conn, actor, others)? };
    Ok((rows.into_iter().map(|row| row.read_by(customer, &names)).collect(), count))
}

type Relations<'a> = relations::BoxedQuery<'a, MultiBackend>;

/// The relations of a customer, from both directions, whose other side is within reach.
pub(super) fn seen_from<'a>(conn: &Conn, customer: CustomerId, reach: &Reach) -> Relations<'a> {
    let forward = relations::customer_id.eq(customer);
    let backward = relations::related_customer_id.eq(customer);
    let forward = forward.and(other_is_seen(conn, reach, &[customer]));
    relations::table.filter(forward.or(backward.and(one_is_seen(conn, reach, &[customer])))).into_boxed()
}

/// Whether the customer to whom a relation of one of these leads is within reach.
pub(crate) fn other_is_seen(conn: &Conn, reach: &Reach, of: &[CustomerId]) -> scope::Belongs<relations::related_customer_id> {
    scope::of_visible_beyond(conn, relations::related_customer_id, reach, || {
        let from = relations::table.filter(relations::customer_id.eq_any(of.to_vec()));
        Box::new(customers::id.eq_any(from.select(relations::related_customer_id)))
    })
}

/// Whether the customer whose relation leads to one of these is within reach.
pub(crate) fn one_is_seen(conn: &Conn, reach: &Reach, of: &[CustomerId]) -> scope::Belongs<relations::customer_id> {
    scope::of_visible_beyond(conn, relations::customer_id, reach, || {
        let to = relations::table.filter(relations::related_customer_id.eq_any(of.to_vec()));
        Box::new(customers::id.eq_any(to.select(relations::customer_id)))
    })
}

/// The relations that hold on a day.
pub(crate) fn holding_on<'a>(day: Date) -> Relations<'a> {
    relations::table.filter(relations::valid_from.le(day)).filter(lasts_beyond(day)).into_boxed()
}

#[diesel::dsl::auto_type(no_type_alias)]
fn lasts_beyond(day: Date) -> _ {
    relations::valid_to.is_null().or(relations::valid_to.assume_not_null().gt(day))
}

/// What these customers are to others within reach on a day, by one canonical type, oldest record first; at most so many.
pub(crate) fn held_by(
    conn: &mut Conn,
    reach: &Reach,
    holders: &[CustomerId],
    kind: RelationType,
    day: Date,
    most: usize,
) -> Result<Vec<RelationRow>> {
    Ok(holding_on(day)
        .filter(among(relations::customer_id, holders.to_vec()))
        .filter(relations::relation_type.eq(kind))
        .filter(other_is_seen(conn, reach, holders))
        .order(relations::id)
        .limit(i64::try_from(most).map_err(Error::internal)?)
        .select(RelationRow::as_select())
        .load(&mut conn.db)?)
}

/// Names of those customers that the actor sees.
pub(crate) fn visible_names(conn: &mut Conn, actor: &Actor, ids: Vec<CustomerId>) -> Result<HashMap<CustomerId, String>> {
    let reach = actor.allow(Action::CustomerRead)?;
    let named: Vec<(CustomerId, String)> = customers::table
        .filter(among(customers::id, ids))
        .filter(scope::visible_to(&reach))
        .select((customers::id, customers::display_name))
        .load(&mut conn.db)?;
    Ok(named.into_iter().collect())
}
