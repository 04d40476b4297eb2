//! Lists of contact persons: of the pool, and of a customer.

use std::collections::HashMap;

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_kernel::{
    Action, Actor, Conn, Date, Page, PageParams, Result,
    page::counted,
    schema::{contact_persons, employments},
    store::{MultiBackend, among},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    employment::{DecisionRole, Employment, EmploymentId, Row},
    person::{ContactPerson, ContactPersonId},
    sight,
};
use crate::{CustomerId, CustomerKind, CustomerRow, scope};

/// Filters of the list of contact persons.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ContactPersonFilter {
    /// Only persons of exactly this name.
    #[param(max_length = 200, example = "王强")]
    pub name: Option<String>,
    /// Only the person who is this customer.
    pub person_customer_id: Option<CustomerId>,
    /// Only those whom the bank deals with, or only those whose record has ended; both unless given.
    #[param(example = true)]
    pub active: Option<bool>,
}

/// Filters of the contact persons of a customer.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CustomerContactPersonFilter {
    /// Only employments that hold on this day.
    pub as_of: Option<Date>,
    /// Only persons with this part in decisions.
    #[param(inline, example = "decision_maker")]
    pub decision_role: Option<DecisionRole>,
}

/// Somebody who works or worked for a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CustomerContactPerson {
    /// The person, without personal parts and keys.
    pub contact_person: ContactPerson,
    /// The employment at this customer.
    pub employment: Employment,
}

/// The contact persons within reach, oldest record first, without sensitive fields.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `customer.read`, and for customers; [`kehu_kernel::Error::Invalid`] for a bad page
/// request.
pub fn list(conn: &mut Conn, actor: &Actor, filter: &ContactPersonFilter, params: &PageParams) -> Result<Page<ContactPerson>> {
    let reach = scope::allow_inside(actor, Action::CustomerRead)?;
    let window = params.window::<ContactPersonId>(&conn.keys, &format!("contact-persons?{filter:?}"))?;
    let matching = |conn: &Conn| {
        let mut query = contact_persons::table.filter(sight::visible_to(conn, actor, &reach)).into_boxed();
        if let Some(name) = filter.name.clone() {
            query = query.filter(contact_persons::name.eq(name));
        }
        if let Some(customer) = filter.person_customer_id {
            query = query.filter(contact_persons::person_customer_id.eq(customer));
        }
        match filter.active {
            Some(true) => query.filter(contact_persons::ended_on.is_null()),
            Some(false) => query.filter(contact_persons::ended_on.is_not_null()),
            None => query,
        }
    };
    let total = if window.include_total { Some(matching(conn).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(conn).order(contact_persons::id).limit(window.fetch()).select(ContactPerson::as_select());
    if let Some(after) = window.after {
        query = query.filter(contact_persons::id.gt(after));
    }
    let rows: Vec<ContactPerson> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &ContactPerson| row.id)?;
    Ok(page.map(|row| row.shown_to(actor, false)))
}

/// Who works or worked for a customer, oldest record first, without sensitive fields.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] for customers; [`kehu_kernel::Error::NotFound`] when the customer is out of sight;
/// [`kehu_kernel::Error::Invalid`] for a bad page request.
pub fn of_customer(
    conn: &mut Conn,
    actor: &Actor,
    customer: CustomerId,
    filter: &CustomerContactPersonFilter,
    params: &PageParams,
) -> Result<Page<CustomerContactPerson>> {
    let employer = scope::require_inside(conn, actor, Action::CustomerRead, customer)?;
    let window = params.window::<EmploymentId>(&conn.keys, &format!("customer-contact-persons/{customer}?{filter:?}"))?;
    let total = if window.include_total { Some(matching(customer, filter).count().get_result(&mut conn.db)?) } else { None };
    let mut query = matching(customer, filter).order(employments::id).limit(window.fetch()).select(Row::as_select());
    if let Some(after) = window.after {
        query = query.filter(employments::id.gt(after));
    }
    let rows: Vec<Row> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Row| row.id)?;
    Ok(Page { items: with_persons(conn, actor, &employer, page.items)?, next_cursor: page.next_cursor, total: page.total })
}

/// What a view shows: who works for the customer today, the latest record first, without sensitive fields; and how many do.
/// The caller has checked that the actor may read the customer, and sees what the bank keeps for itself.
pub(crate) fn shown_in_view(
    conn: &mut Conn,
    actor: &Actor,
    employer: &CustomerRow,
    limit: i64,
) -> Result<(Vec<CustomerContactPerson>, i64)> {
    // Nobody works for a person.
    if employer.kind == CustomerKind::Personal {
        return Ok((Vec::new(), 0));
    }
    let filter = CustomerContactPersonFilter { as_of: Some(conn.now.date()), decision_role: None };
    let latest = matching(employer.id, &filter).order(employments::id.desc()).limit(limit.saturating_add(1));
    let rows: Vec<Row> = latest.select(Row::as_select()).load(&mut conn.db)?;
    let (rows, count) = counted(rows, limit, || Ok(matching(employer.id, &filter).count().get_result(&mut conn.db)?))?;
    if rows.is_empty() {
        return Ok((Vec::new(), count));
    }
    Ok((with_persons(conn, actor, employer, rows)?, count))
}

fn matching<'a>(customer: CustomerId, filter: &CustomerContactPersonFilter) -> employments::BoxedQuery<'a, MultiBackend> {
    let mut query = employments::table.filter(employments::customer_id.eq(customer)).into_boxed();
    if let Some(day) = filter.as_of {
        let lasts = employments::valid_to.is_null().or(employments::valid_to.assume_not_null().gt(day));
        query = query.filter(employments::valid_from.le(day).and(lasts));
    }
    if let Some(role) = filter.decision_role {
        query = query.filter(employments::decision_role.eq(role));
    }
    query
}

/// Employments with their persons, in the same order. Who sees the employer sees who works there.
fn with_persons(conn: &mut Conn, actor: &Actor, employer: &CustomerRow, rows: Vec<Row>) -> Result<Vec<CustomerContactPerson>> {
    let ids: Vec<ContactPersonId> = rows.iter().map(|row| row.contact_person_id).collect();
    let known = contact_persons::table.filter(among(contact_persons::id, ids)).select(ContactPerson::as_select());
    let known: Vec<ContactPerson> = known.load(&mut conn.db)?;
    let known: HashMap<ContactPersonId, ContactPerson> =
        known.into_iter().map(|person| (person.id, person.shown_to(actor, false))).collect();
    let names = HashMap::from([(employer.id, employer.display_name.clone())]);
    let with_person = |row: Row| {
        let contact_person = known.get(&row.contact_person_id).cloned()?;
        Some(CustomerContactPerson { contact_person, employment: row.shown(&names) })
    };
    Ok(rows.into_iter().filter_map(with_person).collect())
}
