//! Members made to follow the rules of their groups, in the background.
//!
//! Each step saves some members with its progress. What was worked out is worked out again by whoever takes over from a dead
//! server: who came stays, and nobody comes twice. The group notes up to which event it follows when all is done, so what was
//! written meanwhile is looked at the next time.

use std::{collections::HashSet, time::Duration};

use diesel::{BoolExpressionMethods, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Actor, Conn, Error, Result, Store, Tx, event,
    job::{self, BEAT, Handler, Job, JobId, JobState, Lease},
    json::Json,
    schema::{groups, jobs},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    apply, changed, depends,
    plan::{CHUNK, Plan, plan},
    standing::Standing,
};
use crate::{
    access,
    group::{self, GroupId, GroupKind, GroupRow, GroupStatus},
};

/// Kind of the jobs that make the members of one group follow its rule.
pub const JOB_KIND: &str = "group_refresh";
/// Kind of the jobs that do so for all groups for which it is time.
pub const SWEEP_KIND: &str = "group_sweep";

/// How long after a sweep was asked for the next one is.
const PAUSE: Duration = Duration::from_secs(30);
/// How often an attempt may be outdated before the job waits.
const ATTEMPTS: usize = 3;

/// What a job was asked to do.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Wanted {
    group_id: GroupId,
    full: bool,
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Done {
    came: i64,
    left: i64,
    full: bool,
}

/// Asks for a group's members to follow its rule, in the transaction of who wants it.
pub(super) fn ask(tx: &mut Tx<'_>, actor: &Actor, group_id: GroupId, full: bool) -> Result<JobId> {
    let wanted = serde_json::to_value(Wanted { group_id, full }).map_err(Error::internal)?;
    job::enqueue(tx, actor, JOB_KIND, wanted)
}

/// Asks for the members of a group that follows a rule to be worked out: all, or those of whom something was written since.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`]; [`Error::Conflict`] `group_closed`, or `group_without_rule` for other groups.
pub fn request(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, full: bool) -> Result<Job> {
    let row = access::open(access::manage(tx, actor, id)?)?;
    if !row.kind.by_rule() {
        return Err(Error::conflict("group_without_rule", "The members of this group follow no rule."));
    }
    let job = ask(tx, actor, row.matrix_id.unwrap_or(id), full)?;
    job::get(tx, actor, job)
}

/// Asks for a sweep if a group is behind, unless one is open or was a moment ago; for whoever runs jobs, again and again.
///
/// # Errors
/// The database's.
pub fn wake(store: &Store) -> Result<()> {
    if !store.read_blocking(behind)?.is_empty() {
        job::recur(store, SWEEP_KIND, PAUSE)?;
    }
    Ok(())
}

/// The groups that follow a rule and have not looked at all events yet, nor at the present day.
fn behind(conn: &mut Conn) -> Result<Vec<GroupId>> {
    let head = event::head(conn)?;
    let never = groups::refreshed_to.is_null();
    let old = groups::refreshed_to.assume_not_null().lt(head).or(groups::refreshed_on.assume_not_null().lt(conn.now.date()));
    Ok(groups::table
        .filter(groups::kind.eq_any([GroupKind::Dynamic, GroupKind::Matrix]))
        .filter(groups::status.eq(GroupStatus::Active))
        .filter(groups::matrix_id.is_null())
        .filter(never.or(old))
        .order(groups::id)
        .select(groups::id)
        .load(&mut conn.db)?)
}

/// The groups of which somebody has asked for a refresh that is not done yet.
fn asked(conn: &mut Conn) -> Result<HashSet<GroupId>> {
    let open = jobs::table.filter(jobs::kind.eq(JOB_KIND)).filter(jobs::state.eq_any([JobState::Queued, JobState::Running]));
    let payloads: Vec<Json<Wanted>> = open.select(jobs::payload).load(&mut conn.db)?;
    Ok(payloads.into_iter().map(|wanted| wanted.0.group_id).collect())
}

/// What runs jobs of [`JOB_KIND`].
#[must_use]
pub fn handler() -> Handler {
    Box::new(|store: &Store, lease: &Lease| -> Result<Value> {
        let wanted: Wanted = serde_json::from_value(lease.job.payload.0.clone()).map_err(Error::internal)?;
        let done = refresh(store, lease, wanted)?;
        Ok(json!({ "group_id": wanted.group_id, "added": done.came, "removed": done.left, "full": done.full }))
    })
}

