//! What diesel's two-backend connection cannot express, each with one remedy.

use super::{Conn, Kind};

/// Runs the same code on the concrete connection of either database:
/// `each!(&mut tx.db, c => diesel::insert_into(t).values(&rows).execute(c))`.
#[macro_export]
macro_rules! each {
    ($db:expr, $conn:ident => $body:expr) => {
        match &mut ($db).kind {
            $crate::Kind::Sqlite($conn) => $body,
            $crate::Kind::Postgres($conn) => $body,
        }
    };
}

/// Inserts many rows: `bulk_insert!(tx, events::table, &rows)?`. PostgreSQL takes them in chunks that stay below the number of
/// parameters a statement may have (32 columns, 32,766 parameters). SQLite, to which there is no way, takes them one by one:
/// the statement of a single row keeps being prepared, where it spends more on reading a long one than on carrying it out.
/// The row's struct wants `#[diesel(treat_none_as_default_value = false)]`.
#[macro_export]
macro_rules! bulk_insert {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut result: diesel::QueryResult<usize> = Ok(0);
        for chunk in $rows.chunks($crate::store::together($conn)) {
            let inserted = $crate::each!(&mut $conn.db, c => match chunk {
                [row] => diesel::RunQueryDsl::execute(diesel::insert_into($table).values(row), c),
                chunk => diesel::RunQueryDsl::execute(diesel::insert_into($table).values(chunk), c),
            });
            match inserted {
                Ok(count) => result = result.map(|sum| sum + count),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        result.map_err($crate::Error::from)
    }};
}

/// How many rows a statement takes at most: see [`bulk_insert!`](crate::bulk_insert).
#[must_use]
pub const fn together(conn: &Conn) -> usize {
    if matches!(conn.db.kind, Kind::Sqlite(_)) { 1 } else { 1_000 }
}

/// From how many rows on PostgreSQL takes a COPY.
pub const COPIED: usize = 50;

/// [`bulk_insert!`] for tables that grow by thousands of rows at once: PostgreSQL takes them as a COPY, for
/// a statement with thousands of parameters costs it more to parse than to carry out. The row's struct
/// wants `#[diesel(treat_none_as_default_value = false)]` and nothing embedded.
#[macro_export]
macro_rules! bulk_copy {
    ($conn:expr, $table:expr, $rows:expr) => {
        match &mut $conn.db.kind {
            $crate::Kind::Postgres(c) if $rows.len() >= $crate::store::COPIED => {
                let copy = diesel::copy_from($table).from_insertable($rows.as_slice());
                diesel::prelude::ExecuteCopyFromDsl::execute(copy, c).map_err($crate::Error::from)
            }
            _ => $crate::bulk_insert!($conn, $table, $rows),
        }
    };
}
