//! Transactions as sources deliver them.

use kehu_kernel::{
    Actor, Result, Tx,
    feed::{Outcome, Source},
};

use super::record::TransactionRecord;
use crate::transaction;

/// Applies a batch of transactions: one look for their accounts, one for known ids, one insert, and the
/// sums of days and months in one statement each. A transaction whose account is unknown is told to wait
/// and not kept here: the import keeps it.
///
/// # Errors
/// The database's.
pub fn apply(tx: &mut Tx<'_>, actor: &Actor, source: &Source, records: &[TransactionRecord]) -> Result<Vec<Outcome>> {
    transaction::apply(tx, actor, source, records)
}
