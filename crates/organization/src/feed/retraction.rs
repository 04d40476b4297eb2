//! How branches and staff that an import brought are taken back.

use kehu_kernel::retraction::{Dependant, Retraction};

/// Branches.
pub const BRANCHES: Retraction = Retraction {
    table: "branches",
    event: Some("branch.retracted"),
    dependants: &[
        Dependant { table: "branches", column: "parent_id", only: Some("id NOT IN {chosen}") },
        Dependant::all("staff", "branch_id"),
        Dependant::all("teams", "branch_id"),
        Dependant::all("customers", "home_branch_id"),
        Dependant::all("accounts", "branch_id"),
        Dependant::all("clients", "branch_id"),
    ],
    before: &[],
    parts: &[("branch_moves", "branch_id"), ("branch_moves", "from_parent_id"), ("branch_moves", "to_parent_id")],
};

/// Staff.
pub const STAFF: Retraction = Retraction {
    table: "staff",
    event: Some("staff.retracted"),
    dependants: &[
        Dependant::all("assignments", "staff_id"),
        Dependant::all("team_members", "staff_id"),
        Dependant::all("customers", "owner_id"),
    ],
    before: &[],
    parts: &[],
};
