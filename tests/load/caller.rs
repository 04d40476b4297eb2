//! A closed loop of callers, each on a connection of its own: the next request leaves when the answer is there.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// What came out.
pub struct Measured {
    /// Requests a second.
    pub rate: f64,
    /// Microseconds of the server's processor time (user and system) a request.
    pub processor_micros: f64,
}

fn head(method: &str, path: &str) -> String {
    static TOKEN: LazyLock<String> = LazyLock::new(|| crate::support::sign(json!({ "sub": "load", "roles": ["administrator"] })));
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", *TOKEN)
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

/// Calls with so many connections for so long.
pub fn measure(
    address: SocketAddr,
    process: u32,
    connections: usize,
    time: Duration,
    request: &(dyn Fn(usize) -> Vec<u8> + Sync),
) -> Measured {
    let count = AtomicUsize::new(0);
    let (before, started) = (processor_time(process), Instant::now());
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
                stream.get_ref().set_nodelay(true).unwrap();
                let mut body = Vec::new();
                while started.elapsed() < time {
                    exchange(&mut stream, &request(count.fetch_add(1, Ordering::Relaxed)), &mut body);
                }
            });
        }
    });
    let (seconds, used) = (started.elapsed().as_secs_f64(), processor_time(process) - before);
    let count = f64::from(u32::try_from(count.into_inner()).unwrap());
    Measured { rate: count / seconds, processor_micros: used.as_secs_f64() * 1e6 / count }
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

/// User and system time of a process, of which Linux counts a hundred ticks a second.
fn processor_time(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name, in parentheses, may hold spaces; what follows it is numbers.
    let (_, fields) = text.rsplit_once(')').unwrap();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
