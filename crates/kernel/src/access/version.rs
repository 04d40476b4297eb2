//! A number that rises with every change of somebody's rights, for servers that remember whom they have let in.
//!
//! It is raised in the transaction of the change, by the events that the change leaves, so no writer can forget it, on
//! whatever server or command line it runs.

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

use crate::{Conn, Result, schema::access_versions};

/// Beginnings of the kinds of events after which callers may have other rights.
const DECISIVE: [&str; 5] = ["role.", "staff.", "team.", "client.", "branch."];

/// Whether one of these kinds of events is about rights.
pub(crate) fn decisive<'a>(mut kinds: impl Iterator<Item = &'a str>) -> bool {
    kinds.any(|kind| DECISIVE.iter().any(|beginning| kind.starts_with(beginning)))
}

/// Raises the number. To be the last statement before the commit, so that nobody waits long for this row, or in a circle.
pub(crate) fn raise(conn: &mut Conn) -> Result<()> {
    let raised = access_versions::version.eq(access_versions::version + 1);
    diesel::update(access_versions::table.find(1)).set(raised).execute(&mut conn.db)?;
    Ok(())
}

/// The number as it is now.
///
/// # Errors
/// The database's.
pub fn version(conn: &mut Conn) -> Result<i64> {
    Ok(access_versions::table.find(1).select(access_versions::version).first(&mut conn.db)?)
}
