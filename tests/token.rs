//! Tokens by the letter of RFC 7515, 7519 and 8725: the standards' own examples, and what is forged by those who know them.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use kehu_api::auth::{AuthConfig, Claims, Refusal, Verifier};
use kehu_kernel::{Instant, crypto::Keyring, time::Clock};
use serde_json::{Value, json};

use crate::support::SECRET;

const RSA: &[u8] = include_bytes!("support/keys/issuer-rsa.pem");
const FOREIGN: &[u8] = include_bytes!("support/keys/foreign-rsa.pem");
const P256: &[u8] = include_bytes!("support/keys/issuer-p256.pem");

/// The claims of the examples of RFC 7515: from Joe, until 2011-03-22T18:43:00Z.
const EXAMPLE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const EXAMPLE_ENDS: i64 = 1_300_819_380;

/// RFC 7515, A.2: signature and modulus of an RSA key.
const RS256: (&str, &str) = (
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
);

/// RFC 7515, A.3: signature and point of a P-256 key.
const ES256: (&str, &str, &str) = (
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
);

/// A verifier that trusts these keys, or the shared secret of the tests when there are none.
fn verifier(set: Option<&Value>, now: Instant) -> Verifier {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    let config = match set {
        Some(set) => {
            std::fs::write(&path, set.to_string()).unwrap();
            AuthConfig::new(None, Some(path.display().to_string()))
        }
        None => AuthConfig::new(Some(SECRET.into()), None),
    };
    Verifier::new(config, &Keyring::development().unwrap(), Clock::fixed(now)).unwrap()
}

/// What happens to a token while the examples of the standard hold.
async fn verify(verifier: &Verifier, token: &str) -> Result<Claims, Refusal> {
    verifier.verify(token).await
}

fn in_2011() -> Instant {
    Instant::from_seconds(EXAMPLE_ENDS - 1_000)
}

/// A token of literal parts, signed with a key.
fn signed(header: &str, claims: &str, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn shared(header: &str, claims: &str) -> String {
    signed(header, claims, &EncodingKey::from_secret(SECRET.as_bytes()), Algorithm::HS256)
}

fn good() -> String {
    json!({ "sub": "x", "roles": ["teller"], "iss": "kehu", "aud": "kehu", "exp": EXAMPLE_ENDS }).to_string()
}

const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[actix_web::test]
async fn examples_of_the_standard_are_verified() {
    let rsa = json!({ "keys": [{ "kty": "RSA", "n": RS256.1, "e": "AQAB" }] });
    let ec = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": ES256.1, "y": ES256.2 }] });
    for (header, signature, set) in [(r#"{"alg":"RS256"}"#, RS256.0, &rsa), (r#"{"alg":"ES256"}"#, ES256.0, &ec)] {
        let token = format!("{}.{EXAMPLE}.{signature}", BASE64.encode(header));
        // The signature is good; Joe is nobody whom we know, and in 2026 he is late.
        let now = verifier(Some(set), in_2011());
        assert_eq!(verify(&now, &token).await.unwrap_err(), Refusal::Stranger, "{header}");
        let late = verifier(Some(set), Instant::from_seconds(1_700_000_000));
        assert_eq!(verify(&late, &token).await.unwrap_err(), Refusal::Expired, "{header}");
        // One bit of the signature or of the claims, and it is nothing.
        let (flipped, changed) = (token.replacen(&signature[..2], "AA", 1), token.replacen("eyJpc3Mi", "eyJpc3Nj", 1));
        for forged in [flipped, changed] {
            assert_ne!(forged, token);
            assert_eq!(verify(&now, &forged).await.unwrap_err(), Refusal::Invalid, "{forged}");
        }
    }
    let unsecured = format!("eyJhbGciOiJub25lIn0.{EXAMPLE}.");
    assert_eq!(verify(&verifier(Some(&rsa), in_2011()), &unsecured).await.unwrap_err(), Refusal::Invalid);
}

#[actix_web::test]
async fn a_header_says_nothing_about_the_key() {
    let one = verifier(None, in_2011());
    assert!(verify(&one, &shared(HEADER, &good())).await.is_ok());
    // What names a key that the sender chose is not looked at: the configured key decides, and refuses a foreign signature.
    let own = EncodingKey::from_rsa_pem(FOREIGN).unwrap();
    let embedded = serde_json::to_value(Jwk::from_encoding_key(&own, Algorithm::RS256).unwrap()).unwrap();
    let set = json!({ "keys": [{ "kty": "RSA", "n": RS256.1, "e": "AQAB" }] });
    let trusting = verifier(Some(&set), in_2011());
    for member in [
        json!({ "jwk": embedded }),
        json!({ "jku": "https://evil.example/keys" }),
        json!({ "x5u": "https://evil.example/chain.pem" }),
        json!({ "x5c": ["MIIB"] }),
        json!({ "jku": "file:///etc/passwd", "kid": "../../../../dev/null" }),
    ] {
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        header.as_object_mut().unwrap().extend(member.as_object().unwrap().clone());
        let token = signed(&header.to_string(), &good(), &own, Algorithm::RS256);
        assert_eq!(verify(&trusting, &token).await.unwrap_err(), Refusal::Invalid, "{header}");
        // Beside a signature of ours they do no harm, and no good.
        header["alg"] = json!("HS256");
        header.as_object_mut().unwrap().remove("kid");
        let beside = verify(&one, &shared(&header.to_string(), &good())).await;
        assert!(!matches!(beside, Err(refusal) if refusal != Refusal::Invalid), "{header}");
    }
}

#[actix_web::test]
async fn a_key_id_is_only_compared() {
    let key = EncodingKey::from_rsa_pem(RSA).unwrap();
    let mut known = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    known["kid"] = json!("one");
    let trusting = verifier(Some(&json!({ "keys": [known] })), in_2011());
    let token = |kid: &Value| {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid }).to_string();
        signed(&header, &good(), &key, Algorithm::RS256)
    };
    assert!(verify(&trusting, &token(&json!("one"))).await.is_ok());
    for kid in [
        json!(""),
        json!("One"),
        json!("one\0"),
        json!("#0"),
        json!("../keys/one"),
        json!("/dev/null"),
        json!("one' OR '1'='1"),
        json!("kehu-client"),
        json!("x".repeat(4_000)),
        json!(1),
        json!(["one"]),
        json!({ "$ne": "" }),
    ] {
        assert_eq!(verify(&trusting, &token(&kid)).await.unwrap_err(), Refusal::Invalid, "{kid}");
    }
}

