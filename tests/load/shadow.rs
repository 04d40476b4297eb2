//! Tables beside those of a bank, with the same columns and indexes but no keys, constraints or triggers: what it takes to
//! write the same rows without Kehu.

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, connection::SimpleConnection, sql_query, sql_types};

use super::banks::Bank;

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = sql_types::Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = sql_types::BigInt)]
    count: i64,
}

/// A table, and how many rows of it one write made.
pub struct Written {
    /// Its name.
    pub table: String,
    /// How many rows.
    pub rows: usize,
    /// Its columns.
    pub columns: Vec<String>,
}

/// A connection of this program to the bank, beside Kehu's.
pub enum Beside {
    /// SQLite, through the driver with the least around it.
    Sqlite(rusqlite::Connection),
    /// PostgreSQL.
    Postgres(Box<PgConnection>),
}

impl Beside {
    /// Connects.
    pub fn of(bank: &Bank) -> Self {
        bank.url.strip_prefix("sqlite://").map_or_else(
            || Self::Postgres(Box::new(PgConnection::establish(&bank.url).unwrap())),
            |path| {
                let conn = rusqlite::Connection::open(path).unwrap();
                conn.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                Self::Sqlite(conn)
            },
        )
    }

    /// Runs statements.
    pub fn run(&mut self, statements: &str) {
        match self {
            Self::Sqlite(conn) => conn.execute_batch(statements).unwrap(),
            Self::Postgres(conn) => conn.batch_execute(statements).unwrap(),
        }
    }

    fn names(&mut self, query: &str) -> Vec<String> {
        match self {
            Self::Sqlite(conn) => {
                let mut statement = conn.prepare(query).unwrap();
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.map(Result::unwrap).collect()
            }
            Self::Postgres(conn) => sql_query(query).load::<Name>(&mut **conn).unwrap().into_iter().map(|row| row.name).collect(),
        }
    }

    fn count(&mut self, table: &str) -> i64 {
        let query = format!("SELECT count(*) AS count FROM {table}");
        match self {
            Self::Sqlite(conn) => conn.query_row(&query, [], |row| row.get(0)).unwrap(),
            Self::Postgres(conn) => sql_query(query).get_result::<Count>(&mut **conn).unwrap().count,
        }
    }

    /// How many rows each table has.
    pub fn counts(&mut self) -> Vec<(String, i64)> {
        let tables = match self {
            Self::Sqlite(_) => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            Self::Postgres(_) => "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public'",
        };
        let tables = self.names(tables).into_iter().filter(|table| !table.starts_with("shadow_") && !table.starts_with("made_"));
        tables.map(|table| (table.clone(), self.count(&table))).collect()
    }

    /// What was written since `before`; for each such table there is an empty `shadow_…` and a `made_…` with the newest rows.
    pub fn written_since(&mut self, before: &[(String, i64)]) -> Vec<Written> {
        let now = self.counts();
        let grown = now.iter().zip(before).filter(|(now, before)| now.1 > before.1);
        let grown: Vec<(String, usize)> =
            grown.map(|(now, before)| (now.0.clone(), usize::try_from(now.1 - before.1).unwrap())).collect();
        grown.into_iter().map(|(table, rows)| self.shadow(table, rows)).collect()
    }

    fn shadow(&mut self, table: String, rows: usize) -> Written {
        let columns = self.names(&match self {
            Self::Sqlite(_) => format!("SELECT name FROM pragma_table_info('{table}')"),
            Self::Postgres(_) => format!(
                "SELECT column_name::text AS name FROM information_schema.columns
                  WHERE table_name = '{table}' AND table_schema = 'public' AND is_generated = 'NEVER' ORDER BY ordinal_position"
            ),
        });
        let all = columns.join(", ");
        let newest = if columns.iter().any(|column| column == "id") { "ORDER BY id DESC" } else { "" };
        self.run(&format!("DROP TABLE IF EXISTS shadow_{table}; DROP TABLE IF EXISTS made_{table}"));
        match self {
            // Types and storage stay; keys go.
            Self::Postgres(_) => self.run(&format!("CREATE TABLE shadow_{table} (LIKE {table})")),
            Self::Sqlite(_) => self.run(&format!("CREATE TABLE shadow_{table} AS SELECT {all} FROM {table} LIMIT 0")),
        }
        for index in self.indexes(&table) {
            self.run(&index);
        }
        self.run(&format!("CREATE TABLE made_{table} AS SELECT {all} FROM {table} {newest} LIMIT {rows}"));
        Written { table, rows, columns }
    }

    /// The statements that give the shadow the table's indexes, keys included, as indexes that allow doubles.
    fn indexes(&mut self, table: &str) -> Vec<String> {
        let definitions = self.names(&match self {
            Self::Sqlite(_) => {
                format!("SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql IS NOT NULL")
            }
            Self::Postgres(_) => format!("SELECT indexdef AS name FROM pg_indexes WHERE tablename = '{table}'"),
        });
        let of_shadow = |definition: String| {
            let (head, rest) = definition.split_once(" ON ").unwrap();
            let name = head.rsplit(' ').next().unwrap();
            let after_table = rest.split_once(table).unwrap().1;
            format!("CREATE INDEX shadow_{name} ON shadow_{table} {after_table}")
        };
        let mut all: Vec<String> = definitions.into_iter().map(of_shadow).collect();
        if let Self::Sqlite(_) = self {
            let key = self.names(&format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk"));
            all.push(format!("CREATE INDEX shadow_key_of_{table} ON shadow_{table} ({})", key.join(", ")));
        }
        all
    }

    /// Removes what [`Self::written_since`] made.
    pub fn clean(&mut self, written: &[Written]) {
        for Written { table, .. } in written {
            self.run(&format!("DROP TABLE shadow_{table}; DROP TABLE made_{table}"));
        }
    }
}

/// The statements that write the same rows once more, `id` as this expression says.
pub fn again(written: &[Written], id: &str) -> Vec<String> {
    let insert = |Written { table, columns, .. }: &Written| {
        let values: Vec<&str> = columns.iter().map(|column| if column == "id" { id } else { column }).collect();
        format!("INSERT INTO shadow_{table} ({}) SELECT {} FROM made_{table}", columns.join(", "), values.join(", "))
    };
    written.iter().map(insert).collect()
}
