//! What is known already of a batch: customers by the ids of their source.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
};

use diesel::{ExpressionMethods, JoinOnDsl, QueryDsl, RunQueryDsl};
use kehu_kernel::{
    Conn, Error, Instant, Result, Tx,
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

/// A kind of records that a source keeps apart from their customers.
pub trait Kept {
    /// What a customer has only once.
    type Key: Eq + Hash;
    /// The row that it becomes.
    type Row;

    /// The customer's id in the source.
    fn customer(&self) -> &str;

    /// What these customers have or once had.
    fn had(conn: &mut Conn, customers: Vec<CustomerId>) -> Result<HashSet<(CustomerId, Self::Key)>>;

    /// Its row, or [`Error::Invalid`].
    fn row(&self, tx: &Tx<'_>, customer: CustomerId, source: &Source) -> Result<(Self::Key, Self::Row)>;
}

/// What becomes of a batch of records: those that their customers do not have yet, and never had, become rows, which the
/// caller writes.
///
/// # Errors
/// The database's; [`Error::Busy`] when a customer was merged meanwhile.
pub fn take<R: Kept>(tx: &mut Tx<'_>, source: &Source, records: &[R]) -> Result<Taken<R::Row>> {
    const POINTER: &str = "/customer_source_id";
    let known = customers(tx, source, records.iter().map(R::customer))?;
    let found: Vec<_> = records.iter().map(|record| known.find(source, record.customer(), POINTER)).collect();
    let living = scope::hold_living_all(tx, found.iter().flatten().copied())?;
    let mut had = R::had(tx, living.iter().copied().collect())?;
    let mut taken = Taken { outcomes: Vec::with_capacity(records.len()), rows: Vec::new(), changed: BTreeSet::new() };
    for (record, found) in records.iter().zip(found) {
        let outcome = match found {
            Err(outcome) => outcome,
            Ok(customer) if !living.contains(&customer) => erased(POINTER),
            Ok(customer) => match record.row(tx, customer, source) {
                Ok((key, row)) => {
                    if had.insert((customer, key)) {
                        taken.rows.push(row);
                        taken.changed.insert(customer);
                        Outcome::Created(customer.cast())
                    } else {
                        Outcome::Unchanged(customer.cast())
                    }
                }
                Err(Error::Invalid(faults)) => Outcome::Rejected(faults),
                Err(other) => return Err(other),
            },
        };
        taken.outcomes.push(outcome);
    }
    Ok(taken)
}

/// What [`take`] found.
pub struct Taken<Row> {
    /// What became of each record.
    pub outcomes: Vec<Outcome>,
    /// What is new.
    pub rows: Vec<Row>,
    /// Whose that is.
    pub changed: BTreeSet<CustomerId>,
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
