//! The program itself: killed, stopped, refused, and on the command line.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{
    postgres,
    process::{Caller, Server, free_address, run, text},
};

/// Makes two tests of each `fn name(url: &str)`, on an empty database.
macro_rules! both_empty_databases {
    ($($name:ident),+ $(,)?) => {
        $(mod $name {
            #[test]
            fn sqlite() {
                let directory = tempfile::tempdir().unwrap();
                super::$name(&format!("sqlite://{}/kehu.db", directory.path().display()));
            }

            #[test]
            fn postgres() {
                super::$name(&super::postgres::empty_database());
            }
        })+
    };
}

both_empty_databases!(
    what_was_acknowledged_survives_a_kill,
    a_running_request_ends_before_the_server_does,
    the_command_line_keeps_its_word
);

fn base(server: &Server) -> String {
    format!("http://{}", server.address)
}

/// Makes a customer, under whom contact points are recorded; the path of these.
fn contact_points(caller: &Caller) -> String {
    let body = json!({ "kind": "personal", "personal": { "full_name": "李娜" } });
    let (status, customer) = caller.post("/v1/customers", "the-customer", &body).unwrap();
    assert_eq!(status, 201, "{customer}");
    format!("/v1/customers/{}/contact-points", customer["id"].as_str().unwrap())
}

fn email(name: &str) -> Value {
    json!({ "kind": "email", "value": format!("{name}@example.com") })
}