/// What runs jobs of [`SWEEP_KIND`].
#[must_use]
pub fn sweep_handler() -> Handler {
    Box::new(|store: &Store, lease: &Lease| -> Result<Value> {
        let ids = store.read_blocking(|conn| {
            let (mut ids, asked) = (behind(conn)?, asked(conn)?);
            ids.retain(|id| !asked.contains(id));
            depends::ordered(conn, &ids)
        })?;
        let (mut groups, mut failed, mut all) = (0, 0, Done::default());
        for group_id in ids {
            match refresh(store, lease, Wanted { group_id, full: false }) {
                Ok(done) => (groups, all.came, all.left) = (groups + 1, all.came + done.came, all.left + done.left),
                // A rule that can no longer be asked holds up no other group.
                Err(error @ (Error::Invalid(_) | Error::Conflict { code: "database_distributed" | "out_of_range", .. })) => {
                    log::warn!(group:% = group_id; "a group does not follow its rule: {error}");
                    failed += 1;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(json!({ "groups": groups, "failed": failed, "added": all.came, "removed": all.left }))
    })
}

/// Makes the members of one group follow its rule.
fn refresh(store: &Store, lease: &Lease, wanted: Wanted) -> Result<Done> {
    for _ in 0..ATTEMPTS {
        match attempt(store, lease, wanted) {
            Err(Error::Conflict { code: "outdated", .. }) => {}
            other => return other,
        }
    }
    Err(Error::Busy)
}

/// What is known of a group before it is asked.
struct Look {
    standing: Standing,
    plan: Plan,
    full: bool,
    head: i64,
}

fn attempt(store: &Store, lease: &Lease, wanted: Wanted) -> Result<Done> {
    let id = wanted.group_id;
    let Some(number) = store.write_blocking(move |tx| apply::begin(tx, id))? else { return Ok(Done::default()) };
    let look = lease.during(store, BEAT, || store.batch().read_blocking(|conn| look(conn, wanted)))?;
    let Look { standing, plan, full, head } = look;
    let mut done = Done { full, ..Done::default() };
    let total = i64::try_from(plan.leave.len() + plan.come.len()).map_err(Error::internal)?;
    let leave: Vec<_> = plan.leave.iter().map(|(membership, _)| *membership).collect();
    // Who changes from one cell to another is for a moment in none rather than in two.
    for some in leave.chunks(CHUNK) {
        let (some, lease, so_far) = (some.to_vec(), lease.clone(), done.left);
        done.left += store.write_blocking(move |tx| {
            apply::hold(tx, id, number)?;
            let left = apply::leave(tx, &Actor::system(), &some)?;
            lease.progress(tx, so_far + left, Some(total)).map(|()| left)
        })?;
    }
    for some in plan.come.chunks(CHUNK) {
        let (some, lease, so_far) = (some.to_vec(), lease.clone(), done.left + done.came);
        done.came += store.write_blocking(move |tx| {
            apply::hold(tx, id, number)?;
            let came = apply::come(tx, &Actor::system(), &some)?;
            lease.progress(tx, so_far + came, Some(total)).map(|()| came)
        })?;
    }
    let standing = std::sync::Arc::new(standing);
    store.write_blocking(move |tx| {
        apply::hold(tx, id, number)?;
        apply::settle(tx, &Actor::system(), &standing, head)
    })?;
    Ok(done)
}

/// What there is to do.
fn look(conn: &mut Conn, wanted: Wanted) -> Result<Look> {
    // Before anything is read: what is written from now on comes after it.
    let head = event::head(conn)?;
    let row: GroupRow = group::row(conn, wanted.group_id)?;
    let (today, before) = (conn.now.date(), row.refreshed_to.zip(row.refreshed_on));
    let standing = Standing::of(conn, row)?;
    let changed = match before {
        Some((from, on)) if !wanted.full && (on == today || !standing.moved_by.days) => {
            changed::since(conn, &standing.moved_by, from, head)?
        }
        _ => None,
    };
    let plan = plan(conn, &standing, changed.as_deref())?;
    Ok(Look { standing, plan, full: changed.is_none(), head })
}
