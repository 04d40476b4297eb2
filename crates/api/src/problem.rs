//! Problem details (RFC 9457): the only shape in which anything that went wrong is answered.

use actix_web::{
    HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE},
    },
    middleware::Next,
};
use kehu_customer::{CustomerId, matching::bank::CustomerMatch};
use kehu_kernel::{Error, FieldError, error::Obstacle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{language::Language, trace};

/// What went wrong with a request, after RFC 9457.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Identifies the kind of problem; resolves to nothing, compare it as text or use `code`.
    #[serde(rename = "type")]
    #[schema(format = "uri", max_length = 200, example = "urn:kehu:problem:not_found")]
    pub kind: String,
    /// The kind of problem in words, in English or Chinese as `Accept-Language` asks.
    #[schema(max_length = 200, example = "Not found")]
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 300, maximum = 599, example = 404)]
    pub status: u16,
    /// What is wrong with this request and what to do about it.
    #[schema(max_length = 2000)]
    pub detail: Option<String>,
    /// Path of the request.
    #[schema(max_length = 2000, example = "/v1/branches/01890a5d-ac96-774b-bcce-b302099a8057")]
    pub instance: Option<String>,
    /// Stable code of the kind of problem, for programs.
    #[schema(max_length = 64, example = "not_found")]
    pub code: String,
    /// The fields that break a rule; empty when the problem is not about fields.
    #[schema(max_items = 1000)]
    pub errors: Vec<FieldError>,
    /// Identifies this request in the logs; tell it to the operator.
    #[schema(max_length = 128)]
    pub request_id: Option<String>,
    /// The present version of a record whose precondition failed.
    pub current_version: Option<i64>,
    /// The records that stand in the way, of codes such as `erasure_refused`; null for other problems.
    #[schema(max_items = 1000)]
    pub obstacles: Option<Vec<Obstacle>>,
    /// The customers that a new one looks like, of the code `duplicate_customer`: the best match first.
    #[schema(value_type = Option<Vec<CustomerMatch>>, max_items = 20)]
    pub candidates: Option<Box<Value>>,
    /// The customer of which the record is part now, of the problem `customer_merged`.
    pub merged_into: Option<CustomerId>,
    /// The language in which it is told.
    #[serde(skip)]
    pub language: Language,
    /// Seconds until another try makes sense.
    #[serde(skip)]
    pub retry_after: Option<u32>,
    /// The methods that the path has.
    #[serde(skip)]
    pub allow: Option<String>,
}

/// Code, status and title of every kind of problem.
pub const TABLE: &[(&str, u16, &str)] = &[
    ("malformed_request", 400, "The request cannot be read"),
    ("unauthenticated", 401, "Not authenticated"),
    ("forbidden", 403, "Not allowed"),
    ("not_found", 404, "Not found"),
    ("method_not_allowed", 405, "Method not allowed"),
    ("not_acceptable", 406, "Not acceptable"),
    ("request_timeout", 408, "The request took too long to arrive"),
    ("conflict", 409, "Conflict with the present state"),
    ("gone", 410, "Gone"),
    ("precondition_failed", 412, "The record was changed meanwhile"),
    ("body_too_large", 413, "The body is too large"),
    ("unsupported_media_type", 415, "Unsupported media type"),
    ("range_not_satisfiable", 416, "The file has no such bytes"),
    ("invalid_input", 422, "The input breaks a rule"),
    ("precondition_required", 428, "If-Match is required"),
    ("too_many_requests", 429, "Too many requests"),
    ("headers_too_large", 431, "The headers are too large"),
    ("internal_error", 500, "Internal error"),
    ("not_implemented", 501, "Not implemented"),
    ("unavailable", 503, "Unavailable for the moment"),
];

impl Problem {
    /// A problem of a status, with the status's own code.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        let row = TABLE.iter().find(|(_, known, _)| *known == status.as_u16());
        let (code, title) = row.map_or(("http_error", "HTTP error"), |(code, _, title)| (code, title));
        Self {
            kind: format!("urn:kehu:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            instance: None,
            code: code.to_owned(),
            errors: Vec::new(),
            request_id: None,
            current_version: None,
            obstacles: None,
            candidates: None,
            merged_into: None,
            language: Language::English,
            retry_after: None,
            allow: None,
        }
    }

