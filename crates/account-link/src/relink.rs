//! Branches that become one: the accounts, customers and staff of one branch pass to another, in the background.
//!
//! Each step takes the first records that still are at the old branch and saves them with its progress, so that whoever
//! takes over from a dead server finds what is left and nothing twice.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::update as customers;
use kehu_kernel::{
    Action, Actor, Conn, Error, Id, Result, Store, Tx,
    event::NewEvent,
    job::{self, Handler, Job, JobState, Lease},
    schema::{accounts, jobs},
};
use kehu_organization::{
    branch::{self, Branch, BranchId, BranchStatus},
    staff,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use validator::Validate;

use crate::account::AccountId;

/// Kind of the jobs that move what a branch has to another one.
pub const JOB_KIND: &str = "branch_relink";

/// How many accounts pass at once.
const ACCOUNTS: i64 = 500;
/// How many customers or staff pass at once.
const PEOPLE: i64 = 100;
/// The number that those hold who ask for such a job, one after the other.
const START: i64 = 2_907_466_351_180_462_915;

/// Where what a branch has is to go.
#[derive(Clone, Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct BranchRelink {
    /// The branch that takes over; another one, and in business.
    pub into_branch_id: BranchId,
    /// Why; kept with the events.
    #[schema(example = "merger of two outlets", min_length = 1, max_length = 500)]
    #[validate(length(min = 1, max = 500))]
    pub reason: String,
}

/// What a branch has that would pass to another one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BranchRelinkPreview {
    /// The branch that gives.
    pub from_branch_id: BranchId,
    /// The branch that takes over.
    pub into_branch_id: BranchId,
    /// Accounts that the branch keeps, closed ones too.
    #[schema(minimum = 0)]
    pub account_count: i64,
    /// Customers whose home it is; they keep those who look after them.
    #[schema(minimum = 0)]
    pub customer_count: i64,
    /// Active staff who work there; they keep their customers.
    #[schema(minimum = 0)]
    pub staff_count: i64,
}

/// What the job was asked to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Wanted {
    from: BranchId,
    into: BranchId,
}

/// What would pass, without moving anything.
///
/// # Errors
/// [`Error::Forbidden`] without `branch.manage` everywhere; [`Error::NotFound`]; [`Error::Invalid`] as for [`start`].
pub fn preview(conn: &mut Conn, actor: &Actor, from: BranchId, to: &BranchRelink) -> Result<BranchRelinkPreview> {
    actor.allow_everywhere(Action::BranchManage)?;
    branch::get(conn, actor, from)?;
    check_target(conn, actor, from, to.into_branch_id)?;
    count(conn, Wanted { from, into: to.into_branch_id })
}

/// Asks for the move of all that a branch has that still has the version the caller saw. The branch itself stays.
///
/// # Errors
/// [`Error::Forbidden`] without `branch.manage` everywhere; [`Error::NotFound`]; [`Error::PreconditionFailed`];
/// [`Error::Invalid`] when the other branch is the same one, unknown or closed; [`Error::Conflict`]
/// `branch_relink_active` while one runs.
pub fn start(tx: &mut Tx<'_>, actor: &Actor, from: BranchId, version: i64, to: &BranchRelink) -> Result<Job> {
    actor.allow_everywhere(Action::BranchManage)?;
    tx.hold(&[START])?;
    let before = branch::get(tx, actor, from)?;
    if before.version != version {
        return Err(Error::PreconditionFailed { current: before.version });
    }
    check_target(tx, actor, from, to.into_branch_id)?;
    let active: i64 = jobs::table
        .filter(jobs::kind.eq(JOB_KIND))
        .filter(jobs::state.eq_any([JobState::Queued, JobState::Running]))
        .count()
        .get_result(&mut tx.db)?;
    if active > 0 {
        return Err(Error::conflict("branch_relink_active", "A branch is being moved. Wait for it, or cancel its job."));
    }
    let wanted = Wanted { from, into: to.into_branch_id };
    let id = job::enqueue(tx, actor, JOB_KIND, serde_json::to_value(wanted).map_err(Error::internal)?)?;
    let data = json!({ "into_branch_id": to.into_branch_id, "job_id": id, "reason": to.reason });
    tx.emit(actor, NewEvent::new("branch.relink_started", from, data));
    job::get(tx, actor, id)
}

