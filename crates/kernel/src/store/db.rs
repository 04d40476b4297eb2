//! The connection that every query is written against: either database, and what statements were found to read.
//!
//! diesel puts the text of a statement together anew each time that it runs on a connection that may be either database,
//! and more than once. For short statements that took longer than the database took to answer them. Here a statement
//! that is always the same is put together once a process, any other one once a run.
#![expect(missing_docs, reason = "diesel's derive writes public items without documentation")]

use std::{
    any::TypeId,
    cell::OnceCell,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use diesel::{
    Connection, ConnectionResult, PgConnection, QueryResult, SqliteConnection,
    connection::{CacheSize, Instrumentation, LoadConnection, SimpleConnection, TransactionManager, TransactionManagerStatus},
    expression::QueryMetadata,
    internal::derives::multiconnection::ConnectionSealed,
    pg::{Pg, PgQueryBuilder},
    query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId},
    sqlite::{Sqlite, SqliteQueryBuilder},
};

/// A connection to either database.
pub struct Db {
    /// Which one, for statements that are written for one of them: see [`crate::each!`].
    pub kind: Kind,
}

/// A connection to one of the databases.
#[derive(diesel::MultiConnection)]
pub enum Kind {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// The server database.
    Postgres(PgConnection),
}

type Builder = <MultiBackend as diesel::backend::Backend>::QueryBuilder;

/// What is known of a statement.
#[derive(Clone)]
struct Text {
    sql: Arc<str>,
    /// Whether the database may keep it prepared.
    keeps: bool,
}

/// Texts of statements that are always the same, for each database.
type Texts = RwLock<HashMap<TypeId, Text>>;

/// A statement that knows its text.
struct Known<T> {
    statement: T,
    text: OnceCell<Text>,
}

impl<T: QueryFragment<MultiBackend> + QueryId> Known<T> {
    fn new(statement: T, kind: &Kind) -> QueryResult<Self> {
        static SQLITE: LazyLock<Texts> = LazyLock::new(Texts::default);
        static POSTGRES: LazyLock<Texts> = LazyLock::new(Texts::default);
        let Some(id) = T::query_id() else { return Ok(Self { statement, text: OnceCell::new() }) };
        let (texts, backend) = match kind {
            Kind::Sqlite(_) => (&SQLITE, MultiBackend::Sqlite(Sqlite)),
            Kind::Postgres(_) => (&POSTGRES, MultiBackend::Postgres(Pg)),
        };
        let known = texts.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        let text = match known {
            Some(text) => text,
            None => {
                let text = text(&statement, &backend)?;
                texts.write().unwrap_or_else(PoisonError::into_inner).insert(id, text.clone());
                text
            }
        };
        Ok(Self { statement, text: OnceCell::from(text) })
    }
}

fn text(statement: &impl QueryFragment<MultiBackend>, backend: &MultiBackend) -> QueryResult<Text> {
    let mut builder = match backend {
        MultiBackend::Sqlite(_) => Builder::Sqlite(SqliteQueryBuilder::default()),
        MultiBackend::Postgres(_) => Builder::Postgres(PgQueryBuilder::default()),
    };
    statement.to_sql(&mut builder, backend)?;
    Ok(Text { sql: builder.finish().into(), keeps: statement.is_safe_to_cache_prepared(backend)? })
}

impl<T: QueryFragment<MultiBackend>> Known<T> {
    fn text(&self, backend: &MultiBackend) -> QueryResult<&Text> {
        match self.text.get() {
            Some(text) => Ok(text),
            None => text(&self.statement, backend).map(|text| self.text.get_or_init(|| text)),
        }
    }
}

impl<T: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Known<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.statement.walk_ast(pass)
    }

    fn to_sql(&self, out: &mut Builder, backend: &MultiBackend) -> QueryResult<()> {
        self.text(backend).map(|text| out.push_sql(&text.sql))
    }

    fn is_safe_to_cache_prepared(&self, backend: &MultiBackend) -> QueryResult<bool> {
        self.text(backend).map(|text| text.keeps)
    }
}

impl<T: QueryId> QueryId for Known<T> {
    type QueryId = T::QueryId;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for Known<T> {
    type SqlType = T::SqlType;
}

impl SimpleConnection for Db {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.kind.batch_execute(query)
    }
}

impl ConnectionSealed for Db {}

impl Connection for Db {
    type Backend = MultiBackend;
    type TransactionManager = Transactions;

    fn establish(url: &str) -> ConnectionResult<Self> {
        Kind::establish(url).map(|kind| Self { kind })
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<MultiBackend> + QueryId,
    {
        let known = Known::new(source, &self.kind)?;
        self.kind.execute_returning_count(&known)
    }

    fn transaction_state(&mut self) -> &mut Kind {
        &mut self.kind
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.kind.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.kind.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.kind.set_prepared_statement_cache_size(size);
    }
}

impl LoadConnection for Db {
    type Cursor<'conn, 'query> = <Kind as LoadConnection>::Cursor<'conn, 'query>;
    type Row<'conn, 'query> = <Kind as LoadConnection>::Row<'conn, 'query>;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<MultiBackend> + QueryId + 'query,
        MultiBackend: QueryMetadata<T::SqlType>,
    {
        let known = Known::new(source, &self.kind)?;
        self.kind.load(known)
    }
}

/// Transactions of either database.
pub struct Transactions;

impl TransactionManager<Db> for Transactions {
    type TransactionStateData = Kind;

    fn begin_transaction(conn: &mut Db) -> QueryResult<()> {
        Kind::begin_transaction(&mut conn.kind)
    }

    fn rollback_transaction(conn: &mut Db) -> QueryResult<()> {
        Kind::rollback_transaction(&mut conn.kind)
    }

    fn commit_transaction(conn: &mut Db) -> QueryResult<()> {
        Kind::commit_transaction(&mut conn.kind)
    }

    fn transaction_manager_status_mut(conn: &mut Db) -> &mut TransactionManagerStatus {
        Kind::transaction_manager_status_mut(&mut conn.kind)
    }
}
