//! Who may read and who may change a group.

use diesel::{OptionalExtension, QueryDsl, RunQueryDsl, SelectableHelper};
use kehu_customer::scope;
use kehu_kernel::{
    Action, Actor, AnyId, Conn, Error, Result, Tx,
    access::Reach,
    schema::{branches, groups, staff},
};
use kehu_organization::staff::StaffId;

use crate::group::{GroupId, GroupRow, GroupStatus};

/// The right to read groups. They are the bank's own and open to everybody who has it; of their members each caller
/// sees those whom it sees as customers.
pub(crate) fn read(actor: &Actor) -> Result<()> {
    scope::allow_inside(actor, Action::GroupRead).map(|_| ())
}

/// The customers whom the actor may be shown as members; none without the right to read customers.
pub(crate) fn members_within(actor: &Actor) -> Reach {
    actor.reach(Action::CustomerRead).unwrap_or(Reach::Staff(Vec::new()))
}

/// A group that the actor may change, locked until the end of the transaction: what is checked about its members stays true.
pub(crate) fn manage(tx: &mut Tx<'_>, actor: &Actor, id: GroupId) -> Result<GroupRow> {
    let reach = scope::allow_inside(actor, Action::GroupManage)?;
    hold(tx, id)?;
    let row: GroupRow = groups::table.find(id).select(GroupRow::as_select()).first(&mut tx.db)?;
    check_owner(tx, &reach, row.owner_id)?;
    Ok(row)
}

/// As [`manage`], of a group that still has the version the caller saw and is not closed.
pub(crate) fn manage_version(tx: &mut Tx<'_>, actor: &Actor, id: GroupId, version: i64) -> Result<GroupRow> {
    let row = manage(tx, actor, id)?;
    if row.version != version {
        return Err(Error::PreconditionFailed { current: row.version });
    }
    open(row)
}

/// Refuses what is closed.
pub(crate) fn open(row: GroupRow) -> Result<GroupRow> {
    match row.status {
        GroupStatus::Active => Ok(row),
        GroupStatus::Closed => Err(Error::conflict("group_closed", "The group is closed.")),
    }
}

/// Locks the row of a group; of one that does not exist, nothing.
pub(crate) fn hold(tx: &mut Tx<'_>, id: GroupId) -> Result<()> {
    tx.hold_row("groups", id)
}

/// A group is changed by those who reach its owner; one without an owner by those who reach everything.
pub(crate) fn check_owner(conn: &mut Conn, reach: &Reach, owner: Option<StaffId>) -> Result<()> {
    let place = |conn: &mut Conn, owner: StaffId| -> Result<Option<String>> {
        let branch = staff::table.find(owner).select(staff::branch_id).first::<AnyId>(&mut conn.db).optional()?;
        match branch {
            Some(branch) => Ok(branches::table.find(branch).select(branches::path).first(&mut conn.db).optional()?),
            None => Ok(None),
        }
    };
    let reached = match (reach, owner) {
        (Reach::All, _) => true,
        (Reach::Subtree(path), Some(owner)) => place(conn, owner)?.is_some_and(|at| at.starts_with(path.as_str())),
        (Reach::Branch(path), Some(owner)) => place(conn, owner)?.is_some_and(|at| at == *path),
        (Reach::Staff(people), Some(owner)) => people.contains(&owner.cast()),
        (_, None) | (Reach::Customer(_), _) => false,
    };
    if reached {
        return Ok(());
    }
    Err(Error::Forbidden("A group is changed by those whose group.manage reaches its owner.".into()))
}
