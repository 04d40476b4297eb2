//! Groups whose members follow a rule: dynamic groups, and matrices with a dynamic group for each cell.
//!
//! What members there are is worked out when a group is made or its rule is changed, once a day where the rule counts days, and
//! soon after anything was written of customers whom it may concern: of those, and no others, it is then asked again. Who meets
//! the rule becomes a member from that day on, who no longer does is none from that day on; so who was in the group on any
//! day stays known. Nobody else puts customers into such a group or takes them out.

mod apply;
pub(crate) mod cell;
mod changed;
mod declare;
mod depends;
pub mod fresh;
mod job;
pub mod matrix;
mod plan;
mod standing;

use kehu_kernel::{Error, Result};

pub(crate) use cell::close_all as close_cells;
pub(crate) use declare::{Wanted, change, declare};
pub use fresh::{GroupFreshness, GroupRefresh};
pub use job::{JOB_KIND, SWEEP_KIND, handler, request, sweep_handler, wake};
pub use matrix::{GroupMatrix, GroupMatrixCell, GroupMatrixDimension, GroupMatrixQuery};

use crate::group::GroupRow;

/// Refuses what is done by hand to the members of a group that follows a rule.
pub(crate) fn refuse(row: &GroupRow) -> Result<()> {
    if row.kind.by_rule() {
        return Err(Error::conflict("group_by_rule", "The members of this group follow its rule: change the rule instead."));
    }
    Ok(())
}
