//! The step that spreads the tables over machines, held against the catalogue: every table, unique key and foreign key is decided.

use std::collections::{BTreeMap, BTreeSet};

use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query, sql_types::Text};
use kehu_kernel::{
    Error,
    store::{distributed, migrate},
};

use crate::support::{distributed::distribute, postgres};

const DECISIONS: &str = include_str!("../../migrations/citus/README.md");

/// Where a table goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// To every node.
    Everywhere,
    /// By a column, beside the table that its rows belong to.
    Spread { column: String, root: String },
    /// It stays.
    Stays,
}

/// A statement of the step.
#[derive(Debug)]
enum Statement {
    DropConstraint { name: String },
    PrimaryKey { table: String, name: String, columns: Vec<String> },
    ForeignKey { name: String },
    DropIndex { name: String },
    Index { name: String, unique: bool },
    Directory,
    Place { table: String, place: Place },
}

/// Reads a statement; there are no others than these.
fn read(text: &str) -> Statement {
    let words: Vec<&str> = text.split([' ', '(', ')', ',', '\'']).filter(|word| !word.is_empty()).collect();
    let own = |word: &str| word.to_owned();
    let spread = |table: &str, column: &str, root: &str| {
        let root = if root == "none" { table } else { root };
        Statement::Place { table: own(table), place: Place::Spread { column: own(column), root: own(root) } }
    };
    match words.as_slice() {
        ["ALTER", "TABLE", _, "DROP", "CONSTRAINT", name] => Statement::DropConstraint { name: own(name) },
        ["ALTER", "TABLE", table, "ADD", "CONSTRAINT", name, "PRIMARY", "KEY", columns @ ..] => {
            Statement::PrimaryKey { table: own(table), name: own(name), columns: columns.iter().copied().map(own).collect() }
        }
        ["ALTER", "TABLE", _, "ADD", "CONSTRAINT", name, "FOREIGN", "KEY", _, "REFERENCES", _, _] => {
            Statement::ForeignKey { name: own(name) }
        }
        ["DROP", "INDEX", name] => Statement::DropIndex { name: own(name) },
        ["CREATE", "INDEX", name, "ON", _, ..] => Statement::Index { name: own(name), unique: false },
        ["CREATE", "UNIQUE", "INDEX", name, "ON", _, ..] => Statement::Index { name: own(name), unique: true },
        ["CREATE", "TABLE", "held_keys", ..] => Statement::Directory,
        ["SELECT", "create_reference_table", table] => Statement::Place { table: own(table), place: Place::Everywhere },
        ["SELECT", "create_distributed_table", table, column, "colocate_with", "=>", root] => spread(table, column, root),
        other => panic!("not a statement of the step: {other:?}"),
    }
}

fn statements() -> Vec<Statement> {
    distributed::statements().map(read).collect()
}

/// A table of the decisions: the name in each row, and what stands behind it.
fn decided(heading: &str) -> BTreeMap<String, Vec<String>> {
    let (_, section) = DECISIONS.split_once(heading).unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let mut cells: Vec<String> = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        let name = cells.remove(0).trim_matches('`').to_owned();
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
        (name, cells)
    };
    let found: Vec<_> = rows.map(row).collect();
    let count = found.len();
    let decided: BTreeMap<_, _> = found.into_iter().collect();
    assert_eq!(decided.len(), count, "twice in {heading}");
    decided
}

/// Where every table goes; none goes to two places.
fn places() -> BTreeMap<String, Place> {
    let mut places = BTreeMap::new();
    let stay = decided("### Tables that stay on the coordinator").into_keys().map(|table| (table, Place::Stays));
    let moved = statements().into_iter().filter_map(|statement| match statement {
        Statement::Place { table, place } => Some((table, place)),
        _ => None,
    });
    for (table, place) in stay.chain(moved) {
        assert_eq!(places.insert(table.clone(), place), None, "{table} is named twice");
    }
    places
}

#[derive(QueryableByName, Debug)]
struct Named {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Text)]
    other: String,
    #[diesel(sql_type = Text)]
    other_columns: String,
}

impl Named {
    fn columns(&self) -> Vec<&str> {
        self.columns.split(',').collect()
    }
}

fn ask(url: &str, query: &str) -> Vec<Named> {
    sql_query(query).load(&mut PgConnection::establish(url).unwrap()).unwrap()
}

/// Tables, with their columns that are never null.
fn tables(url: &str) -> Vec<Named> {
    ask(
        url,
        "SELECT c.relname::text AS \"table\", '' AS name, string_agg(a.attname::text, ',') AS columns, '' AS other,
                '' AS other_columns
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND a.attnotnull
          WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND NOT c.relname LIKE '\\_\\_%'
          GROUP BY c.relname",
    )
}