fn check_target(conn: &mut Conn, actor: &Actor, from: BranchId, into: BranchId) -> Result<()> {
    let refused = |code, message: &str| Err(Error::invalid("/into_branch_id", code, message));
    if from == into {
        return refused("same_branch", "A branch cannot pass to itself.");
    }
    match branch::get(conn, actor, into) {
        Ok(Branch { status: BranchStatus::Active, .. }) => Ok(()),
        Ok(_) => refused("branch_closed", "This branch is closed."),
        Err(Error::NotFound) => refused("unknown_branch", "There is no branch with this id."),
        Err(error) => Err(error),
    }
}

fn count(conn: &mut Conn, wanted: Wanted) -> Result<BranchRelinkPreview> {
    let kept = accounts::table.filter(accounts::branch_id.eq(Id::<Branch>::cast::<()>(wanted.from)));
    Ok(BranchRelinkPreview {
        from_branch_id: wanted.from,
        into_branch_id: wanted.into,
        account_count: kept.count().get_result(&mut conn.db)?,
        customer_count: customers::count_at_home(conn, wanted.from.cast())?,
        staff_count: staff::count_at(conn, wanted.from)?,
    })
}

/// What runs jobs of [`JOB_KIND`].
#[must_use]
pub fn handler() -> Handler {
    Box::new(|store: &Store, lease: &Lease| -> Result<Value> {
        let wanted: Wanted = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        // The right was checked when the job was asked for; its deeds stay the asker's.
        let actor = Actor { subject: lease.job.created_by.clone(), ..Actor::system() };
        let left = store.read_blocking(move |conn| count(conn, wanted))?;
        let mut done = lease.job.progress_done;
        let total = done + left.account_count + left.customer_count + left.staff_count;
        for step in [move_accounts, move_customers, move_staff] {
            loop {
                let (actor, lease) = (actor.clone(), lease.clone());
                let moved = store.write_blocking(move |tx| {
                    let moved = step(tx, &actor, wanted)?;
                    // What came meanwhile counts, too.
                    lease.progress(tx, done + moved, Some(total.max(done + moved)))?;
                    Ok(moved)
                })?;
                if moved == 0 {
                    break;
                }
                done += moved;
            }
        }
        store.write_blocking(move |tx| {
            let data = json!({ "into_branch_id": wanted.into, "moved": done });
            tx.emit(&actor, NewEvent::new("branch.relinked", wanted.from, data));
            Ok(())
        })?;
        Ok(json!({ "from_branch_id": wanted.from, "into_branch_id": wanted.into, "moved": done }))
    })
}

fn move_accounts(tx: &mut Tx<'_>, actor: &Actor, wanted: Wanted) -> Result<i64> {
    let from = Id::<Branch>::cast::<()>(wanted.from);
    let ids: Vec<AccountId> = accounts::table
        .filter(accounts::branch_id.eq(from))
        .order(accounts::id)
        .limit(ACCOUNTS)
        .select(accounts::id)
        .load(&mut tx.db)?;
    // Their fingerprints stay: what a source repeats of an account is no news, and does not take it back.
    diesel::update(accounts::table.filter(accounts::id.eq_any(ids.clone())))
        .set((
            accounts::branch_id.eq(Id::<Branch>::cast::<()>(wanted.into)),
            accounts::updated_at.eq(tx.now),
            accounts::version.eq(accounts::version + 1),
        ))
        .execute(&mut tx.db)?;
    for id in &ids {
        let data = json!({ "from_branch_id": wanted.from, "branch_id": wanted.into });
        tx.emit(actor, NewEvent::new("account.moved", *id, data).of_account(*id));
    }
    i64::try_from(ids.len()).map_err(Error::internal)
}

fn move_customers(tx: &mut Tx<'_>, actor: &Actor, wanted: Wanted) -> Result<i64> {
    customers::rehome(tx, actor, wanted.from.cast(), wanted.into.cast(), PEOPLE)
}

fn move_staff(tx: &mut Tx<'_>, actor: &Actor, wanted: Wanted) -> Result<i64> {
    staff::resettle(tx, actor, wanted.from, wanted.into, PEOPLE)
}
