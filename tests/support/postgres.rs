//! A throwaway PostgreSQL cluster, started once a test run from the installed binaries.
//!
//! `KEHU_TEST_POSTGRES_URL` names a running server instead (a role that may create databases). `KEHU_TEST_DISTRIBUTED=1` has
//! all tests run on the schema of a distributed database; `migrations/citus/README.md` says which fail then.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};
use kehu_kernel::store::migrate;

const TEMPLATE: &str = "kehu_template";

/// A fresh database with the present schema; its URL.
pub fn fresh_database() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let cluster = cluster();
    let name = format!("kehu_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
    execute(&cluster.url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {}", cluster.template));
    cluster.url(&name)
}

/// A fresh database with the plain schema of the migrations; its URL.
pub fn migrated_database() -> String {
    let url = empty_database();
    migrate::up(&url).unwrap();
    url
}

/// An empty database; its URL.
pub fn empty_database() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = format!("empty_{}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::SeqCst));
    execute(&cluster().url("postgres"), &format!("CREATE DATABASE {name}"));
    cluster().url(&name)
}

struct Cluster {
    /// URL with `{}` in place of the database.
    pattern: String,
    template: String,
}

impl Cluster {
    fn url(&self, database: &str) -> String {
        self.pattern.replace("{}", database)
    }
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let pattern = match std::env::var("KEHU_TEST_POSTGRES_URL") {
            Ok(url) => pattern_of(&url),
            Err(_) => start(),
        };
        let cluster = Cluster { pattern, template: format!("{TEMPLATE}_{}", std::process::id()) };
        execute(&cluster.url("postgres"), &format!("CREATE DATABASE {}", cluster.template));
        migrate::up(&cluster.url(&cluster.template)).unwrap();
        super::seed(&cluster.url(&cluster.template));
        if std::env::var_os("KEHU_TEST_DISTRIBUTED").is_some() {
            super::distributed::distribute(&cluster.url(&cluster.template));
        }
        cluster
    })
}

/// `postgres://host/name?options` with the name replaced by `{}`.
fn pattern_of(url: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, String::new()), |(base, query)| (base, format!("?{query}")));
    let (server, _) = base.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{{}}{query}")
}

fn execute(url: &str, sql: &str) {
    let mut conn = PgConnection::establish(url).unwrap();
    sql_query(sql).execute(&mut conn).unwrap();
}

fn start() -> String {
    let directory = tempfile::Builder::new().prefix("kehu-postgres-").tempdir().unwrap().keep();
    // No durability: the cluster dies with the run.
    let options = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=600 \
                   -c shared_buffers=64MB -c autovacuum=off";
    let url = start_in(&directory, &directory, options);
    watch(&directory, &format!("rm -rf {}", directory.display()));
    url
}

/// A cluster in a folder that is kept; it is made when it is not there. The URL has `{}` in place of the database.
pub fn kept(directory: &Path, options: &str) -> String {
    let sockets = tempfile::Builder::new().prefix("kehu-postgres-").tempdir().unwrap().keep();
    std::fs::create_dir_all(directory).unwrap();
    let url = start_in(directory, &sockets, options);
    watch(directory, &format!("rm -rf {}", sockets.display()));
    url
}

/// A cluster with a replica that lags; both end with this.
pub struct Replicated {
    /// An empty database at the cluster.
    pub primary: String,
    /// The same at the replica.
    pub replica: String,
    folder: tempfile::TempDir,
}

impl Replicated {
    /// The replica lags by so many seconds.
    pub fn start(lag: u32) -> Self {
        let open = std::fs::Permissions::from_mode(0o755);
        let folder = tempfile::Builder::new().prefix("kehu-postgres-").permissions(open).tempdir().unwrap();
        let options = "-c fsync=off -c shared_buffers=32MB";
        let primary = kept(&folder.path().join("primary"), options);
        execute(&primary.replace("{}", "postgres"), "CREATE DATABASE kehu");
        let copy = folder.path().join("replica");
        std::fs::create_dir(&copy).unwrap();
        let root = owner_of_process_is_root();
        if root {
            run(Command::new("chown").arg("postgres").arg(&copy));
        }
        let mut backup = unprivileged(&binaries().join("pg_basebackup"), root);
        let source = primary.replace("{}", "postgres");
        run(backup.args(["-R", "-X", "stream", "-c", "fast", "-d", &source, "-D"]).arg(copy.join("data")));
        let replica = kept(&copy, &format!("{options} -c recovery_min_apply_delay={lag}s"));
        Self { primary: primary.replace("{}", "kehu"), replica: replica.replace("{}", "kehu"), folder }
    }

    /// Ends the replica as a crash would.
    pub fn end_replica(&self) {
        control(&self.folder.path().join("replica"), &["-m", "immediate", "stop"]);
    }
}

impl Drop for Replicated {
    fn drop(&mut self) {
        for name in ["replica", "primary"] {
            let folder = self.folder.path().join(name);
            if folder.join("data/postmaster.pid").exists() {
                control(&folder, &["-m", "immediate", "stop"]);
            }
        }
    }
}

/// Has `pg_ctl` do this with the cluster in a folder.
pub fn control(directory: &Path, arguments: &[&str]) {
    let mut command = unprivileged(&binaries().join("pg_ctl"), owner_of_process_is_root());
    command.args(["-w", "-s", "-t", "120", "-l"]).arg(directory.join("log")).arg("-D").arg(directory.join("data"));
    run(command.args(arguments));
}

/// Starts a server on sockets only: no port to collide on.
fn start_in(directory: &Path, sockets: &Path, options: &str) -> String {
    let binaries = binaries();
    let data = directory.join("data");
    let root = owner_of_process_is_root();
    if root {
        // The server refuses to run as root.
        for folder in [directory, sockets] {
            run(Command::new("chown").arg("postgres").arg(folder));
        }
    }
    let as_server = |program: &str| unprivileged(&binaries.join(program), root);
    if !data.join("PG_VERSION").exists() {
        run(as_server("initdb").args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N", "-D"]).arg(&data));
    }
    let options = format!("-c listen_addresses='' -c unix_socket_directories={} {options}", sockets.display());
    run(as_server("pg_ctl")
        .args(["-w", "-s", "-l"])
        .arg(directory.join("log"))
        .arg("-o")
        .arg(options)
        .arg("-D")
        .arg(&data)
        .arg("start"));
    format!("postgres:///{{}}?host={}&user=postgres", sockets.display())
}

/// Stops the cluster and cleans up when this process is gone, however it ends.
fn watch(directory: &Path, cleaning: &str) {
    let script = format!(
        "while kill -0 {pid} 2>/dev/null; do sleep 1; done; {switch}{stop} -m fast -D {dir}/data stop; {cleaning}",
        pid = std::process::id(),
        switch = if owner_of_process_is_root() { "setpriv --reuid=postgres --regid=postgres --clear-groups " } else { "" },
        stop = binaries().join("pg_ctl").display(),
        dir = directory.display(),
    );
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", &script]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    #[expect(clippy::zombie_processes, reason = "the watch outlives this process on purpose")]
    shell.spawn().unwrap();
}

fn binaries() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    versions.sort();
    let newest = versions.pop().expect("PostgreSQL's server programs: apt-get install postgresql");
    newest.join("bin")
}

fn owner_of_process_is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.starts_with(b"0")
}

fn unprivileged(program: &Path, root: bool) -> Command {
    let mut command = if root { Command::new("setpriv") } else { Command::new(program) };
    if root {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    }
    command.current_dir("/");
    command
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).status().unwrap();
    assert!(output.success(), "{command:?}");
}
