//! What handlers take: the caller, strict JSON, strict queries, ids of the path, the expected version.

use std::{future::Future, ops::Deref, pin::Pin, str::FromStr};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{
        StatusCode,
        header::{ACCEPT, CONTENT_TYPE, IF_MATCH},
    },
    web,
};
use futures_util::StreamExt;
use kehu_kernel::{Actor, Error, FieldError, Id, PageParams, check};
use serde::de::DeserializeOwned;
use validator::Validate;

use crate::{
    openapi,
    problem::Problem,
    strict::{NUL, Strict},
};

/// How large a JSON body may be unless a route sets another limit, in bytes.
pub const BODY_LIMIT: usize = 2 * 1024 * 1024;

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// A JSON body that was read strictly and checked: unknown fields, wrong types and broken rules are
/// answered with the pointer of each field.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media = media_type(request);
        let limit = request.app_data::<BodyLimit>().map_or(BODY_LIMIT, |limit| limit.0);
        let mut payload = payload.take();
        Box::pin(async move {
            media?;
            let mut body = web::BytesMut::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| Problem::malformed(format!("The body broke off: {error}.")))?;
                if body.len() + chunk.len() > limit {
                    let detail = format!("A body may have {limit} bytes.");
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(detail));
                }
                body.extend_from_slice(&chunk);
            }
            read_json(&body).map(Self)
        })
    }
}

/// Another body limit for the routes of one scope, as `app_data`.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

fn media_type(request: &HttpRequest) -> Result<(), Problem> {
    let text = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = text.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "application/merge-patch+json" => Ok(()),
        _ => Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).detail("Send the body as application/json.")),
    }
}

/// Reads and checks a body.
///
/// # Errors
/// 400 when it is no JSON, 422 with pointers when it breaks rules.
pub fn read_json<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|error| {
        let path = pointer(error.path());
        let cause = error.into_inner();
        if cause.is_data() {
            let message = sentence(&cause);
            Error::invalid(format!("{path}{}", field_of(&message)), "invalid_value", message).into()
        } else if !path.is_empty() && is_json(body) {
            // serde_json takes what can be no enum, such as null, for broken JSON.
            Error::invalid(path, "invalid_value", "expected one of the values of this field").into()
        } else {
            Problem::malformed(sentence(&cause))
        }
    })?;
    reader.end().map_err(|error| Problem::malformed(sentence(&error)))?;
    value.validate().map_err(|errors| Problem::from(Error::Invalid(check::faults(&errors))))?;
    Ok(value)
}

/// Whether a body can be read at all, whatever it says.
fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(body).is_ok()
}

/// serde_json's message without the position, which a pointer tells better.
fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) if error.is_data() => message.to_owned(),
        _ => text,
    }
}

/// The field that a message is about, where it is not on the path: one that is missing or stands twice.
fn field_of(message: &str) -> String {
    let named = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("duplicate field `"));
    named.and_then(|rest| rest.split('`').next()).map(|field| format!("/{}", escape(field))).unwrap_or_default()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", escape(key)),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

/// A key as a part of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The query of a list: its own filters and what every list takes. Unknown parameters are refused.
#[derive(Debug)]
pub struct ListQuery<F> {
    /// Filters of this list.
    pub filter: F,
    /// Page size, cursor, total.
    pub page: PageParams,
}

const PAGE_PARAMETERS: [&str; 3] = ["limit", "cursor", "include_total"];

impl<F: DeserializeOwned + 'static> FromRequest for ListQuery<F> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready((|| {
            let pairs = parse_query(request)?;
            let (page, filter): (Vec<_>, Vec<_>) =
                pairs.into_iter().partition(|(name, _)| PAGE_PARAMETERS.contains(&name.as_str()));
            Ok(Self { filter: typed(&filter)?, page: typed(&page)? })
        })())
    }
}

/// The filters of a list that has none.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The query of anything that is no list. Unknown parameters are refused.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Query<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(parse_query(request).and_then(|pairs| typed(&pairs)).map(Self))
    }
}

fn parse_query(request: &HttpRequest) -> Result<Vec<(String, String)>, Problem> {
    let pairs: Vec<(String, String)> =
        serde_html_form::from_str(request.query_string()).map_err(|error| Problem::malformed(error.to_string()))?;
    check_lengths(&request.match_pattern().unwrap_or_default(), &pairs)?;
    Ok(pairs)
}

