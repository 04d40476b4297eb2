//! A receiver of webhooks: a small server that answers as a test says and keeps what it got; and how it knows the sender, after
//! Standard Webhooks.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use sha2::Sha256;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Received {
    /// The event in it.
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether it is from whoever has the secret, and fresh.
    pub fn verifies(&self, secret: &str, now: i64) -> bool {
        let header = |name: &str| self.headers.get(name).map_or("", String::as_str);
        verifies(secret, header("webhook-id"), header("webhook-timestamp"), &self.body, header("webhook-signature"), now)
    }
}

/// What the standard asks of receivers: five minutes of tolerance, one signature of several that fits.
pub fn verifies(secret: &str, id: &str, timestamp: &str, body: &str, signatures: &str, now: i64) -> bool {
    let Ok(at) = timestamp.parse::<i64>() else { return false };
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let fits = |signature: &str| {
        let Some(bytes) = signature.strip_prefix("v1,").and_then(|text| BASE64.decode(text).ok()) else { return false };
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{at}.{body}").as_bytes());
        mac.verify_slice(&bytes).is_ok()
    };
    (now - at).abs() <= 300 && signatures.split(' ').any(fits)
}

type Script = dyn Fn(&Received) -> String + Send + Sync;

/// A receiver that listens until it is dropped.
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Arc<Script>>>,
    closed: Arc<AtomicBool>,
}

/// An answer with a status and no body.
pub fn status(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

impl Receiver {
    /// Takes everything.
    pub fn start() -> Self {
        Self::listen(None)
    }

    /// As [`Receiver::start`], over TLS, with the certificate of the tests for `localhost`.
    pub fn secure() -> Self {
        let key = |name: &str| format!("{}/support/keys/{name}", env!("CARGO_MANIFEST_DIR"));
        let certificate = CertificateDer::from_pem_file(key("localhost.pem")).unwrap();
        let own = PrivateKeyDer::from_pem_file(key("localhost.key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], own)
            .unwrap();
        Self::listen(Some(Arc::new(config)))
    }

    fn listen(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Mutex<Arc<Script>>> = Arc::new(Mutex::new(Arc::new(|_: &Received| status(204))));
        let receiver = Self { address, received: Arc::default(), script, closed: Arc::default() };
        let (received, script, closed) =
            (Arc::clone(&receiver.received), Arc::clone(&receiver.script), Arc::clone(&receiver.closed));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let (received, script, tls) = (Arc::clone(&received), Arc::clone(&script), tls.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    drop(match tls {
                        None => take(stream, &received, &script),
                        Some(tls) => take(StreamOwned::new(ServerConnection::new(tls).unwrap(), stream), &received, &script),
                    });
                });
            }
        });
        receiver
    }

    /// Answers from now on as `script` says, which is given what came: the whole answer, head and all.
    pub fn answer(&self, script: impl Fn(&Received) -> String + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What came so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// What came so far, which is forgotten.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.received.lock().unwrap())
    }

    /// Types of the events that came so far.
    pub fn types(&self) -> Vec<String> {
        self.received().iter().map(|one| one.event()["type"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until so many have come.
    #[track_caller]
    pub fn wait(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            assert!(Instant::now() < deadline, "{} of {count} have come", received.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn take(stream: impl Read + Write, received: &Mutex<Vec<Received>>, script: &Mutex<Arc<Script>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(path) = line.split(' ').nth(1).map(ToOwned::to_owned) else { return Ok(()) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let one = Received { path, headers, body: String::from_utf8(body).unwrap() };
    received.lock().unwrap().push(one.clone());
    let script = Arc::clone(&script.lock().unwrap());
    let stream = reader.get_mut();
    stream.write_all(script(&one).as_bytes())?;
    stream.flush()
}
