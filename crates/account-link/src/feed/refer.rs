//! What the records of a batch refer to, looked up once a batch.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::Hash,
};

use diesel::{ExpressionMethods, JoinOnDsl, NullableExpressionMethods, QueryDsl, RunQueryDsl};
use kehu_customer::CustomerId;
use kehu_kernel::{
    AnyId, Conn, Currency, Date, Instant, Result,
    crypto::BlindIndex,
    feed::Source,
    schema::{account_links, accounts, branches, customers, source_records},
};

use crate::{account::AccountId, number, own_links::end};

/// How many keys one query names: far below what a statement may bind.
const CHUNK: usize = 5_000;

/// What a batch needs to know of an account.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub id: AccountId,
    pub currency: Currency,
    pub opened_on: Option<Date>,
    pub balance_minor: Option<i64>,
    pub balance_as_of: Option<Instant>,
}

/// Accounts of a source by the blind index of their number.
pub(crate) fn accounts_by_index(
    conn: &mut Conn,
    source: &Source,
    indexes: impl Iterator<Item = BlindIndex>,
) -> Result<HashMap<BlindIndex, Known>> {
    type Row = (BlindIndex, AccountId, Currency, Option<Date>, Option<i64>, Option<Instant>);
    let rows: Vec<Row> = in_chunks(indexes, |chunk| {
        let query = accounts::table.filter(accounts::source_system.eq(&source.code)).filter(accounts::number_index.eq_any(chunk));
        let columns = (
            accounts::number_index,
            accounts::id,
            accounts::currency,
            accounts::opened_on,
            accounts::balance_minor,
            accounts::balance_as_of,
        );
        Ok(query.select(columns).load(&mut conn.db)?)
    })?;
    let known = |(index, id, currency, opened_on, balance_minor, balance_as_of)| {
        (index, Known { id, currency, opened_on, balance_minor, balance_as_of })
    };
    Ok(rows.into_iter().map(known).collect())
}

/// Accounts of a source by their numbers, however these are written.
pub(crate) fn accounts_by_number<'a>(
    conn: &mut Conn,
    source: &Source,
    numbers: impl Iterator<Item = &'a str>,
) -> Result<HashMap<BlindIndex, Known>> {
    let keys = std::sync::Arc::clone(&conn.keys);
    accounts_by_index(conn, source, numbers.map(|number| number::index(&keys, number)))
}

/// Branches by code.
pub(crate) fn branches(conn: &mut Conn, codes: impl Iterator<Item = String>) -> Result<HashMap<String, AnyId>> {
    let rows: Vec<(String, AnyId)> = in_chunks(codes, |chunk| {
        Ok(branches::table.filter(branches::code.eq_any(chunk)).select((branches::code, branches::id)).load(&mut conn.db)?)
    })?;
    Ok(rows.into_iter().collect())
}

/// Account and customer of links by their source ids.
pub(crate) fn links(
    conn: &mut Conn,
    source: &Source,
    ids: impl Iterator<Item = String>,
) -> Result<HashMap<String, (AccountId, CustomerId)>> {
    let rows: Vec<(String, AccountId, CustomerId)> = in_chunks(ids, |chunk| {
        let query = account_links::table
            .filter(account_links::source_system.eq(&source.code))
            .filter(account_links::source_id.eq_any(chunk));
        let columns = (account_links::source_id.assume_not_null(), account_links::account_id, account_links::customer_id);
        Ok(query.select(columns).load(&mut conn.db)?)
    })?;
    Ok(rows.into_iter().map(|(source_id, account, customer)| (source_id, (account, customer))).collect())
}

/// Customers by their id in the source system; one that was absorbed by a merge stands for its survivor.
pub(crate) fn customers(
    conn: &mut Conn,
    source: &Source,
    ids: impl Iterator<Item = String>,
) -> Result<HashMap<String, CustomerId>> {
    let rows: Vec<(String, CustomerId)> = in_chunks(ids, |chunk| {
        let query = source_records::table
            .inner_join(customers::table.on(customers::id.eq(source_records::customer_id)))
            .filter(source_records::source_system.eq(&source.code))
            .filter(source_records::source_id.eq_any(chunk));
        Ok(query.select((source_records::source_id, customers::id)).load(&mut conn.db)?)
    })?;
    let living = kehu_customer::scope::living(conn, rows.iter().map(|(_, id)| *id))?;
    Ok(rows.into_iter().map(|(source_id, id)| (source_id, end(&living, id))).collect())
}

/// Those of these customers that were erased.
pub(crate) fn erased(conn: &mut Conn, ids: impl Iterator<Item = CustomerId>) -> Result<HashSet<CustomerId>> {
    let rows = in_chunks(ids, |chunk| {
        let gone = customers::table.filter(customers::id.eq_any(chunk)).filter(customers::erased_at.is_not_null());
        Ok(gone.select(customers::id).load::<CustomerId>(&mut conn.db)?)
    })?;
    Ok(rows.into_iter().collect())
}

/// Runs a query over distinct keys, so many at a time.
pub(crate) fn in_chunks<K, R>(keys: impl Iterator<Item = K>, mut query: impl FnMut(&[K]) -> Result<Vec<R>>) -> Result<Vec<R>>
where
    K: Ord + Hash + Clone,
{
    let distinct: Vec<K> = keys.collect::<BTreeSet<K>>().into_iter().collect();
    let mut rows = Vec::new();
    for chunk in distinct.chunks(CHUNK) {
        rows.extend(query(chunk)?);
    }
    Ok(rows)
}
