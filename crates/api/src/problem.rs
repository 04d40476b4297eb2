//! Problem details (RFC 9457): the only shape in which anything that went wrong is answered.

use actix_web::{
    HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{ACCEPT_LANGUAGE, ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    middleware::Next,
};
use kehu_customer::{CustomerId, matching::bank::CustomerMatch};
use kehu_kernel::{Error, FieldError, error::Obstacle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::trace;

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
    /// Seconds until another try makes sense.
    #[serde(skip)]
    pub retry_after: Option<u32>,
    /// The methods that the path has.
    #[serde(skip)]
    pub allow: Option<String>,
}

/// Code, status, English and Chinese title of every kind of problem.
const TABLE: &[(&str, u16, &str, &str)] = &[
    ("malformed_request", 400, "The request cannot be read", "请求无法解析"),
    ("unauthenticated", 401, "Not authenticated", "未通过身份验证"),
    ("forbidden", 403, "Not allowed", "没有权限"),
    ("not_found", 404, "Not found", "未找到"),
    ("method_not_allowed", 405, "Method not allowed", "不支持该方法"),
    ("not_acceptable", 406, "Not acceptable", "无法提供所要求的格式"),
    ("request_timeout", 408, "The request took too long to arrive", "请求超时"),
    ("conflict", 409, "Conflict with the present state", "与当前状态冲突"),
    ("gone", 410, "Gone", "已不存在"),
    ("precondition_failed", 412, "The record was changed meanwhile", "记录已被修改"),
    ("body_too_large", 413, "The body is too large", "请求体过大"),
    ("unsupported_media_type", 415, "Unsupported media type", "不支持的媒体类型"),
    ("invalid_input", 422, "The input breaks a rule", "输入不符合规则"),
    ("precondition_required", 428, "If-Match is required", "缺少 If-Match"),
    ("too_many_requests", 429, "Too many requests", "请求过多"),
    ("headers_too_large", 431, "The headers are too large", "请求头过大"),
    ("internal_error", 500, "Internal error", "内部错误"),
    ("not_implemented", 501, "Not implemented", "未实现"),
    ("unavailable", 503, "Unavailable for the moment", "服务暂不可用"),
];

impl Problem {
    /// A problem of a status, with the status's own code.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        let row = TABLE.iter().find(|(_, known, ..)| *known == status.as_u16());
        let (code, title) = row.map_or(("http_error", "HTTP error"), |(code, _, title, _)| (code, title));
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

    fn localise(&mut self, chinese: bool) {
        let row = TABLE.iter().find(|(_, status, ..)| *status == self.status);
        if let (true, Some((.., title))) = (chinese, row) {
            (*title).clone_into(&mut self.title);
        }
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
        response.json(self)
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
    let (path, chinese) = (request.path().to_owned(), wants_chinese(request.headers()));
    let id = trace::id_of(&request.extensions());
    match next.call(request).await {
        Ok(response) => Ok(complete(response.map_into_left_body())),
        Err(error) => Err(match error.as_error::<Problem>() {
            Some(problem) => {
                let mut problem = Problem { instance: Some(path), request_id: id, ..problem.clone() };
                problem.localise(chinese);
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
    problem.localise(wants_chinese(request.headers()));
    let mut answer = problem.error_response();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && !answer.headers().contains_key(name) && name != actix_web::http::header::CONTENT_LENGTH {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.into_response(answer.map_into_right_body())
}

/// Whether Chinese is wanted more than English; ties and silence mean English.
fn wants_chinese(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(ACCEPT_LANGUAGE).and_then(|value: &HeaderValue| value.to_str().ok()) else { return false };
    let weight = |prefix: &str| {
        text.split(',')
            .filter_map(|part| {
                let (tag, weight) = part.split_once(";q=").unwrap_or((part, "1"));
                tag.trim().to_ascii_lowercase().starts_with(prefix).then(|| weight.trim().parse::<f32>().unwrap_or(0.0))
            })
            .fold(0.0, f32::max)
    };
    weight("zh") > weight("en")
}
