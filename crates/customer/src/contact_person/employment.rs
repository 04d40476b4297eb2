//! Employments of contact persons: who works where, as what, from when until when. Who moves on keeps the history.

use std::collections::HashMap;

use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, NullableExpressionMethods, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};
use kehu_kernel::{
    Action, Actor, Conn, Date, Error, Id, Instant, Page, PageParams, Reference, Result, Tx, access::Reach, event::NewEvent,
    patch, schema::employments, store::MultiBackend, text_enum,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use super::{
    person::{ContactPerson, ContactPersonId},
    sight,
};
use crate::{CustomerId, CustomerKind, relation::visible_names, scope};

/// Identifier of an employment.
pub type EmploymentId = Id<Employment>;

text_enum! {
    /// The part that a contact person has in decisions of the employer.
    pub enum DecisionRole {
        /// Decides.
        DecisionMaker = "decision_maker",
        /// Signs what others decided.
        Approver = "approver",
        /// Sways who decides.
        Influencer = "influencer",
        /// Judges offers.
        Evaluator = "evaluator",
        /// Negotiates and buys.
        Buyer = "buyer",
        /// Uses what is bought.
        User = "user",
        /// Lets others through, or not.
        Gatekeeper = "gatekeeper",
        /// Speaks for the bank.
        Champion = "champion",
        /// Speaks against the bank.
        Opponent = "opponent",
        /// Has another part, or none.
        Other = "other",
    }
}

/// An employment of a contact person.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Employment {
    /// Identifier of the employment.
    pub id: EmploymentId,
    /// The contact person.
    pub contact_person_id: ContactPersonId,
    /// The employer.
    pub customer: Reference,
    /// What the person is there.
    #[schema(example = "Chief financial officer", max_length = 200)]
    pub position: Option<String>,
    /// Where in the organisation.
    #[schema(example = "Finance", max_length = 200)]
    pub department: Option<String>,
    /// The part that the person has in decisions.
    pub decision_role: Option<DecisionRole>,
    /// The first day on which it holds.
    pub valid_from: Date,
    /// The first day on which it no longer holds; null while it does.
    pub valid_to: Option<Date>,
    /// Why it ended.
    #[schema(max_length = 500)]
    pub end_reason: Option<String>,
    /// When the record was made.
    pub created_at: Instant,
    /// When the record was last changed.
    pub updated_at: Instant,
    /// Version of the record; also its `ETag`.
    pub version: i64,
}

/// An employment to be recorded.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NewEmployment {
    /// The employer: a corporate or government customer.
    pub customer_id: CustomerId,
    /// What the person is there.
    #[schema(example = "Chief financial officer", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub position: Option<String>,
    /// Where in the organisation.
    #[schema(example = "Finance", min_length = 1, max_length = 200)]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub department: Option<String>,
    /// The part that the person has in decisions.
    pub decision_role: Option<DecisionRole>,
    /// The first day on which it holds; today unless given.
    pub valid_from: Option<Date>,
    /// The first day on which it no longer holds.
    pub valid_to: Option<Date>,
}

/// Changes to an employment; what is absent stays, null clears. Another employer is another employment.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EmploymentPatch {
    /// What the person is there.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub position: Option<Option<String>>,
    /// Where in the organisation.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    #[serde(default, deserialize_with = "patch::nullable")]
    #[validate(length(min = 1, max = 200), custom(function = "crate::rules::text"))]
    pub department: Option<Option<String>>,
    /// The part that the person has in decisions.
    #[schema(value_type = Option<DecisionRole>)]
    #[serde(default, deserialize_with = "patch::nullable")]
    pub decision_role: Option<Option<DecisionRole>>,
    /// The first day on which it holds.
    #[schema(nullable = false)]
    #[serde(default, deserialize_with = "patch::required")]
    pub valid_from: Option<Date>,
}

/// How an employment ends.
#[derive(Clone, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct EmploymentEnd {
    /// The first day on which it no longer holds; today unless given, and never later than it would end by itself.
    pub valid_to: Option<Date>,
    /// Why; kept with the record.
    #[schema(example = "moved to another company", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: Option<String>,
}

/// An employment as stored.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = employments, treat_none_as_default_value = false)]
pub(super) struct Row {
    pub id: EmploymentId,
    pub contact_person_id: ContactPersonId,
    pub customer_id: CustomerId,
    pub position: Option<String>,
    pub department: Option<String>,
    pub decision_role: Option<DecisionRole>,
    pub valid_from: Date,
    pub valid_to: Option<Date>,
    pub end_reason: Option<String>,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub version: i64,
}

impl Row {
    /// Whether both hold on a common day; what ended before it began never held.
    fn meets(&self, other: &Self) -> bool {
        let begins_before = |one: &Self, end: Option<Date>| end.is_none_or(|end| one.valid_from < end);
        let held = |row: &Self| begins_before(row, row.valid_to);
        held(self) && held(other) && begins_before(self, other.valid_to) && begins_before(other, self.valid_to)
    }

