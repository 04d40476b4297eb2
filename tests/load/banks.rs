//! Demonstration banks on both databases, made once and kept under `target/bench`.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use diesel::{Connection, PgConnection, RunQueryDsl, connection::SimpleConnection, sql_query};
use kehu_kernel::{
    AnyId, Store,
    crypto::Keyring,
    store::{StoreOptions, sql},
    time::Clock,
};

use crate::support::{postgres, process::text};

/// A bank that is there.
pub struct Bank {
    /// `sqlite` or `postgres`.
    pub backend: &'static str,
    /// How many customers it was made with, duplicates not counted.
    pub customers: u64,
    /// Its database.
    pub url: String,
}

/// Where banks, programs and the report are kept.
pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Bank {
    /// The bank of this size; made when it is not there whole.
    pub fn of(backend: &'static str, customers: u64) -> Self {
        let url = if backend == "sqlite" { sqlite_url(customers) } else { postgres_url(&format!("bank_{customers}")) };
        let bank = Self { backend, customers, url };
        let whole = folder().join(format!("{backend}-{customers}.whole"));
        if !whole.exists() {
            println!("{backend}: a bank of {customers} customers is made");
            bank.empty();
            text(&bank.url, &["migrate"]);
            text(&bank.url, &["demo", "--customers", &customers.to_string()]);
            bank.settle();
            std::fs::write(whole, "").unwrap();
        }
        text(&bank.url, &["migrate"]);
        bank
    }

    fn empty(&self) {
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            for end in ["", "-wal", "-shm"] {
                drop(std::fs::remove_file(format!("{path}{end}")));
            }
        } else {
            make_database(&format!("bank_{}", self.customers));
        }
    }

    /// What a database does by itself in time: statistics, and what was written is where it stays.
    fn settle(&self) {
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            let mut conn = diesel::SqliteConnection::establish(path).unwrap();
            conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        } else {
            let mut conn = PgConnection::establish(&self.url).unwrap();
            // One by one: several statements at once would be a transaction, which VACUUM cannot be in.
            for statement in ["VACUUM ANALYZE", "CHECKPOINT"] {
                sql_query(statement).execute(&mut conn).unwrap();
            }
        }
    }

    /// Its database in this process.
    pub fn store(&self) -> Store {
        let options = StoreOptions { readers: 2, ..StoreOptions::new(&self.url) };
        Store::open(&options, Keyring::development().unwrap(), Clock::system()).unwrap()
    }

    /// So many of its active customers, spread over all of them.
    pub fn some_customers(&self, count: usize) -> Vec<String> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = sql::Uuid)]
            id: AnyId,
        }
        let all = self.store().read_blocking(|conn| {
            let query = sql_query("SELECT id FROM customers WHERE merged_into IS NULL ORDER BY id");
            Ok(query.load::<Row>(&mut conn.db)?)
        });
        let all = all.unwrap();
        let step = (all.len() / count).max(1);
        all.iter().step_by(step).take(count).map(|row| row.id.to_string()).collect()
    }

    /// The first process of its database, if it has one.
    pub fn process(&self) -> Option<u32> {
        (self.backend == "postgres").then(|| {
            let file = std::fs::read_to_string(cluster_folder().join("data/postmaster.pid")).unwrap();
            file.lines().next().unwrap().parse().unwrap()
        })
    }
}

fn sqlite_url(customers: u64) -> String {
    format!("sqlite://{}", folder().join(format!("bank-{customers}.db")).display())
}

fn cluster_folder() -> PathBuf {
    folder().join("postgres")
}

/// A database of the kept cluster, which runs with all its durability; its URL.
pub fn postgres_url(database: &str) -> String {
    static PATTERN: OnceLock<String> = OnceLock::new();
    let options = "-c max_connections=200 -c shared_buffers=1GB -c max_wal_size=4GB -c log_line_prefix=%p:";
    PATTERN.get_or_init(|| postgres::kept(&cluster_folder(), options)).replace("{}", database)
}

/// What PostgreSQL writes down.
pub fn log_of_postgres() -> PathBuf {
    cluster_folder().join("log")
}

/// An empty database of this name in the kept cluster; its URL.
pub fn make_database(name: &str) -> String {
    let mut conn = PgConnection::establish(&postgres_url("postgres")).unwrap();
    for statement in [format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        sql_query(statement).execute(&mut conn).unwrap();
    }
    postgres_url(name)
}
