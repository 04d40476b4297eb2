//! The way out: one POST, to a judged address, without redirects, proxies and long answers.

use std::{io::Read, time::Duration};

use kehu_kernel::{Error, Result};
use ureq::{
    Agent,
    config::Config,
    http::Uri,
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use super::{address::Addresses, delivery::DeliveryFault};
use crate::settings::Settings;

/// How much of an answer is read so that the connection can be used again; nothing of it is kept.
const ANSWER: u64 = 16 * 1024;
const HEAD: usize = 32 * 1024;
/// How long looking up a name and connecting may take.
const REACH: Duration = Duration::from_secs(5);
/// Connections that are kept open to one receiver.
const IDLE: usize = 4;

/// What is posted.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub url: &'a str,
    pub id: String,
    pub timestamp: i64,
    pub signature: String,
    pub body: String,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Taken: 2xx.
    Taken(u16),
    /// Answered by something else.
    Refused { status: u16, retry_after: Option<Duration> },
    /// Not answered; why.
    Failed(DeliveryFault),
}

/// Posts messages.
#[derive(Clone, Debug)]
pub struct Outbound {
    agent: Agent,
    /// Which addresses may be posted to.
    pub addresses: Addresses,
    /// How long a receiver may take.
    pub timeout: Duration,
}

impl Outbound {
    /// As the settings say.
    ///
    /// # Errors
    /// [`Error::Invalid`] for certificates that cannot be read.
    pub fn new(settings: &Settings) -> Result<Self> {
        let addresses = settings.webhook_addresses();
        let timeout = settings.webhook_timeout;
        let mut config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .https_only(!addresses.plain_http)
            .user_agent("Kehu")
            .accept("*/*")
            .max_response_header_size(HEAD)
            .max_idle_connections_per_host(IDLE)
            .max_idle_connections(IDLE * 16)
            .timeout_resolve(Some(REACH.min(timeout)))
            .timeout_connect(Some(REACH.min(timeout)))
            .timeout_global(Some(timeout));
        if let Some(path) = &settings.webhook_certificates {
            let unread = |why: String| Error::invalid("/webhook_certificates", "unreadable", why);
            let pem = std::fs::read(path).map_err(|error| unread(format!("{}: {error}", path.display())))?;
            let items = parse_pem(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| unread(error.to_string()))?;
            let found = items.into_iter().filter_map(|item| match item {
                PemItem::Certificate(certificate) => Some(certificate),
                _ => None,
            });
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                return Err(unread(format!("{} holds no certificate", path.display())));
            }
            config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(found)).build());
        }
        let guard = Guard { addresses: addresses.clone(), names: DefaultResolver::default() };
        let agent = Agent::with_parts(config.build(), DefaultConnector::default(), guard);
        Ok(Self { agent, addresses, timeout })
    }

    /// Posts a message. Takes as long as the receiver does, within the time limit.
    pub(super) fn post(&self, message: &Message<'_>) -> Outcome {
        if self.addresses.fault(message.url).is_some() {
            return Outcome::Failed(DeliveryFault::ForbiddenAddress);
        }
        let request = self
            .agent
            .post(message.url)
            .header("content-type", "application/cloudevents+json; charset=utf-8")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", message.timestamp.to_string())
            .header("webhook-signature", &message.signature);
        match request.send(message.body.as_str()) {
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                let wish = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
                // What cannot be read to its end closes the connection; the status has said all.
                drop(answer.body_mut().as_reader().take(ANSWER).read_to_end(&mut Vec::new()));
                match status {
                    200..=299 => Outcome::Taken(status),
                    _ => Outcome::Refused { status, retry_after: wish.map(Duration::from_secs) },
                }
            }
            Err(error) => Outcome::Failed(reason(&error)),
        }
    }
}

/// Why nothing was answered, without anything that the receiver or a name server could have written.
fn reason(error: &ureq::Error) -> DeliveryFault {
    match error {
        ureq::Error::Other(inner) if inner.is::<Forbidden>() => DeliveryFault::ForbiddenAddress,
        ureq::Error::HostNotFound => DeliveryFault::UnknownName,
        ureq::Error::Timeout(_) => DeliveryFault::Timeout,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => DeliveryFault::Tls,
        ureq::Error::ConnectionFailed => DeliveryFault::Unreachable,
        ureq::Error::Io(error) => match error.kind() {
            std::io::ErrorKind::TimedOut => DeliveryFault::Timeout,
            std::io::ErrorKind::InvalidData => DeliveryFault::Tls,
            _ => DeliveryFault::Unreachable,
        },
        _ => DeliveryFault::BadAnswer,
    }
}

/// Resolves names, and refuses those that lead where events may not go.
#[derive(Debug)]
struct Guard {
    addresses: Addresses,
    names: DefaultResolver,
}

#[derive(Debug)]
struct Forbidden;

impl std::fmt::Display for Forbidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the address may not be posted to")
    }
}

impl std::error::Error for Forbidden {}

impl Resolver for Guard {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        // One bad address among good ones is a trick, too.
        if found.iter().all(|address| self.addresses.allow(address.ip())) {
            Ok(found)
        } else {
            Err(ureq::Error::Other(Box::new(Forbidden)))
        }
    }
}
