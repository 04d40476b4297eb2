//! What is known already of a batch: customers by the ids of their source.

use std::collections::HashMap;

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Conn, Instant, Result,
    feed::{Outcome, Source},
    schema::{customers, source_records},
};

use crate::{CustomerId, scope};

/// The customers that a source knows under the ids of a batch, with the moment of their erasure.
pub struct Customers(HashMap<String, (CustomerId, Option<Instant>)>);

/// The customers that a source knows under these ids.
pub fn customers<'a>(conn: &mut Conn, source: &Source, ids: impl Iterator<Item = &'a str>) -> Result<Customers> {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let mut rows: Vec<(String, CustomerId, Option<Instant>)> = source_records::table
        .inner_join(customers::table.on(customers::id.eq(source_records::customer_id)))
        .filter(source_records::source_system.eq(&source.code))
        .filter(source_records::source_id.eq_any(ids))
        .select((source_records::source_id, source_records::customer_id, customers::erased_at))
        .load(&mut conn.db)?;
    let living = scope::living(conn, rows.iter().map(|(_, id, _)| *id))?;
    for (_, id, _) in &mut rows {
        *id = living.get(id).copied().unwrap_or(*id);
    }
    Ok(Customers(rows.into_iter().map(|(key, id, erased)| (key, (id, erased))).collect()))
}

impl Customers {
    /// The customer with this id, or what becomes of a record that names it: it waits for a customer that has not come
    /// yet, and is refused for one that was erased.
    ///
    /// # Errors
    /// The outcome of the record.
    pub fn find(&self, source: &Source, id: &str, pointer: &str) -> Result<CustomerId, Outcome> {
        match self.0.get(id) {
            None => Err(Outcome::Parked { waiting_for: customer_key(source, id) }),
            Some((_, Some(_))) => Err(erased(pointer)),
            Some((customer, None)) => Ok(*customer),
        }
    }
}

/// What becomes of a record of a customer that was erased: a source does not bring it back. Who comes back to the
/// bank after an erasure is a new customer, under a new id of the source or made by a person.
pub fn erased(pointer: &str) -> Outcome {
    Outcome::rejected(pointer, super::ERASED, "The customer with this id was erased; a source does not bring it back.")
}

/// What a record waits for whose customer has not come yet.
pub fn customer_key(source: &Source, id: &str) -> String {
    format!("customer:{}:{id}", source.code)
}
