//! Programs of others that make load or are the limit: wrk (closed loop), oha (open loop), pgbench.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long pgbench's clients may prepare statements before what they do counts.
const PREPARING: Duration = Duration::from_secs(5);

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Answers a second.
    pub rate: f64,
    /// Milliseconds that half of the answers took at most.
    pub p50: f64,
    /// Milliseconds that 99 of 100 answers took at most.
    pub p99: f64,
    /// Microseconds of the server's processor time (user and system) an answer.
    pub server_micros: f64,
    /// The same of the database's processes; 0 where it is part of the server.
    pub database_micros: f64,
}

impl Load {
    /// For people.
    pub fn words(&self) -> String {
        format!(
            "p50 {:.2} ms, p99 {:.2} ms, processor {:.0} us server + {:.0} us database",
            self.p50, self.p99, self.server_micros, self.database_micros
        )
    }
}

/// Whose processor time counts.
#[derive(Clone, Copy)]
pub struct Watched {
    /// The server.
    pub server: u32,
    /// The first process of PostgreSQL, if it has one.
    pub database: Option<u32>,
}

/// One method to many paths, with the same headers and bodies that a script in Lua makes of a counter.
pub struct Requests<'a> {
    /// The paths, taken in turn.
    pub paths: &'a [String],
    /// `GET` or `POST`.
    pub method: &'a str,
    /// An expression in Lua that gives the body, of the number `n` of the request; `nil` for none.
    pub body: &'a str,
}

/// Calls with so many connections for so long, each next request when the answer is there.
pub fn wrk(address: SocketAddr, watched: Watched, connections: usize, time: Duration, requests: &Requests<'_>) -> Load {
    let folder = tempfile::tempdir().unwrap();
    let (script, paths) = (folder.path().join("load.lua"), folder.path().join("paths"));
    std::fs::write(&paths, requests.paths.join("\n")).unwrap();
    let text = SCRIPT
        .replace("@PATHS", &paths.display().to_string())
        .replace("@METHOD", requests.method)
        .replace("@TOKEN", super::caller::token())
        .replace("@BODY", requests.body);
    std::fs::write(&script, text).unwrap();
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c", &connections.to_string(), "-d", &format!("{}s", time.as_secs()), "--timeout", "30s", "-s"]);
    command.arg(&script).arg(format!("http://{address}"));
    let (output, times) = timed(&mut command, watched);
    let line = output.lines().find_map(|line| line.strip_prefix("RESULT ")).unwrap_or_else(|| panic!("{output}"));
    let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let [count, micros, errors, p50, p99] = numbers.as_slice() else { panic!("{line}") };
    // A few may be turned away where so many callers are about as much as the server takes; they are not counted.
    assert!(*errors * 100.0 <= *count, "answers other than 2xx: {output}");
    Load {
        rate: (count - errors) / micros * 1e6,
        p50: p50 / 1e3,
        p99: p99 / 1e3,
        server_micros: times.0 / count,
        database_micros: times.1 / count,
    }
}

