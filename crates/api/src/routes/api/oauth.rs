//! `/v1/oauth/token`: client credentials after RFC 6749, whose shape of errors it keeps.

use std::{collections::BTreeMap, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE},
    },
    post,
    web::{Bytes, Data},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use kehu_kernel::{Error, Store};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    auth::token,
    client::{self, Client, secret},
    gate::Gate,
    login::Logins,
    problem::Problem,
    rate::Limits,
    routes::ServiceConfig,
};

/// How long a token of a machine client holds.
const LIFE: Duration = Duration::from_secs(3600);

/// The operations of this file.
pub fn configure(config: &mut ServiceConfig<'_>) {
    config.service(create_token);
}

/// What a program sends for a token.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TokenForm {
    /// Always `client_credentials`.
    #[schema(example = "client_credentials", max_length = 64)]
    pub grant_type: String,
    /// The program's `client_id`, unless it is sent by HTTP Basic.
    #[schema(max_length = 64)]
    pub client_id: Option<String>,
    /// The program's secret, unless it is sent by HTTP Basic.
    #[schema(max_length = 128)]
    pub client_secret: Option<String>,
    /// The actions that the token is for, separated by spaces; all of the client's unless given.
    #[schema(example = "customer.read account.read", max_length = 4000)]
    pub scope: Option<String>,
}

/// A token, after RFC 6749.
#[derive(Debug, Serialize, ToSchema)]
pub struct IssuedToken {
    /// Send it as `Authorization: Bearer …`.
    #[schema(max_length = 8192)]
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer", max_length = 16)]
    pub token_type: String,
    /// For how many seconds it holds.
    #[schema(example = 3600, minimum = 0)]
    pub expires_in: u64,
    /// The actions that it is for.
    #[schema(max_length = 4000)]
    pub scope: String,
}

/// Why there is no token, after RFC 6749.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenError {
    /// The error code of RFC 6749, section 5.2.
    #[schema(example = "invalid_client", max_length = 64)]
    pub error: String,
    /// The error in words.
    #[schema(max_length = 500)]
    pub error_description: String,
}

/// Create a token
///
/// A token for a machine client, by its own credentials (RFC 6749, section 4.4), sent by HTTP Basic or in the form.
/// Errors have the shape of RFC 6749. Who tries too often, from a place from which the client has not come in before, is told
/// `too_many_logins`.
#[utoipa::path(tag = "clients", operation_id = "create_token",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token", body = IssuedToken),
        (status = 400, description = "The request is not one of RFC 6749", body = TokenError),
        (status = 401, description = "The client or its secret is wrong", body = TokenError)),
    security(()))]
#[post("/token")]
async fn create_token(
    request: HttpRequest,
    body: Bytes,
    store: Data<Store>,
    gate: Data<Gate>,
    limits: Data<Limits>,
    logins: Data<Logins>,
) -> Result<HttpResponse, Problem> {
    let asked = match Asked::read(&request, &body) {
        Ok(asked) => asked,
        Err(refusal) => return Ok(refusal.answer()),
    };
    let (id, now) = (asked.client_id.clone(), store.now());
    let address = limits.address(&request);
    logins.clone().into_inner().attempt(&store, &id, &address).await?.map_err(|seconds| {
        let detail = "Too many attempts to get a token from here, or for this client.";
        Problem::new(StatusCode::TOO_MANY_REQUESTS).code("too_many_logins").detail(detail).retry_after(seconds)
    })?;
    let found = store.read(move |conn| client::active(conn, &id)).await?;
    let secret = asked.secret.clone();
    let _turn = logins.hashing.acquire().await.map_err(Error::internal)?;
    let checked = tokio::task::spawn_blocking(move || if secret::is_of(found.as_ref(), &secret, now) { found } else { None });
    let Some(client) = checked.await.map_err(Error::internal)? else {
        return Ok(Refusal::client(asked.basic).answer());
    };
    logins.succeeded(&store, &client.client_id, &address).await?;
    let Some(scope) = scope_for(&client, asked.scope.as_deref()) else {
        return Ok(Refusal::new("invalid_scope", "The client may not use all of these scopes.").answer());
    };
    let access_token = token::for_client(store.keys(), &gate.config().audience, &client.client_id, &scope, now, LIFE)?;
    let issued = IssuedToken { access_token, token_type: "Bearer".into(), expires_in: LIFE.as_secs(), scope };
    Ok(uncached(StatusCode::OK).json(issued))
}

