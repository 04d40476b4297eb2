//! Files that have to go: their time is over, their job ended without them, or a customer in them is erased.

use std::{fs, path::Path};

use diesel::{BoolExpressionMethods, ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    AnyId, Conn, Result, Store, Tx,
    event::NewEvent,
    job::JobState,
    schema::{access_log, exports, jobs},
};
use serde_json::json;

use super::{ExportId, entity::void, file, run::RESOURCE};

/// Ends the exports that hold rows of a customer who is erased, as their accesses tell.
///
/// # Errors
/// The database's.
pub fn forget(tx: &mut Tx<'_>, customer: CustomerId) -> Result<u64> {
    let held: Vec<AnyId> = access_log::table
        .filter(access_log::customer_id.eq(customer.cast::<()>()))
        .filter(access_log::resource.eq(RESOURCE))
        .select(access_log::resource_id)
        .distinct()
        .load(&mut tx.db)?;
    let mut ended = 0;
    for id in held {
        if void(tx, id.cast())? {
            let reason = json!({ "reason": "customer_erased" });
            tx.emit(&kehu_kernel::Actor::system(), NewEvent::new("export.withdrawn", id, reason));
            ended += 1;
        }
    }
    Ok(ended)
}

/// Deletes the files of exports whose time is over, or that will never be ready; returns how many. The records stay.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store, data_dir: &Path) -> Result<usize> {
    let over = store.read_blocking(over)?;
    if !over.is_empty() {
        let over = over.clone();
        store.write_blocking(move |tx| over.iter().try_for_each(|id| void(tx, *id).map(|_| ())))?;
    }
    // A key may have gone without its file: with a request, an erasure, a server that was killed.
    let lying: Vec<ExportId> = fs::read_dir(data_dir.join("exports"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let gone: Vec<ExportId> = store.read_blocking(|conn| {
        let without_key = exports::table.filter(exports::id.eq_any(&lying)).filter(exports::key_sealed.is_null());
        Ok(without_key.select(exports::id).load(&mut conn.db)?)
    })?;
    gone.iter().for_each(|id| file::remove(data_dir, *id));
    Ok(over.len())
}

fn over(conn: &mut Conn) -> Result<Vec<ExportId>> {
    let kept = || exports::table.filter(exports::key_sealed.is_not_null());
    let mut over: Vec<ExportId> = kept().filter(exports::expires_at.le(conn.now)).select(exports::id).load(&mut conn.db)?;
    let ended = jobs::state.eq(JobState::Failed).or(jobs::state.eq(JobState::Cancelled));
    let without_file: Vec<ExportId> = exports::table
        .inner_join(jobs::table.on(jobs::id.eq(exports::job_id)))
        .filter(exports::key_sealed.is_not_null())
        .filter(exports::finished_at.is_null())
        .filter(ended)
        .select(exports::id)
        .load(&mut conn.db)?;
    over.extend(without_file);
    Ok(over)
}
