//! What makes an installation unsafe: one table of checks, which `kehu doctor` runs over the settings with which the server
//! would be started. What is only good for trying is a warning on the own machine and a fault where others come in.

use std::path::Path;

use kehu_kernel::store::Backend;

use crate::settings::Settings;

/// The shortest token of `/metrics` that is none to be guessed.
const METRICS_TOKEN: usize = 16;

/// What an installation is made of, as far as it can be unsafe.
#[derive(Clone, Debug)]
pub struct Installation<'a> {
    /// How the server is started.
    pub settings: &'a Settings,
    /// Where the database is.
    pub database_url: &'a str,
    /// The replica, if one is read from.
    pub read_url: Option<&'a str>,
    /// Whether the well-known data keys are in use.
    pub development_keys: bool,
    /// The data keys and the index key, as given.
    pub keys: Option<(&'a str, &'a str)>,
}

/// Something unsafe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Stable code of the check.
    pub code: &'static str,
    /// What is wrong and what to do; never a secret.
    pub text: String,
}

type Check = fn(&Installation<'_>) -> Option<String>;

/// Every check by its code.
pub const CHECKS: &[(&str, Check)] = &[
    ("development_keys", development_keys),
    ("weak_keys", weak_keys),
    ("development_jwt_secret", development_jwt_secret),
    ("weak_jwt_secret", weak_jwt_secret),
    ("insecure_jwks", insecure_jwks),
    ("plain_http", plain_http),
    ("readable_tls_key", readable_tls_key),
    ("wide_cors", wide_cors),
    ("trusts_everybody", trusts_everybody),
    ("no_rate_limit", no_rate_limit),
    ("weak_metrics_token", weak_metrics_token),
    ("plain_webhooks", plain_webhooks),
    ("wide_webhook_networks", wide_webhook_networks),
    ("plain_database", plain_database),
    ("default_database_password", default_database_password),
    ("readable_database_file", readable_database_file),
];

/// Everything that is unsafe, in the order of the table.
#[must_use]
pub fn findings(installation: &Installation<'_>) -> Vec<Finding> {
    CHECKS.iter().filter_map(|(code, check)| check(installation).map(|text| Finding { code, text })).collect()
}

fn development_keys(of: &Installation<'_>) -> Option<String> {
    of.development_keys
        .then(|| "numbers are sealed with the well-known development keys: set KEHU_DATA_KEYS and KEHU_INDEX_KEY".into())
}

/// Keys are random bytes; one that a person has typed repeats itself.
fn weak_keys(of: &Installation<'_>) -> Option<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let (data, index) = of.keys?;
    let encoded = data.split(',').filter_map(|part| Some(part.split_once(':')?.1.trim())).chain([index.trim()]);
    let mut keys: Vec<Vec<u8>> = encoded.filter_map(|text| STANDARD.decode(text).ok()).collect();
    let count = keys.len();
    if keys.iter().any(|key| few_symbols(key, 12)) {
        return Some("a data key or the index key is not random: make them by `openssl rand -base64 32`".into());
    }
    keys.sort();
    keys.dedup();
    (keys.len() < count).then(|| "two of the data keys and the index key are the same: each has a secret of its own".into())
}

fn few_symbols(secret: &[u8], least: usize) -> bool {
    let mut symbols = secret.to_vec();
    symbols.sort_unstable();
    symbols.dedup();
    symbols.len() < least
}

fn development_jwt_secret(of: &Installation<'_>) -> Option<String> {
    let known = of.settings.auth().is_development();
    known.then(|| "tokens are signed with the well-known development secret: set KEHU_JWKS or KEHU_JWT_SECRET".into())
}

fn weak_jwt_secret(of: &Installation<'_>) -> Option<String> {
    let secret = of.settings.jwt_secret.as_deref()?;
    let plain = secret.to_lowercase();
    let guessed = ["secret", "password", "changeme", "change-me", "example", "test", "1234567", "qwerty", "kehu"];
    let weak = secret.len() < 32 || few_symbols(secret.as_bytes(), 12) || guessed.iter().any(|word| plain.contains(word));
    weak.then(|| "KEHU_JWT_SECRET can be guessed: make it by `openssl rand -base64 48`, or use KEHU_JWKS".into())
}

fn insecure_jwks(of: &Installation<'_>) -> Option<String> {
    let url = of.settings.jwks.as_deref()?.strip_prefix("http://")?;
    (!is_local(host_of(url))).then(|| "KEHU_JWKS is fetched without TLS: whoever sits between can issue tokens".into())
}

/// TLS of our own, or a proxy that we know has it.
fn plain_http(of: &Installation<'_>) -> Option<String> {
    let settings = of.settings;
    let open = !settings.listen.ip().is_loopback() && settings.tls_certificate.is_none() && settings.trusted_proxies.is_empty();
    open.then(|| {
        format!(
            "{} is reached without TLS: set KEHU_TLS_CERTIFICATE and KEHU_TLS_KEY, or name the proxy that has it in \
             KEHU_TRUSTED_PROXIES",
            settings.listen
        )
    })
}

fn readable_tls_key(of: &Installation<'_>) -> Option<String> {
    let key = of.settings.tls_key.as_deref()?;
    others_read(key).then(|| format!("everybody on this machine can read {}: chmod 600", key.display()))
}

#[cfg(unix)]
fn others_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_read(_: &Path) -> bool {
    false
}

fn wide_cors(of: &Installation<'_>) -> Option<String> {
    let wide = |origin: &&String| {
        let Some((scheme, rest)) = origin.split_once("://") else { return true };
        let secure = scheme == "https" || is_local(host_of(rest));
        !secure || rest.contains(['*', '/']) || rest.is_empty()
    };
    let origin = of.settings.cors_origins.iter().find(wide)?;
    Some(format!("KEHU_CORS_ORIGINS holds {origin}: name each origin as https://host"))
}

fn trusts_everybody(of: &Installation<'_>) -> Option<String> {
    let any = of.settings.trusted_proxies.iter().any(|proxy| proxy.is_unspecified() || proxy.is_multicast());
    any.then(|| "KEHU_TRUSTED_PROXIES holds an address of nobody: name each proxy".into())
}

fn no_rate_limit(of: &Installation<'_>) -> Option<String> {
    let settings = of.settings;
    let limits = [
        ("KEHU_RATE_LIMIT", settings.rate_limit),
        ("KEHU_RATE_LIMIT_STRANGERS", settings.rate_limit_strangers),
        ("KEHU_LOGIN_LIMIT", settings.login_limit),
    ];
    let (name, _) = limits.into_iter().find(|(_, rate)| rate.requests == 0)?;
    Some(format!("{name} is switched off: one caller can take all the time of the server"))
}

fn weak_metrics_token(of: &Installation<'_>) -> Option<String> {
    let token = of.settings.metrics_token.as_deref()?;
    let weak = token.len() < METRICS_TOKEN || few_symbols(token.as_bytes(), 8);
    weak.then(|| format!("KEHU_METRICS_TOKEN can be guessed: it has at least {METRICS_TOKEN} random characters"))
}

fn plain_webhooks(of: &Installation<'_>) -> Option<String> {
    of.settings
        .webhook_plain_http
        .then(|| "webhooks may be posted without TLS, where everybody between reads them: unset KEHU_WEBHOOK_PLAIN_HTTP".into())
}

/// A network of the bank's own is named narrowly, and never the machine itself.
fn wide_webhook_networks(of: &Installation<'_>) -> Option<String> {
    let wide = |net: &&ipnet::IpNet| {
        let least = if net.network().is_ipv4() { 8 } else { 16 };
        net.prefix_len() < least || net.network().is_loopback()
    };
    let net = of.settings.webhook_networks.iter().find(wide)?;
    Some(format!("KEHU_WEBHOOK_NETWORKS holds {net}: whoever sets up a webhook reaches services that were not meant for it"))
}

fn urls<'a>(of: &Installation<'a>) -> impl Iterator<Item = &'a str> {
    let postgres = |url: &&str| Backend::of_url(url) == Some(Backend::Postgres);
    [Some(of.database_url), of.read_url].into_iter().flatten().filter(postgres)
}

