//! The buckets that all servers draw from.

use std::time::Duration;

use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl, sql_query, sql_types::Binary};
use kehu_kernel::{
    Instant, Result, Store, Tx,
    schema::rate_buckets::{self as buckets, full_at},
    store::sql,
};

use super::bucket::{Bucket, Taken};
use crate::settings::Rate;

/// How far the clocks of two servers may be apart when a bucket that is full is thrown away.
const SKEW: Duration = Duration::from_secs(60);

/// The buckets of one limit.
pub(crate) struct Shared {
    /// Where their keys come from, so that two limits never share one.
    label: String,
    pub(super) bucket: Bucket,
    pub(super) size: u32,
}

impl Shared {
    /// None for a rate without a limit.
    pub fn new(name: &str, rate: Rate) -> Option<Self> {
        Some(Self { label: format!("rate.{name}"), bucket: Bucket::new(rate)?, size: rate.requests })
    }

    /// Takes as many of the wanted tokens as there are.
    pub(super) async fn draw(&self, store: &Store, key: &str, wanted: u32) -> Result<Taken> {
        let (key, bucket) = (store.keys().blind_index(&self.label, key), self.bucket);
        store.write(move |tx| draw(tx, &key, bucket, wanted)).await
    }

    /// Takes one token, in the transaction of whoever counts; else after how many seconds there is one.
    pub fn take_one(&self, tx: &mut Tx<'_>, key: &str) -> Result<std::result::Result<(), u32>> {
        let key = tx.keys.blind_index(&self.label, key);
        let taken = draw(tx, &key, self.bucket, 1)?;
        Ok(if taken.granted == 1 { Ok(()) } else { Err(taken.wait) })
    }
}

fn draw(tx: &mut Tx<'_>, key: &[u8], bucket: Bucket, wanted: u32) -> Result<Taken> {
    let known = match held(tx, key)? {
        Some(known) => known,
        None => {
            let now = tx.now;
            sql_query("INSERT INTO rate_buckets (key_hash, full_at) VALUES ($1, $2) ON CONFLICT (key_hash) DO NOTHING")
                .bind::<Binary, _>(key)
                .bind::<sql::Instant, _>(now)
                .execute(&mut tx.db)?;
            held(tx, key)?.unwrap_or(now)
        }
    };
    let taken = bucket.take(known.micros(), tx.now.micros(), wanted);
    if taken.granted > 0 {
        let moved = full_at.eq(Instant::from_micros(taken.full_at));
        diesel::update(buckets::table.find(key)).set(moved).execute(&mut tx.db)?;
    }
    Ok(taken)
}

/// When the bucket is full, and nobody else draws from it until this transaction ends.
fn held(tx: &mut Tx<'_>, key: &[u8]) -> Result<Option<Instant>> {
    let row = diesel::update(buckets::table.find(key)).set(full_at.eq(full_at));
    Ok(row.returning(full_at).get_result(&mut tx.db).optional()?)
}

/// Throws away what says no more than that a bucket is full.
///
/// # Errors
/// The database's.
pub fn sweep(store: &Store) -> Result<()> {
    store.write_blocking(|tx| {
        diesel::delete(buckets::table.filter(full_at.lt(tx.now.minus(SKEW)))).execute(&mut tx.db)?;
        Ok(())
    })
}