// `request` runs in the thread, `done` at the end; a body differs from request to request and from run to run.
const SCRIPT: &str = r#"
local paths = {}
for line in io.lines("@PATHS") do paths[#paths + 1] = line end
local run = os.time()
local n = 0
local headers = { ["Authorization"] = "Bearer @TOKEN", ["Content-Type"] = "application/json" }
request = function()
  n = n + 1
  return wrk.format("@METHOD", paths[n % #paths + 1], headers, @BODY)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"#;

/// Calls at a rate of its own, whether answers come or not; what a request waited for its turn counts as its time.
/// Milliseconds that half and 99 of 100 answers took at most.
pub fn oha(address: SocketAddr, connections: usize, time: Duration, rate: f64, paths: &[String]) -> (f64, f64) {
    let report = open_loop(address, connections, time, rate, paths, &["--latency-correction"]);
    let codes = report["statusCodeDistribution"].as_object().unwrap();
    assert!(codes.keys().all(|code| code == "200"), "{codes:?}");
    let at = |name: &str| report["latencyPercentiles"][name].as_f64().unwrap() * 1e3;
    (at("p50"), at("p99"))
}

/// As [`oha`] at a rate that is too much: milliseconds that 99 of 100 accepted requests took at most, and the part of all that
/// was accepted. The others have to be refused by 503.
pub fn crowd(address: SocketAddr, connections: usize, time: Duration, rate: f64, paths: &[String]) -> (f64, f64) {
    let report = open_loop(address, connections, time, rate, paths, &["--stats-success-breakdown"]);
    let codes = report["statusCodeDistribution"].as_object().unwrap();
    assert!(codes.keys().all(|code| code == "200" || code == "503"), "{codes:?}");
    let count = |code: &str| codes.get(code).and_then(Value::as_f64).unwrap_or(0.0);
    let p99 = report["latencyPercentilesSuccessful"]["p99"].as_f64().unwrap() * 1e3;
    (p99, count("200") / (count("200") + count("503")))
}

fn open_loop(address: SocketAddr, connections: usize, time: Duration, rate: f64, paths: &[String], more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("urls");
    let urls: Vec<String> = paths.iter().map(|path| format!("http://{address}{path}")).collect();
    std::fs::write(&file, urls.join("\n")).unwrap();
    let mut command = Command::new(folder_of_tools().join("oha"));
    command.args(["--no-tui", "--output-format", "json", "--disable-compression", "--urls-from-file"]).args(more);
    command.args(["-q", &format!("{rate:.0}"), "-c", &connections.to_string(), "-z", &format!("{}s", time.as_secs())]);
    command.args(["-H", &format!("Authorization: Bearer {}", super::caller::token())]).arg(&file);
    let output = finished(&mut command);
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}"))
}

/// Runs the scripts in turn by chance, prepared, so many clients at once; runs of a script a second, once each client has
/// prepared its statements.
pub fn pgbench(url: &str, clients: usize, time: Duration, scripts: &[String]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("pgbench");
    command.args(["-n", "-M", "prepared", "-D", "n=0", "-j", "2", "-c", &clients.to_string(), "-P", "1"]);
    command.args(["-T", &(PREPARING + time).as_secs().to_string()]);
    for (number, script) in scripts.iter().enumerate() {
        let path = folder.path().join(format!("{number}.sql"));
        std::fs::write(&path, script).unwrap();
        command.arg("-f").arg(path);
    }
    let output = ended(command.arg(url));
    let told = String::from_utf8(output.stderr).unwrap();
    // `progress: 1.0 s, 5912.9 tps, lat …`, once a second.
    let rates = told.lines().filter_map(|line| {
        let (second, rest) = line.strip_prefix("progress: ")?.split_once(" s, ")?;
        let after = second.parse::<f64>().unwrap() > PREPARING.as_secs_f64() + 0.5;
        after.then(|| rest.split_once(" tps").unwrap().0.parse().unwrap())
    });
    let rates: Vec<f64> = rates.collect();
    assert!(!rates.is_empty(), "{told}");
    rates.iter().sum::<f64>() / f64::from(u32::try_from(rates.len()).unwrap())
}

/// Where programs are that `tests/load/setup` has built.
fn folder_of_tools() -> PathBuf {
    super::banks::folder().join("tools/bin")
}

/// What it wrote, and the microseconds of processor time meanwhile.
fn timed(command: &mut Command, watched: Watched) -> (String, (f64, f64)) {
    let now = || (processor_time(watched.server), watched.database.map_or(Duration::ZERO, family_time));
    let before = now();
    let output = finished(command);
    let after = now();
    (output, ((after.0 - before.0).as_secs_f64() * 1e6, after.1.saturating_sub(before.1).as_secs_f64() * 1e6))
}

fn finished(command: &mut Command) -> String {
    String::from_utf8(ended(command).stdout).unwrap()
}

fn ended(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// User and system time of a process.
fn processor_time(process: u32) -> Duration {
    ticks(&Path::new("/proc").join(process.to_string()), 2)
}

/// The time of a process, of its children that ended and of those that live.
fn family_time(process: u32) -> Duration {
    let id = process.to_string();
    let living = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(|path| {
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, fields)| fields.split_whitespace().nth(1) == Some(&id))
    });
    living.map(|path| ticks(&path, 2)).sum::<Duration>() + ticks(&Path::new("/proc").join(&id), 4)
}

/// The first so many of: user, system, user of ended children, system of ended children. Linux counts a hundred ticks
/// a second. A process that is gone has none.
fn ticks(process: &Path, fields: usize) -> Duration {
    let text = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces; what follows it is numbers.
    let numbers = text.rsplit_once(')').map_or("", |(_, numbers)| numbers);
    let ticks: u64 = numbers.split_whitespace().skip(11).take(fields).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Kibibytes of memory that a process holds now and held at most, as its status names them.
pub fn memory(process: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    };
    (of("VmRSS"), of("VmHWM"))
}

/// Kibibytes that a process held at most so far; nothing once it has ended.
pub fn most_memory(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Waits until `ready`, at most this long; the time it took.
pub fn until(limit: Duration, mut ready: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < limit, "not ready in time");
        std::thread::sleep(Duration::from_millis(1));
    }
    started.elapsed()
}
