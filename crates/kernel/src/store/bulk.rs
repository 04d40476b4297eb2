//! What diesel's two-backend connection cannot express, each with one remedy.

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

/// Inserts many rows: `bulk_insert!(tx, events::table, &rows)?`. In chunks that stay below the number of
/// parameters a statement may have (32 columns, 32,766 parameters). The row's struct wants
/// `#[diesel(treat_none_as_default_value = false)]`: one statement a chunk instead of one a row. The statement of a single
/// row keeps being prepared; SQLite, to which there is no way, has a few of them sooner than one for all is read.
#[macro_export]
macro_rules! bulk_insert {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut result: diesel::QueryResult<usize> = Ok(0);
        let few = $rows.len() <= $crate::store::FEW && matches!($conn.db.kind, $crate::Kind::Sqlite(_));
        for chunk in $rows.chunks(if few { 1 } else { 1_000 }) {
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

/// Up to how many rows are few: SQLite takes them one by one.
pub const FEW: usize = 8;

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

/// The parameters of a list of rows, for `UPDATE … FROM (VALUES {list}) AS v`: `($1, $2), ($3, $4)`.
/// The columns are then `v.column1`, `v.column2` on both databases.
#[must_use]
pub fn parameters(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let places: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}
