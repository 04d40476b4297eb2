//! Every column of both databases that refers to a customer says what a merge, an export and an erasure do.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query, sql_types::Text};
use kehu_api::belonging::REGISTRY;
use kehu_customer::belonging::{Holding, OnExport};
use kehu_kernel::store::migrate;

use crate::support::postgres;

#[derive(QueryableByName, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Column {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
}

type Columns = BTreeSet<(String, String)>;

fn set(columns: Vec<Column>) -> Columns {
    columns.into_iter().map(|column| (column.table, column.name)).collect()
}

/// Foreign keys to customers, and all columns.
fn in_postgres() -> (Columns, Columns) {
    let mut conn = PgConnection::establish(&postgres::fresh_database()).unwrap();
    let keys = sql_query(
        "SELECT k.conrelid::regclass::text AS \"table\", a.attname::text AS name FROM pg_constraint k
         JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)
         WHERE k.contype = 'f' AND k.confrelid = 'customers'::regclass",
    );
    let all = sql_query(
        "SELECT table_name::text AS \"table\", column_name::text AS name FROM information_schema.columns
         WHERE table_schema = 'public'",
    );
    (set(keys.load(&mut conn).unwrap()), set(all.load(&mut conn).unwrap()))
}

fn in_sqlite() -> (Columns, Columns) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("belonging.db");
    migrate::up(&format!("sqlite://{}", path.display())).unwrap();
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let keys = sql_query(
        "SELECT m.name AS \"table\", k.\"from\" AS name FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) k
         WHERE m.type = 'table' AND k.\"table\" = 'customers'",
    );
    let all = sql_query(
        "SELECT m.name AS \"table\", c.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table'",
    );
    (set(keys.load(&mut conn).unwrap()), set(all.load(&mut conn).unwrap()))
}

#[test]
fn every_column_that_refers_to_a_customer_is_registered() {
    for (keys, all) in [in_postgres(), in_sqlite()] {
        assert!(keys.len() > 20 && all.len() > 100, "{keys:?}");
        let listed = |referenced: bool| -> Columns {
            let of = REGISTRY.iter().filter(|column| column.referenced == referenced);
            of.map(|column| (column.table.to_owned(), column.column.to_owned())).collect()
        };
        assert_eq!(listed(true), keys);
        // Columns of the name that no foreign key guards.
        let loose: Columns = all.iter().filter(|(_, name)| name == "customer_id").cloned().collect();
        assert_eq!(listed(false), loose.difference(&keys).cloned().collect());
        for column in REGISTRY.iter() {
            let has = |name: &str| all.contains(&(column.table.to_owned(), name.to_owned()));
            assert!(has(column.key), "{}.{}", column.table, column.key);
            assert_eq!(column.versioned, has("version"), "{}.version", column.table);
        }
    }
}

#[test]
fn no_column_is_registered_twice() {
    let mut seen = BTreeMap::new();
    for column in REGISTRY.iter() {
        assert!(seen.insert((column.table, column.column), ()).is_none(), "{}.{}", column.table, column.column);
    }
}

#[test]
fn every_table_says_what_it_holds_of_customers() {
    for (_, all) in [in_postgres(), in_sqlite()] {
        let there: BTreeSet<&str> =
            all.iter().map(|(table, _)| table.as_str()).filter(|table| !table.contains("diesel")).collect();
        let mut told: BTreeSet<&str> = REGISTRY.iter().map(|belonging| belonging.table).collect();
        let sections: BTreeSet<&str> = REGISTRY
            .iter()
            .filter_map(|belonging| match belonging.export {
                OnExport::Rows { section, .. } | OnExport::Read { section, .. } => Some(section),
                OnExport::No(_) => None,
            })
            .collect();
        for beyond in REGISTRY.beyond() {
            assert!(told.insert(beyond.table), "{} stands there twice", beyond.table);
            if let Holding::Within(section) = beyond.holding {
                assert!(sections.contains(section), "no section {section}, in which {} would be", beyond.table);
            }
        }
        assert_eq!(told, there);
    }
}