/// Unique keys, primary ones included.
fn unique_keys(url: &str) -> Vec<Named> {
    ask(
        url,
        "SELECT i.indrelid::regclass::text AS \"table\", i.indexrelid::regclass::text AS name,
                string_agg(a.attname::text, ',') AS columns, CASE WHEN i.indisprimary THEN 'primary' ELSE '' END AS other,
                '' AS other_columns
           FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
           JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
          WHERE i.indisunique AND NOT c.relname LIKE '\\_\\_%' GROUP BY i.indrelid, i.indexrelid, i.indisprimary",
    )
}

fn foreign_keys(url: &str) -> Vec<Named> {
    let columns = |of: &str, list: &str| {
        format!(
            "(SELECT string_agg(a.attname::text, ',' ORDER BY u.place) FROM unnest({list}) WITH ORDINALITY AS u(number, place)
              JOIN pg_attribute a ON a.attrelid = {of} AND a.attnum = u.number)"
        )
    };
    ask(
        url,
        &format!(
            "SELECT k.conrelid::regclass::text AS \"table\", k.conname::text AS name, {} AS columns,
                    k.confrelid::regclass::text AS other, {} AS other_columns
               FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace",
            columns("k.conrelid", "k.conkey"),
            columns("k.confrelid", "k.confkey")
        ),
    )
}

/// Whether Citus can hold a foreign key.
fn can_be_held(places: &BTreeMap<String, Place>, key: &Named) -> bool {
    match (&places[&key.table], &places[&key.other]) {
        (Place::Stays, Place::Stays) | (Place::Everywhere | Place::Spread { .. }, Place::Everywhere) => true,
        (Place::Spread { column, root }, Place::Spread { column: theirs, root: their_root }) => {
            let pairs = key.columns.split(',').zip(key.other_columns.split(','));
            root == their_root && pairs.into_iter().any(|pair| pair == (column.as_str(), theirs.as_str()))
        }
        _ => false,
    }
}

#[test]
fn every_table_is_decided() {
    let url = postgres::migrated_database();
    let places = places();
    let there = tables(&url);
    let mut names: BTreeSet<&str> = there.iter().map(|table| table.table.as_str()).collect();
    // Made by the step itself.
    assert!(names.insert("held_keys"));
    assert_eq!(names, places.keys().map(String::as_str).collect());
    for table in &there {
        if let Place::Spread { column, root } = &places[&table.table] {
            assert!(table.columns().contains(&column.as_str()), "{}.{column} is missing or may be null", table.table);
            assert!(matches!(&places[root], Place::Spread { root: same, .. } if same == root), "{root} is not a root");
            let family = [("customers", "customer_id"), ("accounts", "account_id")];
            let wanted = family.iter().find(|(name, _)| name == root && *name != table.table).map(|(_, column)| *column);
            assert!(wanted.is_none_or(|wanted| wanted == column), "{} goes by {column}", table.table);
        }
    }
}