/// Server and options of a URL.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    (rest.split('/').next().unwrap_or(""), options)
}

fn plain_database(of: &Installation<'_>) -> Option<String> {
    let open = |url: &str| {
        let (authority, options) = parts(url);
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let socket = host.is_empty() || host.starts_with("%2F");
        let secured = options.split('&').any(|option| {
            matches!(option, "sslmode=require" | "sslmode=verify-ca" | "sslmode=verify-full") || option.starts_with("host=/")
        });
        !socket && !is_local(host_of(host)) && !secured
    };
    urls(of).any(open).then(|| "the database is reached without TLS: add sslmode=verify-full to its URL".into())
}

fn default_database_password(of: &Installation<'_>) -> Option<String> {
    let guessed = |url: &str| {
        let Some((user, password)) = parts(url).0.rsplit_once('@').and_then(|(login, _)| login.split_once(':')) else {
            return false;
        };
        password == user || ["postgres", "password", "secret", "kehu", "admin", "changeme", ""].contains(&password)
    };
    urls(of).any(guessed).then(|| "the password of the database is one that everybody tries first".into())
}

fn readable_database_file(of: &Installation<'_>) -> Option<String> {
    let path = Path::new(of.database_url.strip_prefix("sqlite://")?);
    others_read(path).then(|| format!("everybody on this machine can read {}: chmod 600", path.display()))
}

