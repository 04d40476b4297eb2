//! Taking back what an import created: the owner of a table says what goes with its records and what
//! stands in the way; the rest is the same for all.

use diesel::{QueryableByName, RunQueryDsl, sql_query, sql_types::Text};

use crate::{AnyId, Id, Result, Tx, store::sql};

/// The records to be taken back, as a condition's right side: what one import created of one kind.
const CHOSEN: &str = "(SELECT entity_id FROM import_effects WHERE import_id = $1 AND entity = $2)";

/// How a kind of record is taken back. The crate that owns the table names it. In conditions and
/// statements `{chosen}` stands for the ids of the records.
#[derive(Clone, Copy, Debug)]
pub struct Retraction {
    /// The table.
    pub table: &'static str,
    /// The event that tells of each record that is gone; none for records that had no event of their own.
    pub event: Option<&'static str>,
    /// Rows that refer to the records and must be gone before.
    pub dependants: &'static [Dependant],
    /// Statements that run before the records go: sums that they were part of.
    pub before: &'static [&'static str],
    /// Tables and columns whose rows go with the records.
    pub parts: &'static [(&'static str, &'static str)],
}

/// What stands in the way of taking a record back.
#[derive(Clone, Copy, Debug)]
pub struct Dependant {
    /// The table that refers to the records.
    pub table: &'static str,
    /// The column by which it does.
    pub column: &'static str,
    /// Which of its rows count; all unless given.
    pub only: Option<&'static str>,
}

impl Dependant {
    /// All rows of a table.
    #[must_use]
    pub const fn all(table: &'static str, column: &'static str) -> Self {
        Self { table, column, only: None }
    }
}

/// A record that cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The record.
    pub id: AnyId,
    /// What refers to it.
    pub by: &'static str,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = sql::Uuid)]
    id: AnyId,
}

/// How many hindrances are named.
const NAMED: usize = 20;

/// Takes back what an import created of one kind, unless something depends on it; hands back what does.
///
/// # Errors
/// The database's.
pub fn retract<T>(tx: &mut Tx<'_>, import: Id<T>, entity: &str, what: &Retraction) -> Result<Vec<Hindrance>> {
    let import: AnyId = import.cast();
    let mut hindrances = Vec::new();
    for dependant in what.dependants {
        let Dependant { table, column, only } = *dependant;
        let only = only.map(|only| format!(" AND ({only})")).unwrap_or_default();
        let select = format!("SELECT DISTINCT {column} AS id FROM {table} WHERE {column} IN {CHOSEN}{only} LIMIT {NAMED}");
        let rows: Vec<Row> = chosen(&select, import, entity).load(&mut tx.db)?;
        hindrances.extend(rows.into_iter().map(|row| Hindrance { id: row.id, by: table }));
    }
    if !hindrances.is_empty() {
        hindrances.truncate(NAMED);
        return Ok(hindrances);
    }
    for statement in what.before {
        chosen(statement, import, entity).execute(&mut tx.db)?;
    }
    for (table, column) in what.parts {
        chosen(&format!("DELETE FROM {table} WHERE {column} IN {CHOSEN}"), import, entity).execute(&mut tx.db)?;
    }
    chosen(&format!("DELETE FROM {} WHERE id IN {CHOSEN}", what.table), import, entity).execute(&mut tx.db)?;
    Ok(hindrances)
}

type Chosen = diesel::query_builder::BoxedSqlQuery<'static, crate::store::MultiBackend, diesel::query_builder::SqlQuery>;

fn chosen(statement: &str, import: AnyId, entity: &str) -> Chosen {
    sql_query(statement.replace("{chosen}", CHOSEN)).into_boxed().bind::<sql::Uuid, _>(import).bind::<Text, _>(entity.to_owned())
}
