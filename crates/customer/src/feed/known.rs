//! What is known already of a batch: customers by the ids of their source.

use std::collections::HashMap;

use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_kernel::{Conn, Result, feed::Source, schema::source_records};

use crate::CustomerId;

/// The customers that a source knows under these ids.
pub fn customers<'a>(
    conn: &mut Conn,
    source: &Source,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, CustomerId>> {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let rows: Vec<(String, CustomerId)> = source_records::table
        .filter(source_records::source_system.eq(&source.code))
        .filter(source_records::source_id.eq_any(ids))
        .select((source_records::source_id, source_records::customer_id))
        .load(&mut conn.db)?;
    Ok(rows.into_iter().collect())
}

/// What a record waits for whose customer has not come yet.
pub fn customer_key(source: &Source, id: &str) -> String {
    format!("customer:{}:{id}", source.code)
}
