//! Who may come in: good and bad tokens, key sets, and for how long a token and a caller are remembered.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use kehu_api::settings::Settings;
use kehu_kernel::{Instant, store::Backend, time::Clock};
use serde_json::{Value, json};

use crate::{
    both_databases,
    support::{Answer, App, SECRET, sign, sign_with},
};

const RSA: &[u8] = include_bytes!("support/keys/issuer-rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("support/keys/issuer-rsa.pub.pem");
const FOREIGN: &[u8] = include_bytes!("support/keys/foreign-rsa.pem");
const P256: &[u8] = include_bytes!("support/keys/issuer-p256.pem");
const P384: &[u8] = include_bytes!("support/keys/issuer-p384.pem");
const ED25519: &[u8] = include_bytes!("support/keys/issuer-ed25519.pem");

both_databases!(tokens_not_to_be_trusted_are_refused, customers_and_branches_come_from_claims, a_scope_narrows_the_roles);

async fn ask(app: &App, token: &str) -> Answer {
    app.token(token.to_owned()).get("/v1/branches").await
}

fn rsa(pem: &[u8]) -> EncodingKey {
    EncodingKey::from_rsa_pem(pem).unwrap()
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(ToOwned::to_owned), ..Header::new(algorithm) }
}

fn admin() -> Value {
    json!({ "roles": ["administrator"] })
}

fn jwk(id: &str, algorithm: Algorithm, key: &EncodingKey) -> Value {
    let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
    jwk.common.key_id = Some(id.to_owned());
    serde_json::to_value(jwk).unwrap()
}

/// A token whose header and claims are given literally, unsigned.
fn unsigned(header: &Value, claims: &Value) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    format!("{}.{}.", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

async fn tokens_not_to_be_trusted_are_refused(app: App) {
    assert_eq!(ask(&app, &sign(admin())).await.status, 200);
    let shared = EncodingKey::from_secret(SECRET.as_bytes());
    let with = |change: Value| {
        let mut claims = admin();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        sign(claims)
    };
    let good: Value = json!({ "sub": "x", "roles": ["administrator"], "iss": "kehu", "aud": "kehu", "exp": 4_000_000_000_u64 });
    let special = |change: fn(&mut Header)| {
        let mut header = Header::default();
        change(&mut header);
        sign_with(&header, &shared, admin())
    };
    let mut tampered = sign(admin());
    tampered.replace_range(tampered.len() - 2.., "AA");
    let bad = [
        ("expired", with(json!({ "exp": 1_300_819_380 }))),
        ("no exp", with(json!({ "exp": null }))),
        ("exp is text", with(json!({ "exp": "tomorrow" }))),
        ("exp beyond time", with(json!({ "exp": 1e300 }))),
        ("not yet", with(json!({ "nbf": 4_000_000_000_u64 }))),
        ("other issuer", with(json!({ "iss": "elsewhere" }))),
        ("no issuer", with(json!({ "iss": null }))),
        ("other audience", with(json!({ "aud": ["x", "y"] }))),
        ("no audience", with(json!({ "aud": null }))),
        ("no subject", with(json!({ "sub": null }))),
        ("subject with a line break", with(json!({ "sub": "a\nb" }))),
        (
            "other secret",
            sign_with(&Header::default(), &EncodingKey::from_secret(b"another-secret-of-thirty-two-bytes"), admin()),
        ),
        ("other algorithm of the secret", sign_with(&header(Algorithm::HS384, None), &shared, admin())),
        ("foreign key", sign_with(&header(Algorithm::RS256, None), &rsa(FOREIGN), admin())),
        ("secret with a key id", sign_with(&header(Algorithm::HS256, Some("kehu-client")), &shared, admin())),
        ("none", unsigned(&json!({ "alg": "none", "typ": "JWT" }), &good)),
        ("None", unsigned(&json!({ "alg": "None" }), &good)),
        ("HS256 without signature", unsigned(&json!({ "alg": "HS256" }), &good)),
        ("tampered", tampered),
        ("unknown extension", special(|header| header.crit = Some(vec!["b64".into()]))),
        ("other type", special(|header| header.typ = Some("secevent+jwt".into()))),
        ("too long", with(json!({ "roles": vec!["administrator"; 1000] }))),
        ("no token", "nonsense".into()),
        ("empty", String::new()),
    ];
    for (what, token) in bad {
        let answer = ask(&app, &token).await;
        assert!(answer.header("www-authenticate").is_some_and(|header| header.starts_with("Bearer")), "{what}");
        assert_eq!((answer.problem(401), what), ("unauthenticated".to_owned(), what));
    }
    let two = app.token(sign(admin())).with("Authorization", "Bearer x");
    assert_eq!(two.get("/v1/branches").await.problem(401), "unauthenticated");
    let basic = app.stranger().with("Authorization", "Basic a2VodTprZWh1");
    assert_eq!(basic.get("/v1/branches").await.problem(401), "unauthenticated");
}

async fn customers_and_branches_come_from_claims(app: App) {
    let nameless = sign(json!({ "roles": ["customer_self"] }));
    assert_eq!(ask(&app, &nameless).await.problem(403), "forbidden");
    let broken = sign(json!({ "roles": ["customer_self"], "customer_id": "7" }));
    assert_eq!(ask(&app, &broken).await.problem(403), "forbidden");
    // A customer's token has the rights of customers, whatever else it claims.
    let greedy = json!({ "roles": ["customer_self", "administrator"], "customer_id": "01890a5d-ac96-774b-bcce-b302099a8057" });
    let branch = json!({ "code": "HO", "name": "Head office", "level": "head_office" });
    assert_eq!(app.token(sign(greedy)).post("/v1/branches", branch).await.problem(403), "forbidden");
}

async fn a_scope_narrows_the_roles(app: App) {
    let scoped = |scope: &str| app.token(sign(json!({ "roles": ["administrator"], "scope": scope })));
    let branch = json!({ "code": "HO", "name": "Head office", "level": "head_office" });
    assert_eq!(scoped("branch.read").get("/v1/branches").await.status, 200);
    assert_eq!(scoped("branch.read").post("/v1/branches", branch.clone()).await.problem(403), "forbidden");
    assert_eq!(scoped("openid branch.manage").get("/v1/branches").await.problem(403), "forbidden");
    // Scopes of an identity provider that name no action limit nothing.
    assert_eq!(scoped("openid profile").post("/v1/branches", branch).await.status, 201);
}

/// An application that trusts this key set only.
async fn trusting(set: &Value, directory: &tempfile::TempDir) -> App {
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, set.to_string()).unwrap();
    let settings = Settings { jwt_secret: None, jwks: Some(path.display().to_string()), ..App::settings() };
    App::on(Backend::Sqlite, Clock::system(), settings).await
}