/// How often each contact point stands there.
fn recorded(caller: &Caller, path: &str) -> BTreeMap<String, usize> {
    let (mut found, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let (status, page) = caller.get(&format!("{path}?limit=200{cursor}")).unwrap();
        assert_eq!(status, 200, "{page}");
        for point in page["items"].as_array().unwrap() {
            *found.entry(point["value"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn what_was_acknowledged_survives_a_kill(url: &str) {
    const CALLERS: usize = 6;
    const EACH: usize = 50;
    text(url, &["migrate"]);
    let address = free_address();
    let mut server = Server::start(url, address, &[]);
    let path = contact_points(&Caller::administrator(&base(&server)));
    thread::scope(|scope| {
        for number in 0..CALLERS {
            let (path, base) = (&path, base(&server));
            scope.spawn(move || {
                let caller = Caller::administrator(&base);
                for turn in 0..EACH {
                    let name = format!("c{number}-{turn}");
                    caller.insist(path, &name, &email(&name));
                    thread::sleep(Duration::from_millis(10));
                }
            });
        }
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(350));
            server.kill();
            server = Server::start(url, address, &[]);
        }
        // The server lives until the last caller has its answer.
    });
    let found = recorded(&Caller::administrator(&base(&server)), &path);
    assert_eq!(found.len(), CALLERS * EACH, "something acknowledged was lost");
    assert!(found.values().all(|times| *times == 1), "something was carried out twice: {found:?}");
    server.kill();
    let verified = text(url, &["audit", "verify"]);
    assert!(verified.ends_with("events, the chain is whole\n"), "{verified}");
}

fn a_running_request_ends_before_the_server_does(url: &str) {
    text(url, &["migrate"]);
    let mut server = Server::start(url, free_address(), &["--request-timeout", "10"]);
    // It listens before it works, and before it hears signals.
    assert_eq!(Caller::administrator(&base(&server)).get("/healthz").unwrap().0, 200);
    let mut stream = TcpStream::connect(server.address).unwrap();
    let body = json!({ "code": "HO", "name": "Head office", "level": "head_office" }).to_string();
    let token = crate::support::sign(json!({ "roles": ["administrator"] }));
    let head = format!(
        "POST /v1/branches HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (early, late) = body.split_at(10);
    stream.write_all(format!("{head}{early}").as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(200));
    server.terminate();
    thread::sleep(Duration::from_millis(300));
    assert!(TcpStream::connect(server.address).is_err(), "a server that stops lets nobody in");
    stream.write_all(late.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert!(server.wait().success());
    assert!(text(url, &["audit", "verify"]).starts_with("1 events"));
}

fn the_command_line_keeps_its_word(url: &str) {
    let unready = run(url, &["doctor"]);
    assert!(!unready.status.success());
    assert!(String::from_utf8_lossy(&unready.stdout).contains("FAULT  migrations"), "{unready:?}");
    let applied = text(url, &["migrate"]);
    assert!(applied.ends_with(" migrations applied\n") && !applied.starts_with("0 "), "{applied}");
    assert_eq!(text(url, &["migrate"]), "0 migrations applied\n");
    let well = text(url, &["doctor"]);
    assert!(!well.contains("FAULT") && well.lines().filter(|line| line.starts_with("ok ")).count() == 4, "{well}");
    assert_eq!(text(url, &["audit", "verify"]), "0 events, the chain is whole\n");

    let old = format!("1:{}", "A".repeat(43) + "=");
    let keys = format!("{old},2:{}=", "B".repeat(42) + "A");
    let index = "C".repeat(42) + "A=";
    let rotated = text(url, &["keys", "rotate", "--data-keys", &keys, "--index-key", &index]);
    assert!(rotated.lines().all(|line| line.ends_with(": 0 values sealed with key 2")) && !rotated.is_empty(), "{rotated}");
    assert!(!run(url, &["keys", "rotate", "--data-keys", &keys]).status.success(), "one key without the other");

    assert!(!run(url, &["migrate", "--down"]).status.success(), "nothing is deleted without a yes");
    assert!(text(url, &["migrate", "--down", "--yes"]).ends_with(" migrations taken back\n"));
    assert_eq!(text(url, &["migrate"]), applied);
}

#[test]
fn the_document_is_the_one_of_the_repository() {
    let printed = text("sqlite://nothing.db", &["openapi"]);
    let kept = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json")).unwrap();
    assert!(printed == kept, "run make openapi");
}

#[test]
fn a_printed_token_opens_the_door() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/kehu.db", directory.path().display());
    text(&url, &["migrate"]);
    let server = Server::start(&url, free_address(), &[]);
    let token = text(&url, &["token", "--role", "teller"]);
    let branches = format!("{}/v1/branches", base(&server));
    let answer = ureq::get(&branches).header("Authorization", format!("Bearer {}", token.trim_end())).call().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert!(matches!(ureq::get(&branches).call(), Err(ureq::Error::StatusCode(401))));
}

#[test]
fn development_secrets_are_not_shown_to_the_world() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/kehu.db", directory.path().display());
    text(&url, &["migrate"]);
    let listen = format!("0.0.0.0:{}", free_address().port());
    let refused = run(&url, &["serve", "--listen", &listen]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("development secrets"), "{refused:?}");
}

#[test]
fn tls_is_spoken_with_the_certificate_of_the_bank() {
    let keys = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/support/keys"));
    let (certificate, key) = (keys.join("localhost.pem"), keys.join("localhost.key.pem"));
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/kehu.db", directory.path().display());
    text(&url, &["migrate"]);
    let options = ["--tls-certificate", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = Server::start(&url, free_address(), &options);
    let root = ureq::tls::Certificate::from_pem(&std::fs::read(&certificate).unwrap()).unwrap();
    let roots = ureq::tls::RootCerts::new_with_certs(&[root]);
    let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
    let agent = ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).build().into();
    let https = Caller::with(&format!("https://localhost:{}", server.address.port()), "admin", agent);
    assert_eq!(https.get("/v1/branches").unwrap().0, 200);
    assert!(Caller::administrator(&base(&server)).get("/v1/branches").is_err(), "plain HTTP is not understood");
}

#[test]
fn two_servers_keep_one_order_of_events() {
    const EACH: usize = 60;
    let url = postgres::fresh_database();
    let servers = [(); 2].map(|()| Server::start(&url, free_address(), &[]));
    let path = contact_points(&Caller::administrator(&base(&servers[0])));
    thread::scope(|scope| {
        for (number, server) in servers.iter().cycle().take(6).enumerate() {
            let path = &path;
            scope.spawn(move || {
                let caller = Caller::administrator(&base(server));
                for turn in 0..EACH {
                    let name = format!("s{number}-{turn}");
                    caller.insist(path, &name, &email(&name));
                }
            });
        }
    });
    let seen = servers.each_ref().map(|server| recorded(&Caller::administrator(&base(server)), &path));
    assert_eq!(seen[0].len(), 6 * EACH);
    assert_eq!(seen[0], seen[1]);
    // The customer's own events, and one for each contact point.
    let verified = text(&url, &["audit", "verify"]);
    let count: usize = verified.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 6 * EACH && verified.ends_with("the chain is whole\n"), "{verified}");
}
