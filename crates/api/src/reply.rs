//! Successful answers: a resource with its `ETag`, a created one with its `Location`, a list, a report.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    body::BoxBody,
    http::{
        StatusCode,
        header::{ETAG, IF_NONE_MATCH, LOCATION},
    },
};
use serde::Serialize;

use crate::problem::Problem;

/// What handlers return.
pub type Answer<T> = Result<Reply<T>, Problem>;

/// A successful answer.
#[derive(Debug)]
pub struct Reply<T> {
    status: StatusCode,
    body: T,
    version: Option<i64>,
    location: Option<String>,
    changes: bool,
}

impl<T: Serialize> Reply<T> {
    /// A list or a report: no version of its own.
    pub const fn ok(body: T) -> Self {
        Self { status: StatusCode::OK, body, version: None, location: None, changes: false }
    }

    /// A single resource with its version as `ETag`.
    pub const fn versioned(version: i64, body: T) -> Self {
        Self { status: StatusCode::OK, body, version: Some(version), location: None, changes: false }
    }

    /// A single resource that says something else with each read, such as a fresh link: it is never "not modified".
    pub fn fresh(version: i64, body: T) -> Self {
        Self { changes: true, ..Self::versioned(version, body) }
    }

    /// A resource that was just created, with the path where it is from now on.
    pub const fn created(location: String, version: i64, body: T) -> Self {
        Self { status: StatusCode::CREATED, body, version: Some(version), location: Some(location), changes: false }
    }

    /// Work that goes on after the answer; the body says how to follow it.
    pub const fn accepted(location: String, body: T) -> Self {
        Self { status: StatusCode::ACCEPTED, body, version: None, location: Some(location), changes: false }
    }
}

/// The `ETag` of a version.
#[must_use]
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

impl<T: Serialize> Responder for Reply<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let tag = self.version.map(etag);
        let seen = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        if let (Some(tag), Some(seen)) = (&tag, seen) {
            let same = seen
                .split(',')
                .any(|part| matches!(part.trim().trim_start_matches("W/"), "*") || part.trim().trim_start_matches("W/") == tag);
            if same && !self.changes && self.status == StatusCode::OK && request.method().is_safe() {
                return HttpResponse::NotModified().insert_header((ETAG, tag.as_str())).finish();
            }
        }
        let mut response = HttpResponse::build(self.status);
        if let Some(tag) = tag {
            response.insert_header((ETAG, tag));
        }
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        response.json(self.body)
    }
}