    /// The same problem with a sentence about this request.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// The same problem with a more exact code; the title stays that of the status.
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        Self { kind: format!("urn:kehu:problem:{code}"), code: code.to_owned(), ..self }
    }

    /// The same problem, to be tried again after so many seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// A body that cannot be read at all.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST).detail(detail)
    }

    /// Nobody, or nobody we know.
    #[must_use]
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED).detail(detail)
    }

    /// A write to a record that was merged into another customer.
    #[must_use]
    pub fn merged(id: CustomerId, survivor: CustomerId) -> Self {
        let detail = format!("The record {id} was merged into the customer {survivor}: repeat the change there.");
        Self { merged_into: Some(survivor), ..Self::new(StatusCode::CONFLICT).code("customer_merged").detail(detail) }
    }

    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Tells everything that is written for people in a language.
    fn localise(&mut self, language: Language) {
        self.language = language;
        if language == Language::English {
            return;
        }
        let texts = self.errors.iter_mut().map(|error| &mut error.message);
        let texts = texts.chain(self.obstacles.iter_mut().flatten().map(|obstacle| &mut obstacle.message));
        for text in texts.chain(&mut self.detail).chain([&mut self.title]) {
            *text = language.say(text);
        }
    }

    /// What callers call things is told them as they wrote it, but within what the document says of these texts.
    fn fit(mut self) -> Self {
        for error in &mut self.errors {
            fit(&mut error.pointer, 500);
            fit(&mut error.message, 1000);
        }
        for text in self.detail.iter_mut().chain(&mut self.instance) {
            fit(text, 2000);
        }
        self
    }
}

/// At most so many characters, and none that a text cannot have.
fn fit(text: &mut String, most: usize) {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::new(StatusCode::NOT_FOUND),
            Error::Conflict { code, detail } => Self::new(StatusCode::CONFLICT).code(code).detail(detail),
            Error::Refused { code, detail, obstacles } => {
                Self { obstacles: Some(obstacles), ..Self::new(StatusCode::CONFLICT).code(code).detail(detail) }
            }
            Error::DuplicateCustomer { detail, candidates } => Self {
                candidates: Some(Box::new(candidates)),
                ..Self::new(StatusCode::CONFLICT).code("duplicate_customer").detail(detail)
            },
            Error::Invalid(errors) => {
                let unreadable = errors.iter().all(|error| error.pointer.starts_with('?'));
                let status = if unreadable { StatusCode::BAD_REQUEST } else { StatusCode::UNPROCESSABLE_ENTITY };
                let detail = errors.first().map(|error| error.message.clone());
                Self { errors, detail, ..Self::new(status) }
            }
            Error::Forbidden(detail) => Self::new(StatusCode::FORBIDDEN).detail(detail),
            Error::PreconditionFailed { current } => Self {
                current_version: Some(current),
                ..Self::new(StatusCode::PRECONDITION_FAILED).detail("Read the record again and repeat the change on it.")
            },
            Error::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE).code("busy").retry_after(1),
            Error::Unavailable(cause) => {
                log::error!("the database is unavailable: {cause}");
                Self::new(StatusCode::SERVICE_UNAVAILABLE).retry_after(5)
            }
            Error::Internal(cause) => {
                log::error!("internal error: {cause}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        response.insert_header((CONTENT_LANGUAGE, self.language.tag())).append_header((VARY, "accept-language"));
        if let Some(seconds) = self.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(methods) = &self.allow {
            response.insert_header((ALLOW, methods.as_str()));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"kehu\""));
        }
        if let Some(id) = &self.request_id {
            response.insert_header((trace::REQUEST_ID, id.as_str()));
        }
        for (name, value) in trace::SECURITY {
            response.insert_header((name, value));
        }
        response.json(self.clone().fit())
    }
}

/// Outermost in the chain of answers: gives every problem its instance, request id and language, and
/// turns what actix itself refuses into a problem.
///
/// # Errors
/// What an inner layer returns as an error instead of a response.
pub async fn finish<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, actix_web::Error> {
    // No clone of the request may live while actix routes it, so that what an inner layer returns as `Err`
    // (a time-out) has lost its request; its answer is completed from these.
    let (path, language) = (request.path().to_owned(), Language::of(&request));
    let id = trace::id_of(&request.extensions());
    match next.call(request).await {
        Ok(response) => Ok(complete(response.map_into_left_body())),
        Err(error) => Err(match error.as_error::<Problem>() {
            Some(problem) => {
                let mut problem = Problem { instance: Some(path), request_id: id, ..problem.clone() };
                problem.localise(language);
                problem.into()
            }
            None => error,
        }),
    }
}

fn complete<B: MessageBody + 'static>(
    response: ServiceResponse<EitherBody<B, BoxBody>>,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let known = response.response().error().and_then(|error| error.as_error::<Problem>()).cloned();
    let foreign = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/"));
    let mut problem = match known {
        Some(problem) => problem,
        // Somebody wrote a body of their own on purpose (a replayed answer, an OAuth error).
        None if foreign => return response,
        None => Problem::new(status),
    };
    let request = response.request();
    problem.instance = Some(request.path().to_owned());
    problem.request_id = trace::id_of(&request.extensions());
    problem.localise(Language::of(request));
    let mut answer = problem.error_response();
    // What inner layers have said stays, but for what is said anew; what varies is added up.
    let anew: Vec<_> = answer.headers().keys().filter(|name| **name != VARY).cloned().collect();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH && !anew.contains(name) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.into_response(answer.map_into_right_body())
}
