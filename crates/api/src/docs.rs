//! `/openapi.json` and the documentation page `/docs`: Swagger UI out of the program itself, so that it works
//! without the internet and under a Content-Security-Policy that allows nothing else.

use std::sync::{Arc, LazyLock};

use actix_web::{
    HttpRequest, HttpResponse, Responder, get,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH},
    },
    web::{Bytes, Path, Redirect},
};
use utoipa_swagger_ui::Config;

use crate::{openapi, problem::Problem};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct Document {
    text: Bytes,
    tag: String,
}

/// The OpenAPI document.
#[get("/openapi.json")]
pub(crate) async fn document(request: HttpRequest) -> HttpResponse {
    static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
        let text = openapi::published::TEXT;
        let hash = <sha2::Sha256 as sha2::Digest>::digest(text.as_bytes());
        let tag: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Document { text: Bytes::from_static(text.as_bytes()), tag: format!("\"{tag}\"") }
    });
    let mut answer = HttpResponse::Ok();
    answer.insert_header((ETAG, DOCUMENT.tag.as_str())).insert_header((CACHE_CONTROL, "no-cache"));
    if request.headers().get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == DOCUMENT.tag.as_bytes()) {
        return answer.status(StatusCode::NOT_MODIFIED).finish();
    }
    answer.content_type("application/json").body(DOCUMENT.text.clone())
}

/// The page names its files relative to itself.
#[get("/docs")]
pub(crate) async fn entry() -> impl Responder {
    Redirect::to("/docs/").permanent()
}

/// The page and its files; its start script is a file of its own.
#[get("/docs/{file:.*}")]
pub(crate) async fn page(file: Path<String>) -> Result<HttpResponse, Problem> {
    static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
        // No validator badge and no remembered tokens: nothing leaves the page, nothing stays on the machine.
        let config = Config::new(["/openapi.json"]).validator_url("none").persist_authorization(false);
        Arc::new(config.try_it_out_enabled(true).filter(true).display_request_duration(true))
    });
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&CONFIG)).map_err(|error| {
        log::error!("the documentation page: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    let found = found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND))?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((CACHE_CONTROL, "no-cache"));
    if found.gzpipped {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
    }
    Ok(answer.content_type(found.content_type).body(found.bytes.into_owned()))
}
