//! Merges: several records of one customer become one, and may be taken apart again for a while.
//!
//! A merge is one transaction. Rows change their customer and nothing else, set by set, as the registry of
//! belongings says; what moved is kept, so that a revert puts exactly that back. The plan says which value
//! each field takes and why; what the merge set is restored by a revert unless it was changed since.
//! Merges of one customer are taken back in the opposite order.

mod execute;
mod fields;
mod forget;
mod list;
mod pairs;
mod plan;
mod record;
mod restore;
mod revert;
mod rows;
mod stage;

pub use execute::merge;
pub(crate) use forget::forget;
pub use list::{MergeFilter, MergeSummary, list};
pub use plan::{Alternative, FieldChoice, WinReason};
pub use record::{
    AbsorbedRecord, KeptChange, KeptKind, Merge, MergeId, MergeRequest, MergeRevert, MergeState, MovedRow, MovedRows, get,
};
pub use revert::revert;

/// A merge changes whose rows are, set by set, and compares rows of several customers: what an engine that keeps customers
/// on different machines does not do.
fn possible(conn: &kehu_kernel::Conn) -> kehu_kernel::Result<()> {
    if conn.distributed {
        let detail = "Records are not merged while the database is spread over several machines.";
        return Err(kehu_kernel::Error::conflict("database_distributed", detail));
    }
    Ok(())
}

/// How many rows are named for each table; counts tell of all.
const NAMED: i64 = 50;
