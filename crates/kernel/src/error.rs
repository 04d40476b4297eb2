//! The one error type. What each variant becomes in HTTP is told by the api crate.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::AnyId;

/// The result of every fallible function of Kehu.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Absent, or out of the caller's sight; the two look alike on purpose.
    #[error("not found")]
    NotFound,
    /// The request contradicts the present state.
    #[error("conflict: {code}: {detail}")]
    Conflict {
        /// Stable code of the problem table.
        code: &'static str,
        /// What stands in the way and what to do about it.
        detail: String,
    },
    /// Records stand in the way, each of them named.
    #[error("refused: {code}: {detail}")]
    Refused {
        /// Stable code of the problem table.
        code: &'static str,
        /// What to do about it.
        detail: String,
        /// What stands in the way.
        obstacles: Vec<Obstacle>,
    },
    /// What is to be created looks like customers that are there already.
    #[error("duplicate customer: {detail}")]
    DuplicateCustomer {
        /// What to do about it.
        detail: String,
        /// The customers that it looks like, as the caller may see them: a list of JSON objects.
        candidates: serde_json::Value,
    },
    /// Fields that break a rule, all of them at once.
    #[error("invalid input: {0:?}")]
    Invalid(Vec<FieldError>),
    /// The caller may know that the thing exists but not do this.
    #[error("forbidden: {0}")]
    Forbidden(String),
    /// The caller's version is stale.
    #[error("stale version, the current one is {current}")]
    PreconditionFailed {
        /// The version to read again.
        current: i64,
    },
    /// Somebody else is writing; the same request may be sent again.
    #[error("busy")]
    Busy,
    /// The database cannot be reached or cannot write.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault of ours or of the machine; the cause is logged, never shown.
    #[error("internal error: {0}")]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// A record that stands in the way of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Obstacle {
    /// Stable code of why it does.
    #[schema(example = "open_account_link", max_length = 64)]
    pub code: String,
    /// The kind of record.
    #[schema(example = "account_links", max_length = 64)]
    pub held_in: String,
    /// The record.
    pub id: AnyId,
    /// Why, in words.
    #[schema(example = "A link to an account is open.", max_length = 500)]
    pub message: String,
}

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the body, or `?name` for a query parameter.
    #[schema(example = "/birth_date", max_length = 500)]
    pub pointer: String,
    /// Stable code of the broken rule.
    #[schema(example = "in_future", max_length = 64)]
    pub code: String,
    /// The rule in words.
    #[schema(example = "A birth date cannot lie in the future.", max_length = 1000)]
    pub message: String,
}

impl FieldError {
    /// A broken rule at a pointer.
    #[must_use]
    pub fn new(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code: code.to_owned(), message: message.into() }
    }
}

impl Error {
    /// One broken rule.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError::new(pointer, code, message)])
    }

    /// The same error of a part: pointers lead through the part's own place.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        let below = |fault: FieldError| FieldError { pointer: format!("{place}{}", fault.pointer), ..fault };
        match self {
            Self::Invalid(faults) => Self::Invalid(faults.into_iter().map(below).collect()),
            other => other,
        }
    }

    /// A contradiction with the present state.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Conflict { code, detail: detail.into() }
    }

    /// A fault of ours, from any cause.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// A fault of ours whose cause only knows how to be shown.
    #[must_use]
    pub fn internal_display(cause: impl std::fmt::Display) -> Self {
        Self::Internal(cause.to_string().into())
    }

    /// Whether sending the same request again may succeed without any change.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable(_))
    }
}

/// Names a violated unique constraint: `.map_err(taken("code", "A branch with this code exists."))`.
///
/// Any other error passes through unchanged.
pub fn taken(code: &'static str, detail: &'static str) -> impl Fn(DieselError) -> Error {
    move |error| match error {
        DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => Error::conflict(code, detail),
        other => other.into(),
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, info) = &error else {
            return match error {
                DieselError::NotFound => Self::NotFound,
                other => Self::internal(other),
            };
        };
        let message = info.message();
        match kind {
            DatabaseErrorKind::SerializationFailure => Self::Busy,
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection => Self::Unavailable(message.to_owned()),
            DatabaseErrorKind::UniqueViolation => Self::conflict("duplicate", "A record with the same key exists already."),
            DatabaseErrorKind::ForeignKeyViolation => {
                Self::conflict("reference_broken", "A record that this one refers to is gone, or others still refer to it.")
            }
            _ if is_overflow(message) => Self::conflict("out_of_range", "A sum is larger than can be told."),
            _ if is_busy(message) => Self::Busy,
            _ if is_unavailable(message) => Self::Unavailable(message.to_owned()),
            _ => Self::internal(error),
        }
    }
}

/// A sum that does not fit into 64 bits.
fn is_overflow(message: &str) -> bool {
    ["integer overflow", "bigint out of range"].iter().any(|text| message.contains(text))
}

/// Deadlock victims of PostgreSQL and lock time-outs of either database come without a kind of their own.
fn is_busy(message: &str) -> bool {
    ["deadlock detected", "distributed deadlock", "database is locked", "could not serialize", "lock timeout"]
        .iter()
        .any(|text| message.contains(text))
}

/// A full or failing disk, a server that shuts down or starts up: nothing was written, try later.
fn is_unavailable(message: &str) -> bool {
    [
        "disk is full",
        "No space left",
        "disk I/O error",
        "readonly database",
        "the database system is",
        "terminating connection",
        "server closed the connection",
        "could not connect",
        "connection to server",
        "no connection to the server",
    ]
    .iter()
    .any(|text| message.contains(text))
}