#[actix_web::test]
async fn each_key_of_a_set_has_its_algorithm() {
    let (p256, p384) = (EncodingKey::from_ec_pem(P256).unwrap(), EncodingKey::from_ec_pem(P384).unwrap());
    let ed = EncodingKey::from_ed_pem(ED25519).unwrap();
    let good = [
        ("r256", Algorithm::RS256, rsa(RSA)),
        ("r384", Algorithm::RS384, rsa(RSA)),
        ("r512", Algorithm::RS512, rsa(RSA)),
        ("e256", Algorithm::ES256, p256),
        ("e384", Algorithm::ES384, p384),
        ("ed", Algorithm::EdDSA, ed),
    ];
    let mut keys: Vec<Value> = good.iter().map(|(id, algorithm, key)| jwk(id, *algorithm, key)).collect();
    let mut bare = jwk("bare", Algorithm::RS256, &rsa(RSA));
    bare.as_object_mut().unwrap().remove("alg");
    let mut encrypting = jwk("enc", Algorithm::RS256, &rsa(RSA));
    encrypting["use"] = json!("enc");
    let secret = json!({ "kty": "oct", "kid": "oct", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" });
    keys.extend([bare, encrypting, secret]);
    let directory = tempfile::tempdir().unwrap();
    let app = trusting(&json!({ "keys": keys }), &directory).await;
    for (id, algorithm, key) in &good {
        let token = sign_with(&header(*algorithm, Some(id)), key, admin());
        assert_eq!(ask(&app, &token).await.status, 200, "{id}");
    }
    let bare = sign_with(&header(Algorithm::RS256, Some("bare")), &rsa(RSA), admin());
    assert_eq!(ask(&app, &bare).await.status, 200, "RSA without alg is RS256");
    let bad = [
        ("another algorithm", sign_with(&header(Algorithm::RS384, Some("r256")), &rsa(RSA), admin())),
        ("PSS", sign_with(&header(Algorithm::PS256, Some("r256")), &rsa(RSA), admin())),
        ("no alg stated, not the usual one", sign_with(&header(Algorithm::RS512, Some("bare")), &rsa(RSA), admin())),
        ("a foreign key", sign_with(&header(Algorithm::RS256, Some("r256")), &rsa(FOREIGN), admin())),
        ("an unknown key", sign_with(&header(Algorithm::RS256, Some("r999")), &rsa(RSA), admin())),
        ("no key named", sign_with(&header(Algorithm::RS256, None), &rsa(RSA), admin())),
        ("a key for encryption", sign_with(&header(Algorithm::RS256, Some("enc")), &rsa(RSA), admin())),
        (
            "the public key as a secret",
            sign_with(&header(Algorithm::HS256, Some("r256")), &EncodingKey::from_secret(RSA_PUBLIC), admin()),
        ),
        (
            "the public key as the secret",
            sign_with(&header(Algorithm::HS256, None), &EncodingKey::from_secret(RSA_PUBLIC), admin()),
        ),
        (
            "a secret in the set",
            sign_with(
                &header(Algorithm::HS256, Some("oct")),
                &EncodingKey::from_secret(b"secret-secret-secret-secret-secret"),
                admin(),
            ),
        ),
        ("the development secret", sign_with(&Header::default(), &EncodingKey::from_secret(SECRET.as_bytes()), admin())),
    ];
    for (what, token) in bad {
        assert_eq!((ask(&app, &token).await.problem(401), what), ("unauthenticated".to_owned(), what));
    }
}

#[actix_web::test]
async fn examples_of_the_standards_are_refused() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/jwt");
    let read =
        |name: &str| std::fs::read_to_string(format!("{root}/{name}")).ok().and_then(|text| serde_json::from_str(&text).ok());
    let (Some(vectors), Some(cookbook)) = (read("rfc_vectors.json"), read("rfc7520/4_1.rsa_v15_signature.json")) else {
        // The files of the RFC editor lie beside the repository or not at all.
        eprintln!("skipped: there are no examples of the standards in {root}");
        return;
    };
    let (vectors, cookbook): (Value, Value) = (vectors, cookbook);
    let mut public = cookbook["input"]["key"].clone();
    public.as_object_mut().unwrap().retain(|name, _| ["kty", "kid", "use", "n", "e"].contains(&name.as_str()));
    let directory = tempfile::tempdir().unwrap();
    let app = trusting(&json!({ "keys": [public] }), &directory).await;
    let tokens = vectors.as_object().unwrap().values().map(|vector| &vector["token"]);
    for token in tokens.chain([&cookbook["output"]["compact"]]) {
        assert_eq!(ask(&app, token.as_str().unwrap()).await.problem(401), "unauthenticated");
    }
}

/// Serves whatever stands in `body`, and counts how often it was asked.
fn key_server(body: Arc<Mutex<Option<String>>>) -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            *count.lock().unwrap() += 1;
            let answer = match &*body.lock().unwrap() {
                Some(body) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()),
                None => "HTTP/1.1 503 Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".into(),
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[actix_web::test]
async fn a_key_set_is_read_anew_when_keys_change() {
    let set = |ids: &[&str]| {
        Some(json!({ "keys": ids.iter().map(|id| jwk(id, Algorithm::RS256, &rsa(RSA))).collect::<Vec<_>>() }).to_string())
    };
    let body = Arc::new(Mutex::new(set(&["one"])));
    let (url, asked) = key_server(Arc::clone(&body));
    let clock = Clock::fixed(Clock::system().now());
    let settings = Settings { jwt_secret: None, jwks: Some(url), ..App::settings() };
    let app = App::on(Backend::Sqlite, clock.clone(), settings).await;
    let token = |id| {
        sign_with(&header(Algorithm::RS256, Some(id)), &rsa(RSA), json!({ "roles": ["administrator"], "exp": 4_000_000_000_u64 }))
    };
    assert_eq!(ask(&app, &token("one")).await.status, 200);
    // A key that is not known is looked up, but not with every token that names one.
    *body.lock().unwrap() = set(&["one", "two"]);
    clock.advance(Duration::from_secs(20));
    assert_eq!(ask(&app, &token("two")).await.status, 200);
    for _ in 0..5 {
        ask(&app, &token("three")).await.problem(401);
    }
    assert_eq!(*asked.lock().unwrap(), 2);
    // An issuer that is down takes nobody's key away.
    *body.lock().unwrap() = None;
    clock.advance(Duration::from_secs(700));
    assert_eq!(ask(&app, &token("two")).await.status, 200);
    // A key that was withdrawn is gone with the next reading.
    *body.lock().unwrap() = set(&["two"]);
    clock.advance(Duration::from_secs(700));
    assert_eq!(ask(&app, &token("two")).await.status, 200);
    ask(&app, &token("one")).await.problem(401);
}

#[actix_web::test]
async fn a_token_ends_by_the_servers_clock() {
    let start = Clock::system().now();
    let clock = Clock::fixed(start);
    let app = App::remembering(Duration::from_secs(5), Backend::Sqlite, clock.clone(), App::settings()).await;
    let ends = start.plus(Duration::from_secs(60));
    let token = sign(json!({ "roles": ["administrator"], "exp": ends.seconds(), "nbf": start.seconds() + 20 }));
    assert_eq!(ask(&app, &token).await.status, 200, "30 seconds of leeway before nbf");
    clock.advance(Duration::from_secs(88));
    assert_eq!(ask(&app, &token).await.status, 200, "and after exp");
    clock.advance(Duration::from_secs(3));
    // Remembered a moment ago, and over all the same.
    let refused = ask(&app, &token).await.expect(401);
    assert_eq!(refused["detail"], "The token has expired.");
}

#[test]
fn a_short_secret_is_refused() {
    let settings = Settings { jwt_secret: Some("short".into()), ..App::settings() };
    let keys = kehu_kernel::crypto::Keyring::development().unwrap();
    assert!(kehu_api::auth::Verifier::new(settings.auth(), &keys, Clock::fixed(Instant::from_seconds(0))).is_err());
}
