//! What diesel's two-backend connection cannot express, each with one remedy.

/// Runs the same code on the concrete connection of either database:
/// `each!(&mut tx.db, c => diesel::insert_into(t).values(&rows).execute(c))`.
#[macro_export]
macro_rules! each {
    ($db:expr, $conn:ident => $body:expr) => {
        match $db {
            $crate::Db::Sqlite($conn) => $body,
            $crate::Db::Postgres($conn) => $body,
        }
    };
}

/// Inserts many rows: `bulk_insert!(tx, events::table, &rows)?`. In chunks that stay below the number of
/// parameters a statement may have (32 columns, 32,766 parameters). The row's struct wants
/// `#[diesel(treat_none_as_default_value = false)]`: one statement a chunk instead of one a row.
#[macro_export]
macro_rules! bulk_insert {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut result: diesel::QueryResult<usize> = Ok(0);
        for chunk in $rows.chunks(1_000) {
            let inserted = $crate::each!(&mut $conn.db, c => {
                diesel::RunQueryDsl::execute(diesel::insert_into($table).values(chunk), c)
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