/// The parameters that a query to this path would have, read as the query would be.
///
/// # Errors
/// 400 for what the path does not take.
pub(crate) fn query_of<T: DeserializeOwned>(path: &str, pairs: &[(String, String)]) -> Result<T, Problem> {
    check_lengths(path, pairs)?;
    typed(pairs)
}

/// Refuses parameters that are longer than the document allows.
fn check_lengths(path: &str, pairs: &[(String, String)]) -> Result<(), Problem> {
    for (name, value) in pairs {
        if name.contains('\0') || value.contains('\0') {
            return Err(Error::invalid(format!("?{name}"), "invalid_parameter", NUL).into());
        }
        if let Some(fault) = openapi::query::fault(path, name, value) {
            return Err(Error::Invalid(vec![fault]).into());
        }
    }
    Ok(())
}

fn typed<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, Problem> {
    let text = serde_html_form::to_string(pairs).map_err(|error| Problem::malformed(error.to_string()))?;
    let reader = serde_html_form::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
    serde_path_to_error::deserialize(reader).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // An unknown parameter has no path of its own; its name stands in the message.
        let name = if path == "." { message.split('`').nth(1).unwrap_or("").to_owned() } else { path };
        Error::Invalid(vec![FieldError::new(format!("?{name}"), "invalid_parameter", message)]).into()
    })
}

/// Nothing is there for this method: 405 when the path has other methods, else 404.
pub(crate) fn nothing_at(request: &HttpRequest) -> Problem {
    let methods = openapi::methods_of(request.path());
    if methods.is_empty() || methods.iter().any(|method| method == request.method().as_str()) {
        return Problem::new(StatusCode::NOT_FOUND);
    }
    Problem { allow: Some(methods.join(", ")), ..Problem::new(StatusCode::METHOD_NOT_ALLOWED) }
}

/// An id of the path. What is no id names nothing: 404.
#[derive(Debug)]
pub struct Path<T: 'static>(pub Id<T>);

impl<T> Clone for Path<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Path<T> {}

impl<T: 'static> FromRequest for Path<T> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // The last id of the path; routes with two ids take `Path2`.
        let last = request.match_info().iter().last().and_then(|(_, text)| Id::from_str(text).ok());
        std::future::ready(last.map(Self).ok_or_else(|| nothing_at(request)))
    }
}

/// Two ids of the path: the parent's and the child's.
#[derive(Debug)]
pub struct Path2<P: 'static, C: 'static>(pub Id<P>, pub Id<C>);

impl<P: 'static, C: 'static> FromRequest for Path2<P, C> {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut ids = request.match_info().iter().map(|(_, text)| text);
        let both = ids.next().and_then(|text| Id::from_str(text).ok()).zip(ids.next().and_then(|text| Id::from_str(text).ok()));
        std::future::ready(both.map(|(parent, child)| Self(parent, child)).ok_or_else(|| nothing_at(request)))
    }
}

/// The version that a change expects, from `If-Match`. Absent: 428.
#[derive(Clone, Copy, Debug)]
pub struct IfMatch(pub i64);

/// How `If-Match` is documented; PATCH operations get it by themselves, commands name it in `params`.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// The `ETag` of the record as the caller last saw it. Stale: 412 with the present version; absent: 428.
    #[param(
        rename = "If-Match",
        required = true,
        min_length = 1,
        max_length = 32,
        example = "\"3\"",
        pattern = r#"^(\*|[0-9]{1,18}|(W/)?"[!#-~]*")$"#
    )]
    pub if_match: String,
}

impl FromRequest for IfMatch {
    type Error = Problem;
    type Future = std::future::Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get(IF_MATCH).and_then(|value| value.to_str().ok());
        std::future::ready(match header {
            None => Err(Problem::new(StatusCode::PRECONDITION_REQUIRED).detail("Send the ETag of the record as If-Match.")),
            Some(tag) => expected(tag)
                .map(Self)
                .ok_or_else(|| Problem::malformed("If-Match takes the ETag of the record as it was sent, in quotes.")),
        })
    }
}

/// The longest entity tag.
const LONGEST_TAG: usize = 32;

