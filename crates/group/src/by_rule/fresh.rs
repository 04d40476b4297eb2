//! How fresh the members of a group are that follow its rule.

use kehu_kernel::{Actor, Conn, Date, Instant, Result, event};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use crate::{
    access,
    group::{self, GroupId, GroupRow},
};

/// How the members of a group are to be worked out.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GroupRefresh {
    /// Whether all customers are asked about, not only those of whom something was written since the last time; false unless
    /// given.
    #[serde(default)]
    pub full: bool,
}

/// How fresh the members of a group are.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupFreshness {
    /// The group.
    pub group_id: GroupId,
    /// When its members were last made to follow its rule; null before the first time, after a change of the rule until they
    /// follow it, and for groups that follow no rule.
    pub refreshed_at: Option<Instant>,
    /// The day for which they followed it.
    pub refreshed_on: Option<Date>,
    /// How many events have been recorded since, of whichever customers; null where `refreshed_at` is. Those that concern the
    /// group are looked at within a minute.
    #[schema(minimum = 0)]
    pub events_since: Option<i64>,
}

/// How fresh the members of a group are that follow its rule; of a cell, those of its matrix.
///
/// # Errors
/// [`kehu_kernel::Error::Forbidden`] without `group.read`; [`kehu_kernel::Error::NotFound`].
pub fn of(conn: &mut Conn, actor: &Actor, id: GroupId) -> Result<GroupFreshness> {
    access::read(actor)?;
    let mut row: GroupRow = group::row(conn, id)?;
    if let Some(matrix) = row.matrix_id {
        row = group::row(conn, matrix)?;
    }
    let head = event::head(conn)?;
    let known = row.refreshed_to.is_some();
    Ok(GroupFreshness {
        group_id: id,
        refreshed_at: row.refreshed_at.filter(|_| known),
        refreshed_on: row.refreshed_on.filter(|_| known),
        events_since: row.refreshed_to.map(|to| (head - to).max(0)),
    })
}