    pub fn shown(self, names: &HashMap<CustomerId, String>) -> Employment {
        Employment {
            id: self.id,
            contact_person_id: self.contact_person_id,
            customer: Reference::new(self.customer_id, names.get(&self.customer_id).cloned().unwrap_or_default()),
            position: self.position,
            department: self.department,
            decision_role: self.decision_role,
            valid_from: self.valid_from,
            valid_to: self.valid_to,
            end_reason: self.end_reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
            version: self.version,
        }
    }
}

/// Employments of a contact person by customers within sight, past ones included, oldest record first.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`] when the person is out of sight; [`Error::Invalid`] for a bad page
/// request.
pub fn list(conn: &mut Conn, actor: &Actor, person: ContactPersonId, params: &PageParams) -> Result<Page<Employment>> {
    sight::require(conn, actor, Action::CustomerRead, person)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let window = params.window::<EmploymentId>(&conn.keys, &format!("employments/{person}"))?;
    let total = if window.include_total { Some(seen_of(person, &reach).count().get_result(&mut conn.db)?) } else { None };
    let mut query = seen_of(person, &reach).order(employments::id).limit(window.fetch()).select(Row::as_select());
    if let Some(after) = window.after {
        query = query.filter(employments::id.gt(after));
    }
    let rows: Vec<Row> = query.load(&mut conn.db)?;
    let page = window.page(&conn.keys, rows, total, |row: &Row| row.id)?;
    let names = visible_names(conn, actor, page.items.iter().map(|row| row.customer_id).collect())?;
    Ok(page.map(|row| row.shown(&names)))
}

/// One employment of a contact person.
///
/// # Errors
/// [`Error::Forbidden`] for customers; [`Error::NotFound`], also when the employer is out of sight.
pub fn get(conn: &mut Conn, actor: &Actor, person: ContactPersonId, id: EmploymentId) -> Result<Employment> {
    sight::require(conn, actor, Action::CustomerRead, person)?;
    let reach = actor.allow(Action::CustomerRead)?;
    let row = seen_of(person, &reach).filter(employments::id.eq(id)).select(Row::as_select());
    let row: Row = row.first(&mut conn.db)?;
    let names = visible_names(conn, actor, vec![row.customer_id])?;
    Ok(row.shown(&names))
}

fn seen_of<'a>(person: ContactPersonId, reach: &Reach) -> employments::BoxedQuery<'a, MultiBackend> {
    let of = employments::table.filter(employments::contact_person_id.eq(person));
    of.filter(scope::of_visible(employments::customer_id, reach)).into_boxed()
}

/// Records an employment of a contact person.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Conflict`] `employment_exists`.
pub fn create(tx: &mut Tx<'_>, actor: &Actor, person: ContactPersonId, new: NewEmployment) -> Result<Employment> {
    // Customers are locked before contact persons, everywhere.
    scope::hold(tx, new.customer_id)?;
    let person = sight::lock(tx, actor, Action::CustomerWrite, person)?;
    record(tx, actor, &person, new)
}

/// As [`create`], for a contact person that is locked.
pub(super) fn record(tx: &mut Tx<'_>, actor: &Actor, person: &ContactPerson, new: NewEmployment) -> Result<Employment> {
    let unknown = |error| match error {
        Error::NotFound => Error::invalid("/customer_id", "unknown_customer", "There is no such customer within your reach."),
        other => other,
    };
    let employer = scope::lock_inside(tx, actor, Action::CustomerWrite, new.customer_id).map_err(unknown)?;
    if employer.kind == CustomerKind::Personal {
        return Err(Error::invalid("/customer_id", "other_kind", "An employer is a company or a public body."));
    }
    let valid_from = new.valid_from.unwrap_or_else(|| tx.now.date());
    if new.valid_to.is_some_and(|to| to <= valid_from) {
        return Err(Error::invalid("/valid_to", "before_start", "An employment cannot end before it begins."));
    }
    let row = Row {
        id: EmploymentId::new(),
        contact_person_id: person.id,
        customer_id: employer.id,
        position: new.position,
        department: new.department,
        decision_role: new.decision_role,
        valid_from,
        valid_to: new.valid_to,
        end_reason: None,
        created_at: tx.now,
        updated_at: tx.now,
        version: 1,
    };
    check_alone(tx, &row)?;
    diesel::insert_into(employments::table).values(&row).execute(&mut tx.db)?;
    tell(tx, actor, "employment.created", &row);
    Ok(row.shown(&HashMap::from([(employer.id, employer.display_name)])))
}

