//! One connection to either database, and how it is opened.

use std::{path::PathBuf, sync::Arc};

use diesel::{Connection, PgConnection, RunQueryDsl, SqliteConnection, connection::SimpleConnection, select, sql_types::Integer};

use super::{
    db::{Db, Kind},
    distributed, given,
    waited::{Session, Watch},
};
use crate::{
    Error, Result,
    crypto::Keyring,
    time::{Clock, Instant},
};

/// Which database a store talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Backend {
    /// The database that a URL names by its scheme.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        if url.starts_with("sqlite://") {
            Some(Self::Sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Some(Self::Postgres)
        } else {
            None
        }
    }

    /// `sqlite` or `postgres`, for logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What a use case works with: the database, the instant at which it runs, and the keys.
pub struct Conn {
    /// The database connection, for diesel.
    pub db: Db,
    /// The instant of this unit of work; the same for everything it reads and writes.
    pub now: Instant,
    /// Keys of encrypted fields.
    pub keys: Arc<Keyring>,
    /// Whether the tables are spread over several machines.
    pub distributed: bool,
    pub(super) clock: Clock,
    pub(super) broken: bool,
    /// Of a reader on PostgreSQL: how its statements are cancelled.
    pub(super) session: Option<Session>,
    /// Of a reader on a replica: how far it is known to have got.
    pub(super) replayed: super::Position,
}

impl Conn {
    /// Runs one or more statements of SQL without parameters.
    pub(crate) fn batch(&mut self, sql: &str) -> diesel::QueryResult<()> {
        self.db.batch_execute(sql)
    }

    /// Runs a command that is given often: SQLite reads its text once.
    pub(super) fn command(&mut self, text: &'static str) -> diesel::QueryResult<()> {
        given::<()>(text, Vec::new()).execute(&mut self.db).map(drop)
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is none.
    pub fn ping(&mut self) -> Result<()> {
        self.batch("SELECT 1").map_err(Error::from)
    }

    /// Which database this is.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        match self.db.kind {
            Kind::Sqlite(_) => Backend::Sqlite,
            Kind::Postgres(_) => Backend::Postgres,
        }
    }

    /// Begins a new unit of work: takes the time.
    pub(super) fn refresh(&mut self) {
        self.now = self.clock.now();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// Opens connections by the URL's scheme. The `establish` that diesel derives would try each backend in
/// turn, report the wrong one's error and could create an SQLite file named after a PostgreSQL URL.
pub(super) struct Manager {
    url: String,
    backend: Backend,
    role: Role,
    clock: Clock,
    keys: Arc<Keyring>,
}

impl Manager {
    pub(super) fn new(url: &str, role: Role, clock: Clock, keys: Arc<Keyring>) -> Result<Self> {
        let backend =
            Backend::of_url(url).ok_or_else(|| Error::invalid("/database_url", "scheme", "expected sqlite:// or postgres://"))?;
        Ok(Self { url: url.to_owned(), backend, role, clock, keys })
    }

    /// The write-ahead log of an SQLite database.
    pub(super) fn log_file(&self) -> PathBuf {
        PathBuf::from(format!("{}-wal", path_of(&self.url)))
    }

    pub(super) fn open(&self) -> Result<Conn> {
        let mut kind = match self.backend {
            Backend::Sqlite => Kind::Sqlite(open_sqlite(&self.url, self.role)?),
            Backend::Postgres => {
                Kind::Postgres(PgConnection::establish(&self.url).map_err(|error| unreachable(&self.url, &error))?)
            }
        };
        let distributed = match &mut kind {
            Kind::Postgres(conn) => distributed::is_distributed(conn)?,
            Kind::Sqlite(_) => false,
        };
        let session = if self.role == Role::Reader { self.watched(&mut kind)? } else { None };
        let keys = Arc::clone(&self.keys);
        let clock = self.clock.clone();
        Ok(Conn { db: Db { kind }, now: clock.now(), keys, distributed, clock, broken: false, session, replayed: 0 })
    }

    /// A reader ends what nobody waits for.
    fn watched(&self, kind: &mut Kind) -> Result<Option<Session>> {
        match kind {
            Kind::Sqlite(conn) => {
                conn.set_instrumentation(Watch);
                Ok(None)
            }
            Kind::Postgres(conn) => {
                let pid = select(diesel::dsl::sql::<Integer>("pg_backend_pid()")).get_result(conn)?;
                conn.set_instrumentation(Watch);
                Ok(Some(Session { url: self.url.as_str().into(), pid }))
            }
        }
    }
}

/// Opens either database for migration, without a pool.
pub(super) fn open_bare(url: &str) -> Result<Kind> {
    match Backend::of_url(url) {
        Some(Backend::Sqlite) => open_sqlite(url, Role::Writer).map(Kind::Sqlite),
        Some(Backend::Postgres) => PgConnection::establish(url).map(Kind::Postgres).map_err(|error| unreachable(url, &error)),
        None => Err(Error::invalid("/database_url", "scheme", "expected sqlite:// or postgres://")),
    }
}

fn unreachable(url: &str, error: &diesel::ConnectionError) -> Error {
    Error::Unavailable(without_password(url, &error.to_string()))
}

/// What the database says about a URL that it cannot read may hold the password in it.
pub(super) fn without_password(url: &str, text: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let login = rest.rsplit_once('@').and_then(|(login, _)| login.split_once(':')).map(|(_, password)| password);
    let options = rest.split_once('?').map_or("", |(_, options)| options).split('&');
    let passwords = login.into_iter().chain(options.filter_map(|option| option.strip_prefix("password=")));
    passwords.filter(|password| !password.is_empty()).fold(text.to_owned(), |text, password| text.replace(password, "…"))
}

/// The file of an SQLite database.
fn path_of(url: &str) -> &str {
    url.strip_prefix("sqlite://").unwrap_or(url)
}

fn open_sqlite(url: &str, role: Role) -> Result<SqliteConnection> {
    let mut conn = SqliteConnection::establish(path_of(url)).map_err(|error| unreachable(url, &error))?;
    // FULL: an acknowledged write survives a power loss. No mmap: an I/O error would be a signal.
    conn.batch_execute(
        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;",
    )?;
    conn.batch_execute(match role {
        Role::Reader => "PRAGMA cache_size = -16384; PRAGMA query_only = ON;",
        Role::Writer => "PRAGMA cache_size = -65536;",
    })?;
    Ok(conn)
}

impl r2d2::ManageConnection for Manager {
    type Connection = Conn;
    type Error = Error;

    fn connect(&self) -> Result<Conn> {
        self.open()
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<()> {
        conn.ping()
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        conn.broken || std::thread::panicking()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_told() {
        for (url, text) in [
            ("postgres://kehu:p4ss@host/kehu", "user kehu: p4ss is wrong"),
            ("postgres://kehu:p4ss%zz@host/kehu", "invalid token: p4ss%zz"),
            ("postgres://host/kehu?user=kehu&password=p4ss", "no p4ss"),
        ] {
            let said = without_password(url, text);
            assert!(said.contains('…') && !said.contains("p4ss"), "{said}");
        }
        assert_eq!(without_password("postgres://host/kehu", "no such host"), "no such host");
        assert_eq!(without_password("sqlite://kehu.db", "no such file"), "no such file");
    }
}
