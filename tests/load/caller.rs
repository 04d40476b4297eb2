//! Single calls over one connection: the next request leaves when the answer is there.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// An administrator's.
pub fn token() -> &'static str {
    static TOKEN: LazyLock<String> = LazyLock::new(|| crate::support::sign(json!({ "sub": "load", "roles": ["administrator"] })));
    &TOKEN
}

fn head(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", token())
}

/// The bytes of a GET.
pub fn get(path: &str) -> Vec<u8> {
    format!("{}\r\n", head("GET", path)).into_bytes()
}

/// The bytes of a POST.
pub fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head = head("POST", path);
    format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Length of the body at a path.
pub fn size(address: SocketAddr, path: &str) -> usize {
    exchange(&mut BufReader::new(TcpStream::connect(address).unwrap()), &get(path), &mut Vec::new())
}

/// Whether a GET of the path is answered with 200.
pub fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut line = String::new();
    stream.write_all(&get(path)).is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with("HTTP/1.1 200")
}

/// How long each of these requests takes, one after the other on one connection.
pub fn latencies(address: SocketAddr, requests: &[Vec<u8>]) -> Vec<Duration> {
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    stream.get_ref().set_nodelay(true).unwrap();
    let mut body = Vec::new();
    let mut time = |request: &Vec<u8>| {
        let started = Instant::now();
        exchange(&mut stream, request, &mut body);
        started.elapsed()
    };
    requests.iter().map(&mut time).collect()
}

/// Sends a request and reads the answer; the length of its body.
fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8], body: &mut Vec<u8>) -> usize {
    stream.get_mut().write_all(request).unwrap();
    let (mut line, mut length, mut status) = (String::new(), 0, String::new());
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the server hung up");
        if status.is_empty() {
            status.clone_from(&line);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    body.resize(length, 0);
    stream.read_exact(body).unwrap();
    assert!(status.starts_with("HTTP/1.1 20"), "{status}{}", String::from_utf8_lossy(body));
    length
}
