//! Status and life-cycle stage: which moves there are, and the record of those that were made.

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use kehu_kernel::{
    Action, Actor, AnyId, Date, Error, FieldError, Instant, Result, Tx,
    event::NewEvent,
    schema::{customer_transitions, customers},
    text_enum,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

use crate::{Customer, CustomerId, CustomerRow, CustomerStatus, LifeCycleStage, present, scope};

use CustomerStatus::{Active, Dormant, Lost, Potential};
use LifeCycleStage::{Customer as HasAccount, Member, Prospect, Transacting};

/// Every allowed change of status.
pub const STATUS_MOVES: &[(CustomerStatus, &[CustomerStatus])] =
    &[(Potential, &[Active, Lost]), (Active, &[Dormant, Lost]), (Dormant, &[Active, Lost]), (Lost, &[Potential, Active])];

/// Every allowed change of stage.
pub const STAGE_MOVES: &[(LifeCycleStage, &[LifeCycleStage])] = &[
    (Prospect, &[HasAccount]),
    (HasAccount, &[Transacting, Member]),
    (Transacting, &[HasAccount, Member]),
    (Member, &[HasAccount, Transacting]),
];

text_enum! {
    /// Which of the two a transition changes.
    pub enum Axis {
        /// The status.
        Status = "status",
        /// The life-cycle stage.
        LifeCycleStage = "life_cycle_stage",
    }
}

/// A change of status, of stage, or of both.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct CustomerTransition {
    /// The new status: potential → active, lost; active → dormant, lost; dormant → active, lost;
    /// lost → potential, active.
    pub status: Option<CustomerStatus>,
    /// The new stage: prospect → customer; customer → transacting, member; transacting → customer,
    /// member; member → customer, transacting.
    pub life_cycle_stage: Option<LifeCycleStage>,
    /// Why; kept in the history.
    #[schema(example = "opened a savings account", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500), custom(function = "crate::rules::text"))]
    pub reason: String,
}

/// A transition as recorded. The first one of an axis is preceded by a row for the value from creation.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = customer_transitions, treat_none_as_default_value = false)]
pub(crate) struct Passage {
    pub id: AnyId,
    pub customer_id: CustomerId,
    pub axis: Axis,
    pub from_value: Option<String>,
    pub to_value: String,
    pub reason: String,
    pub derived: bool,
    pub entered_at: Instant,
    /// How long `to_value` lasted; null while it does.
    pub left_seconds: Option<i64>,
    pub changed_by: String,
}

/// What ends elsewhere with a customer who has died or left, from a day on and for a reason, in the transaction that
/// records it.
pub type Farewell = fn(&mut Tx<'_>, &Actor, CustomerId, Date, &str) -> Result<()>;

/// Moves a customer to another status, stage, or both. One who is lost bids farewell.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::PreconditionFailed`]; [`Error::Invalid`] when nothing is named;
/// [`Error::Conflict`] `transition_not_allowed`.
pub fn transition(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: CustomerId,
    version: i64,
    to: &CustomerTransition,
    farewell: Farewell,
) -> Result<Customer> {
    let mut row = scope::lock(tx, actor, Action::CustomerWrite, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    if to.status.is_none() && to.life_cycle_stage.is_none() {
        let message = "Name a new status, a new stage, or both.";
        return Err(Error::Invalid(vec![FieldError::new("/status", "required", message)]));
    }
    if let Some(status) = to.status {
        check(STATUS_MOVES, row.status, status)?;
        pass(tx, actor, &row, Axis::Status, row.status.as_str(), status.as_str(), &to.reason)?;
        row.status = status;
        row.status_reason = Some(to.reason.clone());
        row.status_derived = false;
    }
    if let Some(stage) = to.life_cycle_stage {
        check(STAGE_MOVES, row.life_cycle_stage, stage)?;
        pass(tx, actor, &row, Axis::LifeCycleStage, row.life_cycle_stage.as_str(), stage.as_str(), &to.reason)?;
        row.life_cycle_stage = stage;
    }
    row.version += 1;
    row.updated_at = tx.now;
    diesel::update(customers::table.find(id))
        .set((
            customers::status.eq(row.status),
            customers::status_reason.eq(&row.status_reason),
            customers::status_derived.eq(row.status_derived),
            customers::life_cycle_stage.eq(row.life_cycle_stage),
            customers::updated_at.eq(row.updated_at),
            customers::version.eq(row.version),
        ))
        .execute(&mut tx.db)?;
    let data = json!({ "status": row.status, "life_cycle_stage": row.life_cycle_stage });
    tx.emit(actor, NewEvent::new("customer.transitioned", id, data).of_customer(id));
    if to.status == Some(Lost) {
        let today = tx.now.date();
        farewell(tx, actor, id, today, &to.reason)?;
    }
    present::disclose_row(tx, actor, &row)
}

/// Refuses a move that the table does not list.
fn check<T: Copy + PartialEq + std::fmt::Display>(moves: &[(T, &[T])], from: T, to: T) -> Result<()> {
    let allowed = moves.iter().find(|(start, _)| *start == from).map_or(&[][..], |(_, ends)| *ends);
    if allowed.contains(&to) {
        return Ok(());
    }
    let ends: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    Err(Error::conflict(
        "transition_not_allowed",
        format!("From {from} a customer can move to {}, not to {to}.", ends.join(", ")),
    ))
}

/// Records a move, and how long the value before it lasted.
pub(crate) fn pass(
    tx: &mut Tx<'_>,
    actor: &Actor,
    row: &CustomerRow,
    axis: Axis,
    from: &str,
    to: &str,
    reason: &str,
) -> Result<()> {
    let last: Option<Passage> = customer_transitions::table
        .filter(customer_transitions::customer_id.eq(row.id))
        .filter(customer_transitions::axis.eq(axis))
        .order(customer_transitions::id.desc())
        .select(Passage::as_select())
        .first(&mut tx.db)
        .optional()?;
    let lasted = |since: Instant| Some((tx.now.micros() - since.micros()) / 1_000_000);
    if let Some(last) = &last {
        let seconds = lasted(last.entered_at);
        diesel::update(customer_transitions::table.find(last.id).filter(customer_transitions::customer_id.eq(row.id)))
            .set(customer_transitions::left_seconds.eq(seconds))
            .execute(&mut tx.db)?;
    } else {
        let first = Passage {
            id: AnyId::new(),
            customer_id: row.id,
            axis,
            from_value: None,
            to_value: from.to_owned(),
            reason: "created".to_owned(),
            derived: row.status_derived,
            entered_at: row.created_at,
            left_seconds: lasted(row.created_at),
            changed_by: actor.subject.clone(),
        };
        diesel::insert_into(customer_transitions::table).values(&first).execute(&mut tx.db)?;
    }
    let now = Passage {
        id: AnyId::new(),
        customer_id: row.id,
        axis,
        from_value: Some(from.to_owned()),
        to_value: to.to_owned(),
        reason: reason.to_owned(),
        derived: false,
        entered_at: tx.now,
        left_seconds: None,
        changed_by: actor.subject.clone(),
    };
    diesel::insert_into(customer_transitions::table).values(&now).execute(&mut tx.db)?;
    Ok(())
}