#[actix_web::test]
async fn an_algorithm_belongs_to_its_key() {
    let rsa = EncodingKey::from_rsa_pem(RSA).unwrap();
    let mut known = serde_json::to_value(Jwk::from_encoding_key(&rsa, Algorithm::RS256).unwrap()).unwrap();
    known["kid"] = json!("one");
    let point = EncodingKey::from_ec_pem(P256).unwrap();
    let mut curve = serde_json::to_value(Jwk::from_encoding_key(&point, Algorithm::ES256).unwrap()).unwrap();
    curve["kid"] = json!("two");
    let modulus = known["n"].as_str().unwrap().to_owned();
    let both = verifier(Some(&json!({ "keys": [known, curve] })), in_2011());
    // The public half as a shared secret, in every form in which somebody may hold it.
    let public = include_bytes!("support/keys/issuer-rsa.pub.pem");
    let trimmed = std::str::from_utf8(public).unwrap().trim_end().as_bytes();
    for secret in [&public[..], trimmed, modulus.as_bytes(), &BASE64.decode(&modulus).unwrap()] {
        for kid in ["", r#","kid":"one""#] {
            let header = format!(r#"{{"alg":"HS256"{kid}}}"#);
            let token = signed(&header, &good(), &EncodingKey::from_secret(secret), Algorithm::HS256);
            assert_eq!(verify(&both, &token).await.unwrap_err(), Refusal::Invalid, "{header}");
        }
    }
    for algorithm in ["none", "None", "NONE", "nOnE", "HS256", "hs256", "RS256 ", "RS512", "PS256", "ES384", "", "ES256K"] {
        let header = format!(r#"{{"alg":"{algorithm}","kid":"one"}}"#);
        for signature in ["", "AA", RS256.0] {
            let token = format!("{}.{}.{signature}", BASE64.encode(&header), BASE64.encode(good()));
            assert_eq!(verify(&both, &token).await.unwrap_err(), Refusal::Invalid, "{header} {signature}");
        }
    }
    // The signature of zeros that some verifiers of ECDSA took for good (CVE-2022-21449), and one in the wrong form.
    for signature in [BASE64.encode([0_u8; 64]), BASE64.encode([0_u8; 96]), BASE64.encode([0x30, 0x06, 2, 1, 0, 2, 1, 0])] {
        let token = format!("{}.{}.{signature}", BASE64.encode(r#"{"alg":"ES256","kid":"two"}"#), BASE64.encode(good()));
        assert_eq!(verify(&both, &token).await.unwrap_err(), Refusal::Invalid);
    }
}

#[actix_web::test]
async fn what_is_not_plain_is_refused() {
    let one = verifier(None, in_2011());
    let token = shared(HEADER, &good());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{token}") };
    let with = |change: &str| good().replacen('{', &format!("{{{change},"), 1);
    let cases = [
        ("a part too many", format!("{token}.")),
        ("encrypted", format!("{token}.{signature}.{signature}")),
        ("a part too few", format!("{header}.{claims}")),
        ("no signature", format!("{header}.{claims}.")),
        ("padding", format!("{header}.{claims}.{signature}=")),
        ("white space", format!("{header}. {claims}.{signature}")),
        ("a line break", format!("{header}.{claims}.{signature}\n")),
        ("the serialization as JSON", json!({ "payload": claims, "protected": header, "signature": signature }).to_string()),
        ("a crit header", shared(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, &good())),
        ("an empty crit header", shared(r#"{"alg":"HS256","crit":[]}"#, &good())),
        ("an unencoded payload", shared(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, &good())),
        ("a nested token", shared(r#"{"alg":"HS256","typ":"JWT+nested"}"#, &good())),
        ("a header twice", shared(r#"{"alg":"HS256","alg":"none"}"#, &good())),
        ("a header that is a list", shared(r#"["HS256"]"#, &good())),
        ("a header without alg", shared(r#"{"typ":"JWT"}"#, &good())),
        ("claims that are a list", shared(HEADER, "[]")),
        ("claims that are no JSON", shared(HEADER, "exp=4000000000")),
        ("roles twice", shared(HEADER, &with(r#""roles":["administrator"]"#))),
        ("exp twice", shared(HEADER, &with(r#""exp":4000000000"#))),
        ("sub twice", shared(HEADER, &with(r#""sub":"other""#))),
        ("exp is text", shared(HEADER, &good().replace("1300819380", "\"1300819380\""))),
        ("exp is a list", shared(HEADER, &good().replace("1300819380", "[1300819380]"))),
        ("exp is true", shared(HEADER, &good().replace("1300819380", "true"))),
        ("exp without end", shared(HEADER, &good().replace("1300819380", "1e999"))),
        ("nbf is text", shared(HEADER, &with(r#""nbf":"0""#))),
        ("roles are text", shared(HEADER, &good().replace(r#"["teller"]"#, "\"teller\""))),
        ("huge", shared(HEADER, &with(&format!("\"a\":\"{}\"", "x".repeat(10_000_000))))),
    ];
    for (what, token) in cases {
        assert_eq!(verify(&one, &token).await.err(), Some(Refusal::Invalid), "{what}");
    }
    // What nests beyond reason, in a claim that nobody reads, exhausts nothing.
    let nested = shared(HEADER, &with(&format!("\"a\":{}{}", "[".repeat(2_500), "]".repeat(2_500))));
    assert!(matches!(verify(&one, &nested).await, Ok(_) | Err(Refusal::Invalid)));
    for (what, change, refusal) in [
        ("another issuer", ("\"iss\":\"kehu\"", "\"iss\":\"Kehu\""), Refusal::Stranger),
        ("our clients' issuer", ("\"iss\":\"kehu\"", "\"iss\":\"kehu:clients\""), Refusal::Stranger),
        ("another audience", ("\"aud\":\"kehu\"", "\"aud\":\"kehu2\""), Refusal::Stranger),
        ("no audience of a list", ("\"aud\":\"kehu\"", "\"aud\":[]"), Refusal::Stranger),
        ("over", ("1300819380", "1300818349"), Refusal::Expired),
        ("over, with a fraction", ("1300819380", "1300818349.9"), Refusal::Expired),
        ("before all time", ("1300819380", "-1"), Refusal::Expired),
        ("too early", ("\"sub\"", "\"nbf\":1300818411,\"sub\""), Refusal::Early),
    ] {
        assert_eq!(verify(&one, &shared(HEADER, &good().replacen(change.0, change.1, 1))).await.unwrap_err(), refusal, "{what}");
    }
}

/// A client's own token is of a machine; nobody else's is, whatever it claims.
#[actix_web::test]
async fn nobody_claims_to_be_a_machine() {
    let one = Arc::new(verifier(None, in_2011()));
    let claims = good().replacen('{', r#"{"machine":true,"client_id":"ivr-1","#, 1);
    assert!(!verify(&one, &shared(HEADER, &claims)).await.unwrap().machine);
    let forged = shared(r#"{"alg":"HS256","typ":"at+jwt","kid":"kehu-client"}"#, &claims.replace("\"kehu\"", "\"kehu:clients\""));
    assert_eq!(verify(&one, &forged).await.unwrap_err(), Refusal::Invalid);
}