/// The version that an entity tag stands for; `-1`, which no record has, for a tag that was never ours, and nothing for what
/// is no tag at all.
fn expected(tag: &str) -> Option<i64> {
    let tag = Some(tag.trim()).filter(|tag| tag.len() <= LONGEST_TAG)?;
    if tag == "*" {
        return Some(-1);
    }
    let quoted = tag.strip_prefix("W/").unwrap_or(tag);
    match quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) if inner.bytes().any(|byte| byte == b'"' || !byte.is_ascii_graphic()) => None,
        Some(inner) if quoted == tag => Some(inner.parse().unwrap_or(-1)),
        Some(_) => Some(-1),
        None if tag.len() > 18 || !tag.bytes().all(|byte| byte.is_ascii_digit()) => None,
        None => tag.parse().ok(),
    }
}

/// Whether the caller takes what the operations answer: JSON, or of streams server-sent events.
fn accepts(request: &HttpRequest) -> bool {
    let Some(text) = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()) else { return true };
    let refused = |parameters: &str| {
        parameters.split(';').any(|parameter| matches!(parameter.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    };
    text.split(',').any(|range| {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let kind = kind.trim().to_ascii_lowercase();
        let ours = ["*/*", "application/*", "application/json", "application/problem+json", "text/*", "text/event-stream"];
        ours.contains(&kind.as_str()) && !refused(parameters)
    })
}

/// Who calls, verified.
#[derive(Clone, Debug)]
pub struct Caller(pub Actor);

impl Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.0
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = request.app_data::<web::Data<crate::gate::Gate>>().cloned();
        let request = request.clone();
        Box::pin(async move {
            let gate = gate.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR))?;
            let actor = gate.admit(&request).await?;
            if !accepts(&request) {
                return Err(Problem::new(StatusCode::NOT_ACCEPTABLE).detail("Answers are application/json."));
            }
            Ok(Self(actor))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[validate(length(max = 3))]
        name: String,
        #[validate(nested)]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, Validate)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[validate(range(min = 1))]
        count: i32,
    }

    fn refusal(body: &str) -> (u16, Vec<String>) {
        let problem = read_json::<Outer>(body.as_bytes()).unwrap_err();
        (problem.status, problem.errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn tags_are_told_from_what_is_none() {
        for (tag, version) in [("\"3\"", Some(3)), ("3", Some(3)), ("\"abc\"", Some(-1)), ("W/\"3\"", Some(-1)), ("*", Some(-1))]
        {
            assert_eq!(expected(tag), version, "{tag}");
        }
        for garbage in ["", "abc", "-3", "\"3", "\"a\"b\"", "W/\"3", "W/3", &"3".repeat(33)] {
            assert_eq!(expected(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn every_refusal_points_at_its_field() {
        for (body, status, pointers) in [
            (r#"{"name":"a","inner":[{"count":"x"}]}"#, 422, vec!["/inner/0/count"]),
            (r#"{"name":"a","inner":[{"count":1,"a/b":2}]}"#, 422, vec!["/inner/0/a~1b"]),
            (r#"{"name":"a","name":"b","inner":[]}"#, 422, vec!["/name"]),
            (r#"{"inner":[{"count":1}]}"#, 422, vec!["/name"]),
            (r#"{"name":"a","inner":[{}]}"#, 422, vec!["/inner/0/count"]),
            (r#"{"name":"long name","inner":[{"count":1},{"count":0}]}"#, 422, vec!["/inner/1/count", "/name"]),
            (r#"["a",[]]"#, 422, vec![""]),
            (r#"{"name":"a","inner":[[1]]}"#, 422, vec!["/inner/0"]),
            (r#"{"name":"\u0000","inner":[]}"#, 422, vec!["/name"]),
            (r#"{"name":"\ud800","inner":[]}"#, 400, vec![]),
            (r#"{"name":"a""#, 400, vec![]),
            (r#"{"name":"a","inner":[]} x"#, 400, vec![]),
        ] {
            assert_eq!(refusal(body), (status, pointers.into_iter().map(String::from).collect()), "{body}");
        }
        let sound: Outer = read_json(r#" {"name":"客户","inner":[{"count":1}]} "#.as_bytes()).unwrap();
        assert_eq!((sound.name.as_str(), sound.inner.len(), sound.inner[0].count), ("客户", 1, 1));
    }
}
