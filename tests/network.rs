//! What arrives over the network from those who do not keep to HTTP: slowly, in masses, too large, or in two meanings.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use kehu_api::settings::{Rate, Settings};
use kehu_kernel::{store::Backend, time::Clock};
use serde_json::json;

use crate::{support::App, transport::serve};

async fn server(settings: Settings) -> (App, SocketAddr) {
    let app = App::on(Backend::Sqlite, Clock::system(), App::settings()).await;
    let address = serve(&app, settings);
    (app, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(15))).unwrap();
    stream
}

/// Everything that is answered until the server closes or has nothing more to say.
fn answers(stream: &mut TcpStream, patience: Duration) -> String {
    stream.set_read_timeout(Some(patience)).unwrap();
    let (mut text, mut part) = (Vec::new(), [0; 16_384]);
    while let Ok(length @ 1..) = stream.read(&mut part) {
        text.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What is answered to these bytes.
fn ask(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect(address);
    // The server may have refused before all was written.
    drop(stream.write_all(bytes));
    answers(&mut stream, Duration::from_secs(2))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[actix_web::test]
async fn who_sends_a_head_slowly_is_not_waited_for() {
    let (_app, address) = server(Settings { header_timeout: Duration::from_secs(1), ..App::settings() }).await;
    let start = Instant::now();
    let mut slow: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    }
    // Others are answered meanwhile.
    for _ in 0..20 {
        let begun = Instant::now();
        assert_eq!(status(&ask(address, ALIVE)), 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // A byte now and then buys no time.
    for stream in &mut slow {
        drop(stream.write_all(b"a"));
    }
    let answer = answers(&mut slow[0], Duration::from_secs(10));
    assert!(answer.is_empty() || status(&answer) == 408, "{answer}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    // Every one of them is closed by the server: nothing more can be read.
    let mut open = 0;
    for stream in slow.iter_mut().skip(1) {
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut part = [0; 512];
        let ended = loop {
            match stream.read(&mut part) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
            }
        };
        open += usize::from(!ended);
    }
    assert_eq!(open, 0);
}

#[actix_web::test]
async fn connections_are_limited_and_the_others_wait() {
    let (_app, address) =
        server(Settings { max_connections: 20, header_timeout: Duration::from_secs(1), ..App::settings() }).await;
    // More than are held, and nothing said on any of them.
    let idle: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
    let begun = Instant::now();
    let mut stream = connect(address);
    stream.write_all(ALIVE).unwrap();
    let answer = answers(&mut stream, Duration::from_secs(60));
    assert_eq!(status(&answer), 200, "{answer} after {:?}", begun.elapsed());
    drop(idle);
}

#[actix_web::test]
async fn heads_and_bodies_have_limits() {
    let (_app, address) = server(App::settings()).await;
    let head = |lines: &str| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let many: String = (0..200).map(|n| format!("X-Header-{n}: 1\r\n")).collect();
    for (what, lines) in [
        ("one large header", format!("X-Large: {}\r\n", "x".repeat(200_000))),
        ("many headers", many),
        ("a header without end", format!("X-Large: {}", "x".repeat(300_000))),
    ] {
        let answer = ask(address, head(&lines).as_bytes());
        assert!(matches!(status(&answer), 400 | 431) || answer.is_empty(), "{what}: {answer}");
        assert_ne!(status(&answer), 200, "{what}");
    }
    let long = ask(address, format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(200_000)).as_bytes());
    assert!(matches!(status(&long), 400 | 414 | 431) || long.is_empty(), "{long}");
    let token = crate::support::sign(json!({ "roles": ["administrator"] }));
    let post = |length: &str| {
        format!(
            "POST /v1/branches HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Type: application/json\r\n{length}\r\n"
        )
    };
    // Neither a stated length nor chunks without end are read to their end.
    let mut stated = post("Content-Length: 3000000\r\n").into_bytes();
    stated.extend(vec![b' '; 3_000_000]);
    assert_eq!(status(&ask(address, &stated)), 413);
    let mut chunked = post("Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..60 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.extend(vec![b' '; 0x10000]);
        chunked.extend_from_slice(b"\r\n");
    }
    assert_eq!(status(&ask(address, &chunked)), 413);
}

/// Where a proxy and the server may read the end of a request differently, the second reading finds nothing.
#[actix_web::test]
async fn a_request_has_one_meaning() {
    let (_app, address) = server(App::settings()).await;
    let hidden = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Hidden: 1\r\n\r\n";
    let length = hidden.len() + 5;
    let cases = [
        ("a length and chunks", format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n")),
        ("chunks and a length", format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n")),
        ("two lengths", format!("Content-Length: 0\r\nContent-Length: {length}\r\n")),
        ("two lengths in one", format!("Content-Length: 0, {length}\r\n")),
        ("a length with a sign", "Content-Length: +0\r\n".into()),
        ("a negative length", "Content-Length: -1\r\n".into()),
        ("a length in hexadecimal", "Content-Length: 0x0\r\n".into()),
        ("a length beyond numbers", "Content-Length: 99999999999999999999999999\r\n".into()),
        ("other chunks", "Transfer-Encoding: xchunked\r\n".into()),
        ("chunks twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".into()),
        ("chunks before identity", "Transfer-Encoding: chunked, identity\r\n".into()),
        ("chunks by a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n".into()),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n".into()),
        ("a folded header", "X-A: 1\r\n Transfer-Encoding: chunked\r\n".into()),
        ("a name with a null", "X\0A: 1\r\n".into()),
    ];
    for (what, lines) in cases {
        let request = format!("POST /healthz HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n0\r\n\r\n{hidden}");
        let answer = ask(address, request.as_bytes());
        // Either the whole is refused, or what follows the request is its body and no request.
        let served = answer.matches("HTTP/1.1 200").count();
        assert_eq!(served, 0, "{what}: {answer}");
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{what}: {answer}");
    }
    for (what, request) in [
        (
            "a chunk beyond numbers",
            "POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ),
        ("a chunk with a sign", "POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"),
        ("a version of the future", "GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n"),
        ("a method of no kind", "G@T /healthz HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03\r\n\r\n"),
        ("a null in the path", "GET /healthz\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let answer = ask(address, request.as_bytes());
        assert!(answer.is_empty() || (400..600).contains(&status(&answer)), "{what}: {answer}");
    }
    assert_eq!(status(&ask(address, ALIVE)), 200, "and the server lives");
}

/// Somebody who guesses secrets, and a client that comes in meanwhile.
#[actix_web::test]
async fn guessing_secrets_is_slowed_down() {
    let login_limit = Rate { requests: 4, seconds: 600 };
    let app = App::on(Backend::Sqlite, Clock::system(), Settings { login_limit, ..App::settings() }).await;
    let admin = app.role("administrator");
    let body = json!({ "name": "Voice response", "prefix": "ivr", "roles": ["administrator"], "scopes": ["branch.read"] });
    let made = admin.post("/v1/clients", body).await.expect(201);
    let (id, secret) = (made["client"]["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let login = async |id: &str, secret: &str| {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}").into_bytes();
        let media = "application/x-www-form-urlencoded";
        app.stranger().send(actix_web::http::Method::POST, "/v1/oauth/token", Some((media, form))).await
    };
    assert_eq!(login(id, secret).await.status, 200);
    // From the place where the client came in, its own name is not counted: whoever guesses there is answered 401 for ever.
    for _ in 0..8 {
        assert_eq!(login(id, "wrong").await.expect(401)["error"], "invalid_client");
    }
    assert_eq!(login(id, secret).await.status, 200);
    // Clients that are guessed share the attempts of their address; one was spent when the client came in first.
    let guesses: Vec<u16> = vec![
        login("ivr-1", "x").await.status,
        login("ivr-2", "x").await.status,
        login("ivr-3", "x").await.status,
        login("ivr-4", "x").await.status,
    ];
    assert_eq!(guesses, [401, 401, 401, 429]);
    let refused = login("ivr-5", "x").await;
    assert!(refused.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok_and(|wait| (1..=151).contains(&wait))));
    assert_eq!(refused.problem(429), "too_many_logins");
    assert_eq!(login(id, secret).await.status, 200, "nobody locks the client out");
}

/// A client that does not exist takes as long as one that does: medians of interleaved tries.
#[actix_web::test]
async fn an_unknown_client_takes_as_long_as_a_known_one() {
    use kehu_api::client::secret;
    let now = kehu_kernel::Instant::from_seconds(0);
    let (_, hash) = secret::fresh().unwrap();
    assert!(hash.starts_with("$argon2id$"));
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        assert!(!secret::is_of(None, "wrong", now));
        times.push(begun.elapsed());
    }
    times.sort();
    let begun = Instant::now();
    secret::fresh().unwrap();
    let one = begun.elapsed();
    // An unknown client costs two hashes, as a known one does.
    assert!(times[2] > one, "{times:?} against {one:?}");
}