/// The host of `host:port/path`.
fn host_of(rest: &str) -> &str {
    let authority = rest.split('/').next().unwrap_or("");
    if let Some(inner) = authority.strip_prefix('[') {
        return inner.split(']').next().unwrap_or("");
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = "1:hQpWQ4yQ0bSNjQ9mRk3rB2m7n5o1cW8tXvYzA0CdEf4=";
    const INDEX: &str = "Zx3nLk0pQ7sVb2Rt9YwUe6HgJd1MaCf8oIiKzXcNlP0=";

    /// An installation as it should be, changed by one thing.
    fn found(change: impl FnOnce(&mut Settings, &mut String, &mut Option<(&'static str, &'static str)>)) -> Vec<&'static str> {
        let mut settings = Settings {
            listen: ([10, 0, 0, 5], 443).into(),
            jwt_secret: Some("vJ2mZq8RkXw5tYb3NcLs7PdFh0GxTaUe".into()),
            tls_certificate: Some("chain.pem".into()),
            cors_origins: vec!["https://desk.bank.example".into()],
            metrics_token: Some("p9Xq2LmV7RtYw3Zk".into()),
            trusted_proxies: vec![[10, 0, 0, 1].into()],
            ..Settings::default()
        };
        let mut url = "postgres://crm:vJ2mZq8RkXw5@db.bank.example/kehu?sslmode=verify-full".to_owned();
        let mut keys = Some((DATA, INDEX));
        change(&mut settings, &mut url, &mut keys);
        let installation =
            Installation { settings: &settings, database_url: &url, read_url: None, development_keys: keys.is_none(), keys };
        let found = findings(&installation);
        for finding in &found {
            for secret in [settings.jwt_secret.as_deref(), settings.metrics_token.as_deref(), keys.map(|keys| keys.1)] {
                assert!(secret.is_none_or(|secret| !finding.text.contains(secret)), "{finding:?} tells a secret");
            }
        }
        found.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_safe_installation_has_no_finding() {
        assert_eq!(found(|_, _, _| {}), Vec::<&str>::new());
        assert_eq!(found(|_, url, _| *url = "postgres://crm@/kehu?host=/run/postgresql".into()), Vec::<&str>::new());
        assert_eq!(found(|settings, _, _| settings.cors_origins = vec!["http://localhost:3000".into()]), Vec::<&str>::new());
        assert_eq!(found(|settings, _, _| settings.jwks = Some("http://127.0.0.1:9/keys".into())), Vec::<&str>::new());
    }

    #[test]
    fn each_unsafe_setting_is_found_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        std::fs::write(&open, "x").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let file = open.clone();
        let weak = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let table: Vec<(&str, Vec<&str>)> = vec![
            ("development_keys", found(|_, _, keys| *keys = None)),
            ("weak_keys", found(|_, _, keys| *keys = Some((weak, INDEX)))),
            ("weak_keys", found(|_, _, keys| *keys = Some((DATA, &DATA[2..])))),
            ("development_jwt_secret", found(|settings, _, _| settings.jwt_secret = None)),
            ("weak_jwt_secret", found(|settings, _, _| settings.jwt_secret = Some("a".repeat(40)))),
            (
                "weak_jwt_secret",
                found(|settings, _, _| settings.jwt_secret = Some("vJ2mZq8RkXw5t-my-Password-3NcLs7PdFh".into())),
            ),
            ("weak_jwt_secret", found(|settings, _, _| settings.jwt_secret = Some("vJ2mZq8RkXw5tYb3".into()))),
            ("insecure_jwks", found(|settings, _, _| settings.jwks = Some("http://idp.bank.example/keys".into()))),
            ("plain_http", found(|settings, _, _| (settings.tls_certificate, settings.trusted_proxies) = (None, Vec::new()))),
            ("readable_tls_key", found(|settings, _, _| settings.tls_key = Some(file))),
            ("wide_cors", found(|settings, _, _| settings.cors_origins = vec!["*".into()])),
            ("wide_cors", found(|settings, _, _| settings.cors_origins = vec!["null".into()])),
            ("wide_cors", found(|settings, _, _| settings.cors_origins = vec!["http://desk.bank.example".into()])),
            ("wide_cors", found(|settings, _, _| settings.cors_origins = vec!["https://*.bank.example".into()])),
            ("trusts_everybody", found(|settings, _, _| settings.trusted_proxies.push([0, 0, 0, 0].into()))),
            ("no_rate_limit", found(|settings, _, _| settings.rate_limit.requests = 0)),
            ("no_rate_limit", found(|settings, _, _| settings.login_limit.requests = 0)),
            ("weak_metrics_token", found(|settings, _, _| settings.metrics_token = Some("scraper".into()))),
            ("plain_webhooks", found(|settings, _, _| settings.webhook_plain_http = true)),
            ("wide_webhook_networks", found(|settings, _, _| settings.webhook_networks = vec!["0.0.0.0/0".parse().unwrap()])),
            ("wide_webhook_networks", found(|settings, _, _| settings.webhook_networks = vec!["127.0.0.0/8".parse().unwrap()])),
            ("plain_database", found(|_, url, _| *url = url.replace("verify-full", "prefer"))),
            ("default_database_password", found(|_, url, _| *url = url.replace("vJ2mZq8RkXw5", "postgres"))),
            ("readable_database_file", found(|_, url, _| *url = format!("sqlite://{}", open.display()))),
        ];
        for (code, found) in &table {
            assert_eq!(found.iter().filter(|found| **found != "plain_http" || *code == "plain_http").collect::<Vec<_>>(), [code]);
        }
        for (code, _) in CHECKS {
            assert!(table.iter().any(|(tried, _)| tried == code), "no test of {code}");
        }
    }
}