/// The wanted scopes if the client has them all; all of the client's when none are named.
fn scope_for(client: &Client, wanted: Option<&str>) -> Option<String> {
    let own = &client.scopes.0;
    match wanted.map(str::trim).filter(|text| !text.is_empty()) {
        None => Some(own.join(" ")),
        Some(text) => text.split_ascii_whitespace().all(|scope| own.iter().any(|known| known == scope)).then(|| text.to_owned()),
    }
}

/// A request for a token that can be read.
struct Asked {
    client_id: String,
    secret: String,
    basic: bool,
    scope: Option<String>,
}

impl Asked {
    fn read(request: &HttpRequest, body: &[u8]) -> Result<Self, Refusal> {
        let malformed = |text| Refusal::new("invalid_request", text);
        let media = request.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("");
        if !media.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(malformed("Send the request as application/x-www-form-urlencoded."));
        }
        let mut form = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if form.insert(name.into_owned(), value.into_owned()).is_some() {
                return Err(malformed("A parameter is sent twice."));
            }
        }
        // RFC 6749, 3.2: a parameter without a value counts as omitted.
        form.retain(|_, value| !value.is_empty());
        match form.get("grant_type").map(String::as_str) {
            Some("client_credentials") => {}
            Some(_) => return Err(Refusal::new("unsupported_grant_type", "Only client_credentials is supported.")),
            None => return Err(malformed("grant_type is missing.")),
        }
        let scope = form.remove("scope");
        let basic = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
        let (client_id, secret, basic) = match (basic, form.remove("client_id"), form.remove("client_secret")) {
            (Some(_), _, Some(_)) => return Err(malformed("Send the secret by HTTP Basic or in the form, not both.")),
            (Some(header), named, None) => {
                let (id, secret) = basic_credentials(header).ok_or_else(|| Refusal::client(true))?;
                if named.is_some_and(|named| named != id) {
                    return Err(malformed("Two different clients are named."));
                }
                (id, secret, true)
            }
            (None, Some(id), Some(secret)) => (id, secret, false),
            (None, ..) => return Err(Refusal::client(false)),
        };
        Ok(Self { client_id, secret, basic, scope })
    }
}

/// Both parts are form-encoded inside the Base64 (RFC 6749, 2.3.1).
fn basic_credentials(header: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name.into_owned());
    Some((decode(id)?, decode(secret)?))
}

/// A refusal after RFC 6749, section 5.2.
struct Refusal {
    error: &'static str,
    text: &'static str,
    status: StatusCode,
    basic: bool,
}

impl Refusal {
    const fn new(error: &'static str, text: &'static str) -> Self {
        Self { error, text, status: StatusCode::BAD_REQUEST, basic: false }
    }

    const fn client(basic: bool) -> Self {
        let text = "The client is not known, or its secret is wrong.";
        Self { status: StatusCode::UNAUTHORIZED, basic, ..Self::new("invalid_client", text) }
    }

    fn answer(&self) -> HttpResponse {
        let mut answer = uncached(self.status);
        if self.status == StatusCode::UNAUTHORIZED {
            answer.insert_header((WWW_AUTHENTICATE, if self.basic { "Basic realm=\"kehu\"" } else { "Bearer realm=\"kehu\"" }));
        }
        answer.json(TokenError { error: self.error.into(), error_description: self.text.into() })
    }
}

fn uncached(status: StatusCode) -> HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CACHE_CONTROL, "no-store")).insert_header(("pragma", "no-cache"));
    answer
}
