//! The `kehu` program as a child process, and callers that reach it over the network.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::SECRET;

/// The program on this database, told nothing by the environment of the tests.
pub fn kehu(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kehu-under-test"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KEHU_") {
            command.env_remove(name);
        }
    }
    command.env("DATABASE_URL", url).env("KEHU_JWT_SECRET", SECRET).env("RUST_LOG", "warn");
    // A request that died with its server may be repeated soon.
    command.env("KEHU_REQUEST_TIMEOUT", "1");
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(url: &str, arguments: &[&str]) -> Output {
    kehu(url, arguments).output().unwrap()
}

/// What the program writes when all goes well.
#[track_caller]
pub fn text(url: &str, arguments: &[&str]) -> String {
    let output = run(url, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An address that nobody listens on.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A server; it is killed when the test lets go of it.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub fn start(url: &str, address: SocketAddr, options: &[&str]) -> Self {
        let listen = address.to_string();
        let common = ["serve", "--listen", &listen];
        let unlimited: &[&str] = if options.contains(&"--rate-limit") { &[] } else { &["--rate-limit", "0/1"] };
        Self::of(kehu(url, &[&common, unlimited, options].concat()), address)
    }

    /// Starts this command, and waits until it listens there.
    pub fn of(mut command: Command, address: SocketAddr) -> Self {
        let server = Self { child: command.spawn().unwrap(), address };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// What its addresses begin with.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a power loss would: at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        assert!(Command::new("kill").arg("-TERM").arg(self.id().to_string()).status().unwrap().success());
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn agent() -> ureq::Agent {
    let timeout = Some(Duration::from_secs(10));
    // A merged customer's address leads to the one of which it is part now.
    let same = ureq::config::RedirectAuthHeaders::SameHost;
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(timeout).redirect_auth_headers(same).build().into()
}

/// A caller over the network.
pub struct Caller {
    agent: ureq::Agent,
    base: String,
    authorization: String,
}

impl Caller {
    /// An administrator at `base`, such as `http://127.0.0.1:8080`.
    pub fn administrator(base: &str) -> Self {
        Self::with(base, "admin", agent())
    }

    /// One with this name.
    pub fn named(base: &str, subject: &str) -> Self {
        Self::with(base, subject, agent())
    }

    /// An administrator with this name and an agent of the test's own.
    pub fn with(base: &str, subject: &str, agent: ureq::Agent) -> Self {
        let authorization = format!("Bearer {}", super::sign(serde_json::json!({ "sub": subject, "roles": ["administrator"] })));
        Self { agent, base: base.to_owned(), authorization }
    }

    /// Whoever has this token.
    pub fn bearing(base: &str, token: &str) -> Self {
        Self { agent: agent(), base: base.to_owned(), authorization: format!("Bearer {token}") }
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> Result<(u16, Value), ureq::Error> {
        answer(self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.authorization).call()?)
    }

    /// Status and body of a POST under a key.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<(u16, Value), ureq::Error> {
        let headers = [("idempotency-key", key), ("content-type", "application/json")];
        self.send(path, &headers, &body.to_string()).map(|(status, _, body)| (status, body))
    }

    /// Status, headers and body of a POST with these headers.
    pub fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<(u16, ureq::http::HeaderMap, Value), ureq::Error> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("Authorization", &self.authorization);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send(body)?;
        let headers = response.headers().clone();
        answer(response).map(|(status, body)| (status, headers, body))
    }

    /// Status and body of a PATCH of this version.
    pub fn patch(&self, path: &str, version: i64, body: &Value) -> Result<(u16, Value), ureq::Error> {
        let request = self.agent.patch(format!("{}{path}", self.base)).header("Authorization", &self.authorization);
        let request = request.header("If-Match", format!("\"{version}\"")).header("content-type", "application/json");
        answer(request.send(body.to_string())?)
    }

    /// Status and body of a GET with one more header.
    pub fn get_with(&self, path: &str, name: &str, value: &str) -> Result<(u16, Value), ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("Authorization", &self.authorization);
        answer(request.header(name, value).call()?)
    }

    /// Sends a POST under its key again and again until the server says that it was carried out.
    pub fn insist(&self, path: &str, key: &str, body: &Value) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let outcome = self.post(path, key, body);
            match &outcome {
                Ok((201, _)) => return,
                Ok((409, problem)) if problem["code"] == "idempotency_answer_lost" => return,
                Ok((409, problem)) if problem["code"] == "idempotency_key_running" => {}
                Ok((503, _)) | Err(_) => {}
                Ok((status, problem)) => panic!("{status}: {problem}"),
            }
            assert!(Instant::now() < deadline, "{key}: {outcome:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<(u16, Value), ureq::Error> {
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::String(text))))
}
