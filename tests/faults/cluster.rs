//! A PostgreSQL cluster of one world, durable, that can be stopped, started and asked about its connections.

use std::path::{Path, PathBuf};

use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};

use crate::support::postgres;

/// The cluster.
pub struct Cluster {
    directory: PathBuf,
    pattern: String,
}

impl Cluster {
    /// Starts one below this folder, with an empty database.
    pub fn start(folder: &Path) -> Self {
        let directory = folder.join("postgres");
        let options = "-c max_connections=200 -c shared_buffers=128MB -c min_wal_size=32MB -c max_wal_size=64MB";
        let pattern = postgres::kept(&directory, options);
        let cluster = Self { directory, pattern };
        assert!(cluster.ask("CREATE DATABASE kehu"));
        cluster
    }

    /// The URL of Kehu's database.
    pub fn url(&self) -> String {
        self.pattern.replace("{}", "kehu")
    }

    /// Restarts the server: `fast` or `immediate`, as a crash would.
    pub fn restart(&self, how: &str) {
        postgres::control(&self.directory, &["-m", how, "restart"]);
    }

    /// Starts it if a fault ended it.
    pub fn revive(&self) {
        if !self.ask("SELECT 1") {
            postgres::control(&self.directory, &["restart"]);
        }
    }

    /// Runs a statement beside Kehu's database; whether it was carried out.
    pub fn ask(&self, statement: &str) -> bool {
        let conn = PgConnection::establish(&self.pattern.replace("{}", "postgres"));
        conn.is_ok_and(|mut conn| sql_query(statement).execute(&mut conn).is_ok())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        postgres::control(&self.directory, &["-m", "immediate", "stop"]);
    }
}