#[test]
fn every_unique_key_holds_the_column_or_has_an_answer() {
    let url = postgres::migrated_database();
    let places = places();
    let answers = decided("## Unique keys that do not hold the column");
    let replaced: BTreeMap<String, (String, Vec<String>)> = statements()
        .into_iter()
        .filter_map(|statement| match statement {
            Statement::PrimaryKey { table, name, columns } => Some((name, (table, columns))),
            _ => None,
        })
        .collect();
    let dropped: BTreeSet<String> = statements()
        .into_iter()
        .filter_map(|statement| match statement {
            Statement::DropIndex { name } => Some(name),
            _ => None,
        })
        .collect();
    let (mut asked, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for key in unique_keys(&url) {
        let Place::Spread { column, .. } = &places[&key.table] else { continue };
        if key.columns().contains(&column.as_str()) {
            continue;
        }
        if key.other == "primary" {
            let (table, columns) = replaced.get(&key.name).unwrap_or_else(|| panic!("{} is not replaced", key.name));
            let wanted: BTreeSet<&str> = key.columns().into_iter().chain([column.as_str()]).collect();
            assert_eq!((table, columns.iter().map(String::as_str).collect()), (&key.table, wanted), "{}", key.name);
            // What asks without the column has an index all the same.
            assert_eq!(columns.last(), Some(column), "{}", key.name);
            keys.insert(key.name);
        } else {
            asked.insert(key.name);
        }
    }
    assert_eq!(asked, answers.keys().cloned().collect(), "unique keys without their column, and answers");
    assert_eq!(asked, dropped);
    assert_eq!(keys, replaced.into_keys().collect());
    let known = ["construction", "one writer", "directory", "local"];
    assert!(answers.values().all(|cells| known.contains(&cells[0].as_str())), "{answers:?}");
}

#[test]
fn every_foreign_key_can_be_held_or_is_given_up() {
    let url = postgres::migrated_database();
    let places = places();
    let mut given_up = BTreeSet::new();
    let mut moved = BTreeSet::new();
    for key in foreign_keys(&url) {
        if !can_be_held(&places, &key) {
            given_up.insert(key.name.clone());
        }
        if places[&key.table] != Place::Stays || places[&key.other] != Place::Stays {
            moved.insert(key.name);
        }
    }
    assert_eq!(given_up, decided("## Foreign keys that are dropped").into_keys().collect());
    let dropped: BTreeSet<String> = statements()
        .into_iter()
        .filter_map(|statement| match statement {
            Statement::DropConstraint { name } if !name.ends_with("_pkey") => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(moved, dropped, "foreign keys of tables that move go first");
    let again: BTreeSet<String> = statements()
        .into_iter()
        .filter_map(|statement| match statement {
            Statement::ForeignKey { name } => Some(name),
            _ => None,
        })
        .collect();
    assert_eq!(moved.difference(&given_up).cloned().collect::<BTreeSet<_>>(), again, "and come again where they can");
}

#[test]
fn the_step_makes_what_it_says() {
    let url = postgres::migrated_database();
    let before = (unique_keys(&url), foreign_keys(&url));
    distribute(&url);
    let places = places();
    let after = (unique_keys(&url), foreign_keys(&url));
    for key in &after.0 {
        if let Place::Spread { column, .. } = &places[&key.table] {
            assert!(key.columns().contains(&column.as_str()), "{}", key.name);
        }
    }
    for key in &after.1 {
        assert!(can_be_held(&places, key), "{}", key.name);
        let same = |other: &&Named| other.name == key.name && other.columns == key.columns && other.other == key.other;
        assert!(before.1.iter().any(|other| same(&other)), "{} was not there before", key.name);
    }
    let given_up = decided("## Foreign keys that are dropped").len();
    assert_eq!(after.1.len() + given_up, before.1.len());
    // Of the unique keys three became plain indexes, and the directory has its own.
    let plain = statements().iter().filter(|statement| matches!(statement, Statement::Index { unique: false, .. })).count();
    assert_eq!(after.0.len(), before.0.len() - plain + 1);
    for statement in statements() {
        if let Statement::Index { name, .. } = statement {
            let found = ask(
                &url,
                &format!(
                    "SELECT tablename::text AS \"table\", '' AS name, '' AS columns, '' AS other, '' AS other_columns FROM pg_indexes WHERE indexname = '{name}'"
                ),
            );
            assert_eq!(found.len(), 1, "{name}");
        }
    }
    assert_eq!(distributed::apply(&url).unwrap(), 0, "the second time there is nothing to do");
    assert!(migrate::up(&url).unwrap().is_empty());
    assert!(matches!(migrate::down(&url), Err(Error::Invalid(_))));
}

#[test]
fn what_broke_off_goes_on() {
    use diesel::connection::SimpleConnection;
    let url = postgres::migrated_database();
    // Without Citus the step comes as far as its first function.
    assert!(distributed::apply(&url).is_err());
    let done = ask(
        &url,
        "SELECT statement AS \"table\", '' AS name, '' AS columns, '' AS other, '' AS other_columns FROM __kehu_distribution",
    );
    assert!(done.len() > 50, "{}", done.len());
    let stand_in = crate::support::distributed::STAND_IN;
    PgConnection::establish(&url).unwrap().batch_execute(stand_in).unwrap();
    assert_eq!(distributed::apply(&url).unwrap(), distributed::statements().count() - done.len());
    assert!(foreign_keys(&url).iter().all(|key| can_be_held(&places(), key)));
}

#[test]
fn refuses_what_cannot_be_spread() {
    let told = |url: &str| match distributed::require(url) {
        Err(Error::Invalid(faults)) => (faults[0].code.clone(), faults[0].message.clone()),
        other => panic!("{other:?}"),
    };
    let (code, message) = told("sqlite:///nowhere/kehu.db");
    assert_eq!((code.as_str(), message.contains("SQLite")), ("backend", true));
    let (code, message) = told(&postgres::migrated_database());
    assert_eq!((code.as_str(), message.contains("citus")), ("extension", true));
}
