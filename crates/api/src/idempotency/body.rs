//! Bodies: the fingerprint of what comes, the copy of what goes.

use actix_web::{
    HttpMessage, HttpResponse,
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest},
    http::{
        StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LOCATION},
    },
    web::{Bytes, BytesMut},
};
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};

use super::record::Kept;
use crate::problem::Problem;

/// So much of a body is read before the work begins; of a file, the rest is told by its length and digest.
const HEAD: usize = 4 * 1024 * 1024;
/// Larger answers are not kept.
const ANSWER: usize = 1024 * 1024;
/// The headers that belong to an answer, and not to the way it went.
const KEPT_HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// What tells this request from another one with the same key. The body is put back for the handler.
pub(super) async fn fingerprint(request: &mut ServiceRequest) -> Result<String, Problem> {
    let mut hash = Sha256::new();
    for name in ["content-type", "if-match", "content-digest", "digest"] {
        let value = request.headers().get(name).map(|value| value.as_bytes()).unwrap_or_default();
        hash.update(value);
        hash.update([0]);
    }
    let mut payload = request.take_payload();
    let mut head = BytesMut::new();
    while head.len() < HEAD {
        match payload.next().await {
            Some(Ok(chunk)) => head.extend_from_slice(&chunk),
            Some(Err(error)) => return Err(Problem::malformed(format!("The body broke off: {error}."))),
            None => {
                hash.update(&head);
                request.set_payload(Payload::from(head.freeze()));
                return Ok(hex(hash));
            }
        }
    }
    // Where the chunks end depends on the network; the fingerprint must not.
    let head = head.freeze();
    hash.update(head.get(..HEAD).unwrap_or(&head));
    hash.update(request.headers().get(CONTENT_LENGTH).map(|value| value.as_bytes()).unwrap_or_default());
    let whole = stream::once(async move { Ok(head) }).chain(payload);
    request.set_payload(Payload::Stream { payload: Box::pin(whole) });
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer, with a copy of it when it can be kept: text of moderate size.
pub(super) async fn keep<B: MessageBody + 'static>(response: HttpResponse<B>) -> (HttpResponse, Option<Kept>) {
    let known = response.error().and_then(|error| error.as_error::<Problem>()).cloned();
    let (response, content) = response.into_parts();
    let moderate = match content.size() {
        BodySize::None => true,
        BodySize::Sized(size) => usize::try_from(size).is_ok_and(|size| size <= ANSWER),
        BodySize::Stream => false,
    };
    if !moderate {
        return (response.set_body(content.boxed()), None);
    }
    let Ok(bytes) = body::to_bytes(content).await else {
        return (HttpResponse::from_error(Problem::new(StatusCode::INTERNAL_SERVER_ERROR)), None);
    };
    let kept = copy(&response, &bytes);
    // An answer that is a problem stays one, to be completed by the outer layers.
    let answer = match known {
        Some(problem) => HttpResponse::from_error(problem),
        None => response.set_body(bytes.boxed()),
    };
    (answer, kept)
}

fn copy(response: &HttpResponse<()>, bytes: &Bytes) -> Option<Kept> {
    let header = |name: &HeaderName| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    };
    Some(Kept {
        status: response.status().as_u16(),
        headers: KEPT_HEADERS.iter().filter_map(header).collect(),
        body: std::str::from_utf8(bytes).ok()?.to_owned(),
    })
}

/// The kept answer as it was. A problem gets the instance and request id of the repetition.
pub(super) fn restore(kept: Kept) -> HttpResponse<BoxBody> {
    if let Ok(problem) = serde_json::from_str::<Problem>(&kept.body)
        && problem.status == kept.status
    {
        return HttpResponse::from_error(problem);
    }
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    for (name, value) in kept.headers {
        response.insert_header((name, value));
    }
    response.body(kept.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_large_answer_is_given_but_not_kept() {
        let (answer, kept) = keep(HttpResponse::Ok().body(vec![b'x'; ANSWER + 1])).await;
        assert!(kept.is_none());
        assert_eq!(body::to_bytes(answer.into_body()).await.unwrap().len(), ANSWER + 1);
        let (answer, kept) = keep(HttpResponse::Created().body(vec![b'x'; ANSWER])).await;
        assert_eq!((kept.unwrap().status, answer.status()), (201, StatusCode::CREATED));
        let (answer, kept) = keep(HttpResponse::Ok().body(vec![0xff])).await;
        assert!(kept.is_none(), "no text");
        assert_eq!(body::to_bytes(answer.into_body()).await.unwrap(), &[0xff][..]);
    }
}
