//! Key rotation: every sealed value that another key sealed is opened and sealed anew.

use std::sync::Arc;

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Binary};

use crate::{AnyId, Error, Result, Store, store::sql};

/// A column of sealed values. The crate that owns the table names it.
#[derive(Clone, Copy, Debug)]
pub struct SealedColumn {
    /// The table.
    pub table: &'static str,
    /// Its column with the id that the value is bound to.
    pub id: &'static str,
    /// The column with the sealed value.
    pub column: &'static str,
    /// The label under which it was sealed.
    pub label: &'static str,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql::Uuid)]
    id: AnyId,
    #[diesel(sql_type = Binary)]
    sealed: Vec<u8>,
}

/// How many rows one transaction looks at.
const BATCH: usize = 500;

/// Seals what is outdated in one column anew; returns how many values that were. May be stopped and run
/// again at any time, beside a running server.
///
/// # Errors
/// The database's; [`Error::Internal`] when an old key is missing.
pub fn rotate(store: &Store, column: SealedColumn) -> Result<usize> {
    let mut after = AnyId::from_uuid(uuid::Uuid::nil());
    let mut count = 0;
    loop {
        let (sealed, last, read) = store.write_blocking(move |tx| {
            let SealedColumn { table, id, column, label } = column;
            let select = format!(
                "SELECT {id} AS id, {column} AS sealed FROM {table} WHERE {id} > $1 AND {column} IS NOT NULL ORDER BY {id} LIMIT {BATCH}"
            );
            let rows: Vec<Row> = sql_query(select).bind::<sql::Uuid, _>(after).load(&mut tx.db)?;
            let mut sealed = 0;
            let keys = Arc::clone(&tx.keys);
            for row in rows.iter().filter(|row| keys.is_outdated(&row.sealed)) {
                let fresh = keys.seal(label, row.id, &keys.open(label, row.id, &row.sealed)?)?;
                // The old value is part of the condition: what somebody else has just written stays.
                let update = format!("UPDATE {table} SET {column} = $1 WHERE {id} = $2 AND {column} = $3");
                sealed += sql_query(update)
                    .bind::<Binary, _>(fresh)
                    .bind::<sql::Uuid, _>(row.id)
                    .bind::<Binary, _>(row.sealed.clone())
                    .execute(&mut tx.db)?;
            }
            Ok::<_, Error>((sealed, rows.last().map(|row| row.id), rows.len()))
        })?;
        count += sealed;
        match last {
            Some(last) if read == BATCH => after = last,
            _ => return Ok(count),
        }
    }
}
