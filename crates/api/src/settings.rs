//! How the server is run: every option is also an environment variable.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use ipnet::IpNet;

use crate::{auth::AuthConfig, webhook::address::Addresses};

/// Options of `kehu serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Where to listen.
    #[arg(long, env = "KEHU_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Shared secret of HS256 tokens, at least 32 bytes. Without it and without a key set: the development secret.
    #[arg(long, env = "KEHU_JWT_SECRET", hide_env_values = true)]
    pub jwt_secret: Option<String>,
    /// Path or https URL of the token issuer's key set (JWKS).
    #[arg(long, env = "KEHU_JWKS")]
    pub jwks: Option<String>,
    /// The issuer that tokens must name.
    #[arg(long, env = "KEHU_JWT_ISSUER", default_value = "kehu")]
    pub jwt_issuer: String,
    /// The audience that tokens must name.
    #[arg(long, env = "KEHU_JWT_AUDIENCE", default_value = "kehu")]
    pub jwt_audience: String,
    /// Requests of one caller: requests/seconds, all of which may come at once; 0/1 for no limit.
    #[arg(long, env = "KEHU_RATE_LIMIT", default_value = "2000/10")]
    pub rate_limit: Rate,
    /// Requests of one address without a valid token.
    #[arg(long, env = "KEHU_RATE_LIMIT_STRANGERS", default_value = "200/10")]
    pub rate_limit_strangers: Rate,
    /// Attempts at /v1/oauth/token of one address, and at one client, where the client did not come in before.
    #[arg(long, env = "KEHU_LOGIN_LIMIT", default_value = "30/60")]
    pub login_limit: Rate,
    /// Connections that are held at once; who comes later waits.
    #[arg(long, env = "KEHU_MAX_CONNECTIONS", default_value_t = 10_000, value_parser = connections)]
    pub max_connections: usize,
    /// Seconds in which the head of a request, and a TLS handshake, must have arrived.
    #[arg(long, env = "KEHU_HEADER_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub header_timeout: Duration,
    /// Seconds for which a connection is kept for the next request. Longer than clients and load balancers keep theirs, or they
    /// send on one that is just being closed.
    #[arg(long, env = "KEHU_KEEP_ALIVE", default_value = "75", value_parser = seconds)]
    pub keep_alive: Duration,
    /// Seconds that a request may take.
    #[arg(long, env = "KEHU_REQUEST_TIMEOUT", default_value = "30", value_parser = seconds)]
    pub request_timeout: Duration,
    /// Seconds that the upload of a file may take.
    #[arg(long, env = "KEHU_UPLOAD_TIMEOUT", default_value = "3600", value_parser = seconds)]
    pub upload_timeout: Duration,
    /// Origin of a browser application that may call; may be repeated. None unless given.
    #[arg(long, env = "KEHU_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Certificate chain in PEM; with a key, the server speaks TLS.
    #[arg(long, env = "KEHU_TLS_CERTIFICATE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    #[arg(long, env = "KEHU_TLS_KEY", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Where uploaded files are kept until they are imported.
    #[arg(long, env = "KEHU_DATA_DIR", default_value = "kehu-data")]
    pub data_dir: PathBuf,
    /// Days for which a merge of customers can be taken back.
    #[arg(long, env = "KEHU_MERGE_REVERT_DAYS", default_value = "90")]
    pub merge_revert_days: u32,
    /// Imports that this server runs at once; others wait in their queue, or go to other servers.
    #[arg(long, env = "KEHU_IMPORTS_AT_ONCE", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub imports_at_once: u32,
    /// Exports that this server makes at once.
    #[arg(long, env = "KEHU_EXPORTS_AT_ONCE", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub exports_at_once: u32,
    /// Bearer token of /metrics. Without it only callers on this machine may read them.
    #[arg(long, env = "KEHU_METRICS_TOKEN", hide_env_values = true)]
    pub metrics_token: Option<String>,
    /// How many streams of events may be open at once.
    #[arg(long, env = "KEHU_EVENT_STREAMS", default_value = "500")]
    pub event_streams: u32,
    /// How many of them one caller may have.
    #[arg(long, env = "KEHU_EVENT_STREAMS_PER_CALLER", default_value = "10")]
    pub event_streams_per_caller: u32,
    /// Seconds after which a stream of events without any gives a sign of life.
    #[arg(long, env = "KEHU_EVENT_HEARTBEAT", default_value = "15", value_parser = seconds)]
    pub event_heartbeat: Duration,
    /// Seconds that a receiver of webhooks may take to answer.
    #[arg(long, env = "KEHU_WEBHOOK_TIMEOUT", default_value = "15", value_parser = seconds)]
    pub webhook_timeout: Duration,
    /// Network, such as 10.20.0.0/16, that webhooks may be posted to although it is not public; may be repeated.
    #[arg(long, env = "KEHU_WEBHOOK_NETWORKS", value_delimiter = ',')]
    pub webhook_networks: Vec<IpNet>,
    /// Whether webhooks may be posted over http as well; for trying only.
    #[arg(long, env = "KEHU_WEBHOOK_PLAIN_HTTP")]
    pub webhook_plain_http: bool,
    /// Certificates in PEM that receivers of webhooks are trusted by, instead of those that everybody trusts.
    #[arg(long, env = "KEHU_WEBHOOK_CERTIFICATES")]
    pub webhook_certificates: Option<PathBuf>,
    /// Address of a proxy whose X-Forwarded-For is believed; may be repeated.
    #[arg(long, env = "KEHU_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpAddr>,
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a number of connections".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("expected a number of seconds".into()),
    }
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            jwt_secret: None,
            jwks: None,
            jwt_issuer: "kehu".into(),
            jwt_audience: "kehu".into(),
            rate_limit: Rate { requests: 2000, seconds: 10 },
            rate_limit_strangers: Rate { requests: 200, seconds: 10 },
            login_limit: Rate { requests: 30, seconds: 60 },
            max_connections: 10_000,
            header_timeout: seconds(10),
            keep_alive: seconds(75),
            request_timeout: seconds(30),
            upload_timeout: seconds(3600),
            cors_origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            data_dir: "kehu-data".into(),
            merge_revert_days: 90,
            imports_at_once: 1,
            exports_at_once: 1,
            metrics_token: None,
            event_streams: 500,
            event_streams_per_caller: 10,
            event_heartbeat: seconds(15),
            webhook_timeout: seconds(15),
            webhook_networks: Vec::new(),
            webhook_plain_http: false,
            webhook_certificates: None,
            trusted_proxies: Vec::new(),
        }
    }
}