/// Changes an employment that still has the version the caller saw.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`], also when the employer is out of sight; [`Error::Invalid`];
/// [`Error::PreconditionFailed`]; [`Error::Conflict`] `already_ended` or `employment_exists`.
pub fn update(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    id: EmploymentId,
    version: i64,
    patch: EmploymentPatch,
) -> Result<Employment> {
    let (mut row, names) = find_open(tx, actor, person, id, version)?;
    row.position = patch.position.unwrap_or(row.position);
    row.department = patch.department.unwrap_or(row.department);
    row.decision_role = patch.decision_role.unwrap_or(row.decision_role);
    row.valid_from = patch.valid_from.unwrap_or(row.valid_from);
    if row.valid_to.is_some_and(|to| to <= row.valid_from) {
        return Err(Error::invalid("/valid_from", "after_end", "An employment cannot begin after it ends."));
    }
    if patch.valid_from.is_some() {
        check_alone(tx, &row)?;
    }
    save(tx, &mut row)?;
    tell(tx, actor, "employment.updated", &row);
    Ok(row.shown(&names))
}

/// Ends an employment: the person stays in the pool, and the employment on record.
///
/// # Errors
/// As [`update`].
pub fn end(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    id: EmploymentId,
    version: i64,
    end: EmploymentEnd,
) -> Result<Employment> {
    let (mut row, names) = find_open(tx, actor, person, id, version)?;
    let valid_to = end.valid_to.unwrap_or_else(|| tx.now.date().max(row.valid_from));
    if valid_to < row.valid_from || row.valid_to.is_some_and(|to| to < valid_to) {
        let message = "An employment ends after it began, and never later than it would.";
        return Err(Error::invalid("/valid_to", "out_of_range", message));
    }
    row.valid_to = Some(valid_to);
    row.end_reason = end.reason;
    save(tx, &mut row)?;
    tell(tx, actor, "employment.ended", &row);
    Ok(row.shown(&names))
}

/// Ends whatever a contact person does on a day or later; the employers and the person are locked.
pub(super) fn end_all(tx: &mut Tx<'_>, actor: &Actor, person: ContactPersonId, on: Date, reason: &str) -> Result<()> {
    let lasts = employments::valid_to.is_null().or(employments::valid_to.assume_not_null().gt(on));
    let rows: Vec<Row> = employments::table
        .filter(employments::contact_person_id.eq(person))
        .filter(lasts)
        .order(employments::id)
        .select(Row::as_select())
        .load(&mut tx.db)?;
    for mut row in rows {
        row.valid_to = Some(on.max(row.valid_from));
        row.end_reason = Some(reason.to_owned());
        save(tx, &mut row)?;
        tell(tx, actor, "employment.ended", &row);
    }
    Ok(())
}

/// Refuses a second employment of the same person at the same customer in the same time.
fn check_alone(conn: &mut Conn, row: &Row) -> Result<()> {
    let same: Vec<Row> = employments::table
        .filter(employments::contact_person_id.eq(row.contact_person_id))
        .filter(employments::customer_id.eq(row.customer_id))
        .filter(employments::id.ne(row.id))
        .select(Row::as_select())
        .load(&mut conn.db)?;
    if same.iter().any(|other| other.meets(row)) {
        return Err(Error::conflict("employment_exists", "The person works there in that time already."));
    }
    Ok(())
}

fn save(tx: &mut Tx<'_>, row: &mut Row) -> Result<()> {
    row.updated_at = tx.now;
    row.version += 1;
    diesel::update(employments::table.find(row.id).filter(employments::customer_id.eq(row.customer_id)))
        .set((
            employments::position.eq(&row.position),
            employments::department.eq(&row.department),
            employments::decision_role.eq(row.decision_role),
            employments::valid_from.eq(row.valid_from),
            employments::valid_to.eq(row.valid_to),
            employments::end_reason.eq(&row.end_reason),
            employments::updated_at.eq(row.updated_at),
            employments::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    Ok(())
}

fn tell(tx: &mut Tx<'_>, actor: &Actor, kind: &'static str, row: &Row) {
    let data = json!({ "contact_person_id": row.contact_person_id, "decision_role": row.decision_role });
    tx.emit(actor, NewEvent::new(kind, row.id, data).of_customer(row.customer_id));
}

fn find_open(
    tx: &mut Tx<'_>,
    actor: &Actor,
    person: ContactPersonId,
    id: EmploymentId,
    version: i64,
) -> Result<(Row, HashMap<CustomerId, String>)> {
    scope::allow_inside(actor, Action::CustomerWrite)?;
    let find = || employments::table.filter(employments::contact_person_id.eq(person)).filter(employments::id.eq(id));
    let employer: CustomerId = find().select(employments::customer_id).first(&mut tx.db)?;
    let employer = scope::lock_inside(tx, actor, Action::CustomerWrite, employer)?;
    sight::lock(tx, actor, Action::CustomerWrite, person)?;
    let row: Row = find().select(Row::as_select()).first(&mut tx.db)?;
    if row.valid_to.is_some_and(|to| to <= tx.now.date()) {
        return Err(Error::conflict("already_ended", "This employment was ended; record another one."));
    }
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    Ok((row, HashMap::from([(employer.id, employer.display_name)])))
}
