//! A caller of the API.

use std::{future::poll_fn, time::Duration};

use actix_web::{
    body::{BoxBody, MessageBody},
    dev::ServiceResponse,
    http::{
        Method, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap},
    },
    test::{self, TestRequest},
};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{App, SECRET};

/// A caller with its token and the headers that it always sends.
#[derive(Clone)]
pub struct Client<'a> {
    app: &'a App,
    token: Option<String>,
    headers: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

/// A stream that was opened.
pub struct Listening {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: BoxBody,
}

impl<'a> Client<'a> {
    pub(super) fn new(app: &'a App, token: Option<String>) -> Self {
        Self { app, token, headers: Vec::new() }
    }

    /// The same caller, sending another header.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.headers.push((name.to_owned(), value.to_owned()));
        other
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// A POST that takes `If-Match`.
    pub async fn command(&self, path: &str, version: i64, body: Value) -> Answer {
        self.with("If-Match", &format!("\"{version}\"")).post(path, body).await
    }

    pub async fn patch(&self, path: &str, version: i64, body: Value) -> Answer {
        let body = body.to_string().into_bytes();
        self.with("If-Match", &format!("\"{version}\"")).send(Method::PATCH, path, Some(("application/json", body))).await
    }

    /// Any request, with any body.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let response = self.call(method, path, body).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // A stream has no end; see `Client::listen`.
        let endless = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let bytes = if endless { Vec::new() } else { test::read_body(response).await.to_vec() };
        Answer { status, headers, bytes }
    }

    /// Opens a stream.
    pub async fn listen(&self, path: &str) -> Listening {
        let response = self.call(Method::GET, path, None).await;
        Listening { status: response.status().as_u16(), headers: response.headers().clone(), body: response.into_body() }
    }

    /// As [`Client::send`], for answers that may go on without end: what came until nothing came for a while.
    pub async fn send_for(&self, patience: Duration, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let response = self.call(method, path, body).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (mut stream, mut bytes) = (std::pin::pin!(response.into_body()), Vec::new());
        while let Ok(Some(Ok(chunk))) = tokio::time::timeout(patience, poll_fn(|cx| stream.as_mut().poll_next(cx))).await {
            bytes.extend_from_slice(&chunk);
        }
        Answer { status, headers, bytes }
    }

    async fn call(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> ServiceResponse {
        let mut request = TestRequest::with_uri(path).method(method);
        if let Some(token) = &self.token {
            request = request.insert_header((AUTHORIZATION, format!("Bearer {token}")));
        }
        for (name, value) in &self.headers {
            request = request.append_header((name.as_str(), value.as_str()));
        }
        if let Some((media, bytes)) = body {
            request = request.insert_header((CONTENT_TYPE, media)).set_payload(bytes);
        }
        (self.app.call)(request.to_request()).await
    }
}

impl Answer {
    /// The body, after checking the status; shows the body when the status is another.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    /// The code of a problem, after checking its status and shape.
    #[track_caller]
    pub fn problem(self, status: u16) -> String {
        self.problem_body(status)["code"].as_str().unwrap().to_owned()
    }

    /// The pointers of a problem's fields, sorted.
    #[track_caller]
    pub fn pointers(self, status: u16) -> Vec<String> {
        let body = self.problem_body(status);
        let mut pointers: Vec<String> =
            body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
        pointers.sort();
        pointers
    }

    #[track_caller]
    pub fn problem_body(self, status: u16) -> Value {
        let media = self.header("content-type").unwrap_or_default();
        let body = self.expect(status);
        assert!(media.starts_with("application/problem+json"), "{media}: {body}");
        assert_eq!(body["status"], status);
        assert_eq!(StatusCode::from_u16(status).unwrap().as_u16(), status);
        body
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

/// A token of one role.
pub fn token(role: &str, branch: Option<&str>) -> String {
    sign(json!({ "sub": format!("test-{role}"), "roles": [role], "branch": branch }))
}

/// A token with these claims, valid for an hour unless they say otherwise.
pub fn sign(claims: Value) -> String {
    sign_with(&Header::default(), &EncodingKey::from_secret(SECRET.as_bytes()), claims)
}

/// The same, with another header and key. A claim of null is left out.
pub fn sign_with(header: &Header, key: &EncodingKey, claims: Value) -> String {
    let now = kehu_kernel::time::Clock::system().now().seconds();
    let mut all = json!({ "sub": "somebody", "iat": now, "exp": now + 3600, "iss": "kehu", "aud": "kehu" });
    let all = all.as_object_mut().unwrap();
    all.extend(claims.as_object().unwrap().clone());
    all.retain(|_, value| !value.is_null());
    encode(header, &all, key).unwrap()
}