impl Settings {
    /// Which tokens are trusted.
    #[must_use]
    pub fn auth(&self) -> AuthConfig {
        AuthConfig {
            issuer: self.jwt_issuer.clone(),
            audience: self.jwt_audience.clone(),
            ..AuthConfig::new(self.jwt_secret.clone(), self.jwks.clone())
        }
    }

    /// Where webhooks may be posted to.
    #[must_use]
    pub fn webhook_addresses(&self) -> Addresses {
        Addresses { networks: self.webhook_networks.clone(), plain_http: self.webhook_plain_http }
    }

    /// Why the server must not start so, if it must not: secrets that everybody can read in the source protect
    /// nothing that others can reach.
    #[must_use]
    pub fn danger(&self, development_keys: bool) -> Option<String> {
        if self.listen.ip().is_loopback() {
            return None;
        }
        let what = match (development_keys, self.auth().is_development()) {
            (true, _) => "KEHU_DATA_KEYS and KEHU_INDEX_KEY",
            (false, true) => "KEHU_JWT_SECRET or KEHU_JWKS",
            (false, false) => return None,
        };
        Some(format!("others reach {}, where the well-known development secrets protect nothing: set {what}", self.listen))
    }
}

/// A token bucket: so many requests at once, refilled evenly over so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many requests.
    pub requests: u32,
    /// In how many seconds.
    pub seconds: u32,
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (requests, seconds) = text.split_once('/')?;
            Some(Self { requests: requests.parse().ok()?, seconds: seconds.parse().ok().filter(|seconds| *seconds > 0)? })
        };
        parse().ok_or_else(|| "expected requests/seconds, such as 2000/10".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn development_secrets_stay_at_home() {
        let public = Settings { listen: SocketAddr::from(([0, 0, 0, 0], 8080)), ..Settings::default() };
        assert!(Settings::default().danger(true).is_none());
        assert!(public.danger(true).is_some_and(|text| text.contains("KEHU_DATA_KEYS")));
        assert!(public.danger(false).is_some_and(|text| text.contains("KEHU_JWT_SECRET")));
        let ready = Settings { jwt_secret: Some("a-secret-of-the-bank-with-32-bytes".into()), ..public };
        assert_eq!(ready.danger(false), None);
        assert!(ready.danger(true).is_some());
    }

    #[test]
    fn rates_are_requests_per_seconds() {
        assert_eq!("100/10".parse(), Ok(Rate { requests: 100, seconds: 10 }));
        for wrong in ["100", "a/1", "1/0", "-1/5", "1/"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
