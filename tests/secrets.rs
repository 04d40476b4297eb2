//! What is never written anywhere: the real program at its most talkative, and its whole output.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{SECRET, postgres, process, sign};

const DATA_KEY: &str = "hQpWQ4yQ0bSNjQ9mRk3rB2m7n5o1cW8tXvYzA0CdEf4=";
const INDEX_KEY: &str = "Zx3nLk0pQ7sVb2Rt9YwUe6HgJd1MaCf8oIiKzXcNlP0=";
const METRICS: &str = "planted-metrics-token-9Xq2";
const PASSWORD: &str = "planted-database-password-7kM3";

/// The URL of a database with a password in it, which the database does not ask for.
fn with_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (authority, tail) = rest.split_once('/').unwrap();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let user = authority.rsplit_once('@').map_or("postgres", |(login, _)| login.split(':').next().unwrap());
    format!("{scheme}://{user}:{PASSWORD}@{host}/{tail}")
}

/// Sends a request and hands back the whole answer.
fn send(address: std::net::SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let request = format!("{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    drop(stream.read_to_string(&mut answer));
    answer
}

fn json_of(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1.trim()).unwrap_or_else(|_| panic!("{answer}"))
}

fn on(url: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = process::kehu(url, arguments);
    command
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "1")
        .env("KEHU_DATA_KEYS", format!("1:{DATA_KEY}"))
        .env("KEHU_INDEX_KEY", INDEX_KEY)
        .env("KEHU_METRICS_TOKEN", METRICS)
        .env("KEHU_REQUEST_TIMEOUT", "30");
    command
}

fn no_secret_is_ever_written(url: &str, format: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("output");
    let output = File::create(&path).unwrap();
    let pipe = || Stdio::from(output.try_clone().unwrap());
    let run = |arguments: &[&str]| {
        let status = on(url, arguments).stdout(pipe()).stderr(pipe()).status().unwrap();
        assert!(status.success() || arguments[0] == "doctor", "{arguments:?}");
    };
    run(&["migrate"]);
    run(&["doctor", "--production"]);
    let address = process::free_address();
    let listen = address.to_string();
    let data = directory.path().join("data").display().to_string();
    let serve = ["serve", "--listen", &listen, "--data-dir", &data, "--log-format", format];
    let mut child = on(url, &serve).stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let planted = requests(address);
    assert!(std::process::Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    child.wait().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("create_customer") && text.contains("listening on"), "nothing is logged at all: {text}");
    let known = [SECRET, DATA_KEY, INDEX_KEY, METRICS, PASSWORD].map(ToOwned::to_owned);
    for secret in known.iter().chain(&planted) {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert!(line.is_none(), "{secret} stands in the output: {line:?}");
    }
}

