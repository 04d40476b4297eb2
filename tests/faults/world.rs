//! A bank with its database, its servers, its callers and jobs; and the judgement of what is left of it.

use std::{net::SocketAddr, os::unix::fs::PermissionsExt as _, sync::atomic::Ordering, time::Duration};

use serde_json::{Value, json};

use super::{Plan, cluster::Cluster, jobs::Jobs, until, work::Work};
use crate::support::process::{Caller, Server, free_address, kehu, text};

/// How many customers the contact points are recorded under.
const CUSTOMERS: usize = 40;

/// All that a fault can touch.
pub struct World {
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    /// How much is done.
    pub plan: Plan,
    /// Where the database is.
    pub url: String,
    /// PostgreSQL's cluster.
    pub cluster: Option<Cluster>,
    /// What the servers' environment has besides.
    pub environment: Vec<(String, String)>,
    /// Where the SQLite file and uploads lie.
    pub folder: Folder,
    /// The servers; a killed one is started again at its address.
    pub servers: Vec<Server>,
    work: Option<Work>,
    jobs: Option<Jobs>,
    /// How often the fault happened.
    pub happened: usize,
}

/// A folder of this world alone; a small disk when it has a size.
pub struct Folder {
    directory: tempfile::TempDir,
    mounted: bool,
}

impl Folder {
    /// On the disk of all. PostgreSQL, which is another user, has to pass through it.
    fn new() -> Self {
        let open = std::fs::Permissions::from_mode(0o755);
        let directory = tempfile::Builder::new().prefix("kehu-faults-").permissions(open).tempdir().unwrap();
        Self { directory, mounted: false }
    }

    /// Its path.
    pub fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Mounts a disk of so many mebibytes over it.
    pub fn shrink(&mut self, mebibytes: usize) {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=1777"), "tmpfs"]).arg(self.path());
        assert!(mount.status().unwrap().success(), "a small disk can be mounted by root only");
        self.mounted = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.mounted {
            drop(std::process::Command::new("umount").arg("-l").arg(self.directory.path()).status());
        }
    }
}

impl World {
    /// Nothing is started yet: the fault says what it needs.
    pub fn new(database: &'static str, plan: Plan) -> Self {
        Self {
            database,
            plan,
            url: String::new(),
            cluster: None,
            environment: Vec::new(),
            folder: Folder::new(),
            servers: Vec::new(),
            work: None,
            jobs: None,
            happened: 0,
        }
    }

    /// Makes the database, starts so many servers, and lets callers and jobs begin.
    pub fn begin(&mut self, servers: usize) {
        self.url = if self.database == "sqlite" {
            format!("sqlite://{}/kehu.db", self.folder.path().display())
        } else {
            let cluster = Cluster::start(self.folder.path());
            let url = cluster.url();
            self.cluster = Some(cluster);
            url
        };
        text(&self.url, &["migrate"]);
        for _ in 0..servers {
            let server = self.server(free_address());
            self.servers.push(server);
        }
        let bases = self.bases();
        let caller = Caller::administrator(&bases[0]);
        let customers: Vec<String> = (0..CUSTOMERS).map(|number| customer(&caller, &format!("Caller {number}"))).collect();
        self.jobs = Some(Jobs::start(&caller));
        self.work = Some(Work::start(bases, customers));
    }

    fn bases(&self) -> Vec<String> {
        self.servers.iter().map(|server| format!("http://{}", server.address)).collect()
    }

    /// A server on the database.
    fn server(&self, address: SocketAddr) -> Server {
        let listen = address.to_string();
        let data = self.folder.path().join("files").display().to_string();
        let mut command = kehu(&self.url, &["serve", "--listen", &listen, "--rate-limit", "0/1", "--data-dir", &data]);
        command.envs(self.environment.iter().cloned()).env("RUST_LOG", "off");
        Server::of(command, address)
    }

    /// Kills a server as a power loss would, and starts it again.
    pub fn kill(&mut self, number: usize) {
        let address = self.servers[number].address;
        self.servers[number].kill();
        self.servers[number] = self.server(address);
        self.happened += 1;
    }

    /// Whether as much is acknowledged, and as many faults happened, as planned.
    pub fn is_done(&self) -> bool {
        self.acknowledged() >= self.plan.writes && self.happened >= self.plan.times
    }

    /// How many writes were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.work.as_ref().map_or(0, |work| work.acknowledged.load(Ordering::SeqCst))
    }

    /// Ends the work and looks what is there.
    pub fn judge(mut self, fault: &'static str) -> Outcome {
        let bases = self.bases();
        let caller = Caller::administrator(&bases[0]);
        let back = std::time::Instant::now();
        until(Duration::from_secs(60), "ready again", || caller.get("/readyz").is_ok_and(|(status, _)| status == 200));
        let back = back.elapsed();
        let done = self.work.take().unwrap().finish();
        let mut complaints = self.jobs.take().unwrap().judge(&caller, &done.merges);
        let found = done.recorded(&caller);
        let lost = done.keys.iter().filter(|key| !found.contains_key(&format!("{key}@example.com"))).count();
        let doubled = found.values().filter(|times| **times > 1).count();
        self.servers.clear();
        let verified = text(&self.url, &["audit", "verify"]);
        if !verified.ends_with("the chain is whole\n") {
            complaints.push(verified);
        }
        Outcome {
            fault,
            database: self.database,
            happened: self.happened,
            acknowledged: done.keys.len(),
            lost,
            doubled,
            longest: done.longest,
            back,
            complaints,
        }
    }
}

/// Makes a customer; its path.
pub fn customer(caller: &Caller, name: &str) -> String {
    let body = json!({ "kind": "personal", "personal": { "full_name": name } });
    let (status, made) = caller.post("/v1/customers", &name.replace(' ', "-"), &body).unwrap();
    assert_eq!(status, 201, "{made}");
    format!("/v1/customers/{}", made["id"].as_str().unwrap())
}

/// All items of a list.
pub fn all(caller: &Caller, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, mut page) = caller.get(&format!("{path}?limit=200{cursor}")).unwrap();
        assert_eq!(status, 200, "{page}");
        items.append(page["items"].as_array_mut().unwrap());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// What came of one fault on one database.
pub struct Outcome {
    fault: &'static str,
    database: &'static str,
    happened: usize,
    acknowledged: usize,
    lost: usize,
    doubled: usize,
    longest: Duration,
    back: Duration,
    complaints: Vec<String>,
}

impl Outcome {
    /// Names the columns of [`Self::line`].
    pub const HEAD: &str = "fault              database  times  acknowledged  lost  doubled  longest wait  ready after  verdict";

    /// For people.
    pub fn line(&self) -> String {
        format!(
            "{:<18} {:<8} {:>6} {:>13} {:>5} {:>8} {:>11.1} s {:>10.1} s  {}",
            self.fault,
            self.database,
            self.happened,
            self.acknowledged,
            self.lost,
            self.doubled,
            self.longest.as_secs_f64(),
            self.back.as_secs_f64(),
            if self.is_well() { "well".to_owned() } else { format!("BROKEN {}", self.complaints.join("; ")) }
        )
    }

    /// Whether nothing is lost, doubled or half done.
    pub fn is_well(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.complaints.is_empty()
    }
}