/// Calls with every kind of secret and of personal data, well and wrongly; what must stand nowhere.
fn requests(address: std::net::SocketAddr) -> Vec<String> {
    let token = sign(json!({ "sub": "admin", "roles": ["administrator"] }));
    let head = |line: &str| format!("{line} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json");
    let (phone, number, name) = ("13912345678", "11010519491231002X", "Quixotina Vandermeulen");
    let customer = json!({ "kind": "personal", "personal": { "full_name": name },
        "identities": [{ "type": "resident_id", "number": number }], "contact_points": [{ "kind": "phone", "value": phone }] });
    let made = send(address, &head("POST /v1/customers"), &customer.to_string());
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let client = json!({ "name": "A program", "prefix": "p", "roles": ["analyst"], "scopes": ["branch.read"] });
    let client = json_of(&send(address, &head("POST /v1/clients"), &client.to_string()));
    let (id, secret) = (client["client"]["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let form = |secret: &str| {
        let head = "POST /v1/oauth/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
        send(address, head, &format!("grant_type=client_credentials&client_id={id}&client_secret={secret}"))
    };
    let issued = json_of(&form(secret))["access_token"].as_str().unwrap().to_owned();
    form("planted-wrong-secret-5tYb");
    let basic = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{id}:{secret}"));
    let by_header = format!(
        "POST /v1/oauth/token HTTP/1.1\r\nAuthorization: Basic {basic}\r\nContent-Type: application/x-www-form-urlencoded"
    );
    send(address, &by_header, "grant_type=client_credentials");
    // Wrong in every way in which something of the request may be told.
    for (line, body) in [
        (format!("GET /v1/customers?q={phone}"), String::new()),
        (format!("GET /v1/customers?{phone}=1"), String::new()),
        (format!("GET /v1/nothing/{number}"), String::new()),
        ("POST /v1/customers/lookup".into(), json!({ "phone": phone }).to_string()),
        ("POST /v1/customers/lookup".into(), json!({ "identity_number": number }).to_string()),
        ("POST /v1/customers/lookup".into(), json!({ number: "x" }).to_string()),
        ("POST /v1/customers".into(), format!("{{\"kind\":\"{number}\"")),
        ("POST /v1/customers".into(), customer.to_string()),
    ] {
        send(address, &head(&line), &body);
    }
    let stranger = "planted.bearer.token-8RkX";
    send(address, &format!("GET /v1/me HTTP/1.1\r\nAuthorization: Bearer {stranger}"), "");
    send(address, &format!("GET /metrics HTTP/1.1\r\nAuthorization: Bearer {METRICS}"), "");
    let issued_line = format!("GET /v1/branches HTTP/1.1\r\nAuthorization: Bearer {issued}");
    assert!(send(address, &issued_line, "").starts_with("HTTP/1.1 200"));
    [token.as_str(), phone, number, name, secret, "planted-wrong-secret-5tYb", &basic, stranger, &issued]
        .map(ToOwned::to_owned)
        .to_vec()
}

#[test]
fn on_sqlite_in_text() {
    let directory = tempfile::tempdir().unwrap();
    no_secret_is_ever_written(&format!("sqlite://{}/kehu.db", directory.path().display()), "text");
}

#[test]
fn on_postgres_in_json() {
    no_secret_is_ever_written(&with_password(&postgres::empty_database()), "json");
}

/// A database that cannot be reached, or whose URL is wrong, is complained about without its password.
#[test]
fn a_wrong_database_url_is_not_shown() {
    let free = process::free_address();
    for url in [
        format!("postgres://kehu:{PASSWORD}@{free}/kehu"),
        format!("postgres://kehu:{PASSWORD}@{free}/kehu?nonsense=1"),
        format!("postgres://kehu:{PASSWORD}@not a host/kehu"),
        format!("postgres://kehu:{PASSWORD}%zz@{free}/kehu"),
        format!("mysql://kehu:{PASSWORD}@{free}/kehu"),
    ] {
        for command in [&["migrate"][..], &["doctor", "--production"], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = on(&url, command).output().unwrap();
            assert!(!output.status.success(), "{command:?} on {url}");
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(!text.contains(PASSWORD), "{command:?} on {url} says {text}");
        }
    }
}

/// What `kehu doctor` refuses where others come in it only warns of on the own machine.
#[test]
fn the_doctor_refuses_unsafe_settings() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/kehu.db", directory.path().display());
    assert!(process::run(&url, &["migrate"]).status.success());
    let doctor = |arguments: &[&str]| {
        let output = process::run(&url, &[&["doctor"], arguments].concat());
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (well, text) = doctor(&[]);
    assert!(well && text.contains("warn   settings    development_keys"), "{text}");
    for (arguments, code) in [
        (&["--production"][..], "development_keys"),
        (&["--listen", "0.0.0.0:8080"], "plain_http"),
        (&["--production", "--cors-origins", "*"], "wide_cors"),
        (&["--production", "--rate-limit", "0/1"], "no_rate_limit"),
        (&["--production", "--metrics-token", "short"], "weak_metrics_token"),
    ] {
        let (well, text) = doctor(arguments);
        assert!(!well && text.contains(&format!("FAULT  settings    {code}")), "{arguments:?}: {text}");
    }
}
