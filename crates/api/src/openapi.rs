//! The published document: collected from the handlers, then completed with what all operations share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{
    OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use crate::{
    extract::IfMatchHeader,
    merged::MergedRecord,
    problem::Problem,
    routes::{self, ServiceConfig, Told},
    webhook,
};

mod limits;
pub mod published;
pub mod query;

use published::Paths;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kehu",
        description = "A headless bank CRM: one customer record out of many systems, for every front end.\n\nAnswers are JSON. \
            Problems follow RFC 9457. Lists are paged by cursor. Changes take `If-Match`; every POST takes `Idempotency-Key`.\n\n\
            Say in `X-Purpose` why sensitive data is read; it is recorded. A machine client with the scope `on_behalf_of` names \
            in `X-On-Behalf-Of` the employee number of the person for whom it acts.",
        contact(name = "Kehu", url = "https://kehu.dev"),
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This server, in production or locally")),
    tags(
        (name = "clients", description = "Machine clients and their tokens."),
        (name = "customers", description = "Customers with their profiles: found, created, changed, moved on, and their past."),
        (name = "identities", description = "Identity documents of customers: numbers encrypted, shown masked."),
        (name = "contact-points", description = "How customers are reached: phones, e-mail and postal addresses."),
        (name = "matching", description = "Which records tell of one customer: found, explained, and decided about."),
        (name = "relations", description = "Relations between customers, and corporate trees."),
        (name = "privacy", description = "All that is held about a customer, handed out or erased; legal holds."),
        (name = "data-quality", description = "How good profiles are and why, which are stale or doubtful, and their reviews."),
        (name = "merges", description = "Records of one customer become one, and may be taken apart again."),
        (name = "tags", description = "The library of tags in 17 domains, and what is tagged on customers."),
        (name = "consents", description = "What customers allow and forbid, by purpose and channel: events that are only added."),
        (name = "attributes", description = "Fields that the bank adds to its customers, and their values."),
        (name = "contact-persons", description = "People whom the bank knows in companies: a pool independent of one company."),
        (name = "products", description = "Products of the bank, with rates that hold from a day on."),
        (name = "accounts", description = "Accounts as the bank's systems know them: balances, statements, who holds them."),
        (name = "account-links", description = "Who is what to which account, from when until when."),
        (name = "transactions", description = "Transactions on accounts: fed by the bank's systems, never changed."),
        (name = "standing-orders", description = "What accounts pay again and again."),
        (name = "groups", description = "Groups of customers: who is in them when, who works for them, what they share, how they were split and merged."),
        (name = "segmentation-evaluations", description = "Whether splitting or merging groups pays: forecast, and compared with what came out."),
        (name = "rules", description = "Conditions on customers, written as data: what they may name."),
        (name = "events", description = "What happened, as CloudEvents: a feed to go on reading, and a stream."),
        (name = "webhooks", description = "Events posted to endpoints of the bank, signed after Standard Webhooks; and what became of them."),
        (name = "jobs", description = "Background jobs: progress, result, cancellation."),
        (name = "access", description = "Who the caller is, what they may do, and why."),
        (name = "assignments", description = "Who looks after which customer, and since when."),
        (name = "branches", description = "The branch tree of the bank: five levels from head office to outlet."),
        (name = "staff", description = "The people of the bank, where they work and which roles they hold."),
        (name = "teams", description = "People who reach each other's customers where a role reaches the team."),
        (name = "roles", description = "What may be done, how far it reaches and which fields are shown, as data."),
        (name = "source-systems", description = "Systems of the bank that hand records to Kehu."),
        (name = "mappings", description = "How files of a source system are read: declarative, versioned documents."),
        (name = "exports", description = "Lists as files, made in the background and fetched by signed links."),
        (name = "imports", description = "Files on their way into Kehu, and what became of their rows."),
    ),
    components(schemas(Problem, MergedRecord, kehu_kernel::FieldError)),
    modifiers(&Schemes),
)]
struct Base;

struct Schemes;

impl utoipa::Modify for Schemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some(
                "A JSON Web Token (RFC 7519), verified after RFC 8725 (RFC8725): pinned algorithm, issuer and audience.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}

/// The document before the routes are added.
#[must_use]
pub fn base() -> utoipa::openapi::OpenApi {
    Base::openapi()
}

/// The published document, as the code has it: for whoever writes it down or checks it, and for exports, which ask for fields.
#[must_use]
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

/// The document as it is checked in and served: indented, ended by a newline.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document())
}

/// The methods that a path has, in upper case; empty when there is no such path. A path that stands in the
/// document as it is (`/v1/customers/lookup`) is not one with an id.
#[must_use]
pub fn methods_of(path: &str) -> Vec<String> {
    let paths = named();
    let of = |item: &HashMap<String, Named>| item.keys().map(|method| method.to_ascii_uppercase()).collect::<Vec<_>>();
    if let Some(item) = paths.get(path) {
        let mut methods = of(item);
        methods.sort_unstable();
        return methods;
    }
    let fits = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(want), Some(give)) if want == give || (want.starts_with('{') && !give.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let mut methods: Vec<String> = paths.iter().filter(|(template, _)| fits(template)).flat_map(|(_, item)| of(item)).collect();
    methods.sort_unstable();
    methods.dedup();
    methods
}

/// An operation of the document.
#[derive(Debug)]
pub struct Operation {
    /// The template of its path.
    pub path: String,
    /// What the document says of it.
    pub value: &'static Value,
}

/// The operation of this name.
#[must_use]
pub fn operation(name: &str) -> Option<Operation> {
    let paths = document().get("paths").and_then(Value::as_object)?;
    paths.iter().find_map(|(path, item)| {
        let named = |value: &&Value| value.get("operationId").and_then(Value::as_str) == Some(name);
        let value = item.as_object()?.values().find(named)?;
        Some(Operation { path: path.clone(), value })
    })
}

/// The operationId of a method and a route template.
#[must_use]
pub fn operation_at(method: &str, route: &str) -> Option<&'static str> {
    let operation = named().get(route)?.get(&method.to_ascii_lowercase())?;
    Some(&operation.operation_id)
}

/// The name of an operation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    operation_id: String,
}

fn named() -> &'static Paths<Named> {
    static NAMED: LazyLock<Paths<Named>> = LazyLock::new(published::operations);
    &NAMED
}

fn build() -> Value {
    let (mut api, mut told) = (base(), Told::default());
    routes::configure(&mut ServiceConfig::telling(&mut told));
    api.paths.merge(told.paths);
    api.components.get_or_insert_default().schemas.extend(told.schemas);
    let mut document = serde_json::to_value(api).unwrap_or_default();
    name_schemas(&mut document);
    walk(&mut document, &mut lift_description);
    complete_operations(&mut document);
    add_components(&mut document);
    webhook::describe(&mut document);
    limits::inline_scalars(&mut document);
    walk(&mut document, &mut limits::join_inline);
    walk(&mut document, &mut limits::limit);
    walk(&mut document, &mut limits::require_files);
    if let Some(Value::Object(server)) = document.pointer_mut("/servers/0") {
        server.insert("x-internal".into(), Value::Bool(false));
    }
    document
}

/// utoipa calls `Page<Branch>` `Page_Branch`; generators want `BranchPage`. `NewBranch` is `BranchInput` outside, for in Go a
/// `NewBranch` is what makes a `Branch`.
fn name_schemas(document: &mut Value) {
    let renames: BTreeMap<String, String> = schemas(document)
        .keys()
        .filter_map(|name| {
            let new = name.strip_prefix("New").filter(|rest| rest.starts_with(char::is_uppercase));
            let page = name.strip_prefix("Page_").map(|of| format!("{of}Page"));
            Some((name.clone(), page.or_else(|| new.map(|of| format!("{of}Input")))?))
        })
        .collect();
    for (from, to) in &renames {
        if let Some(mut schema) = schemas(document).shift_remove(from) {
            if let Some(item) = to.strip_suffix("Page") {
                name_item(schemas(document), &mut schema, item);
            }
            schemas(document).insert(to.clone(), schema);
        }
    }
    let references: BTreeMap<String, String> = renames
        .into_iter()
        .map(|(from, to)| (format!("#/components/schemas/{from}"), format!("#/components/schemas/{to}")))
        .collect();
    walk(document, &mut |map| {
        if let Some(Value::String(reference)) = map.get_mut("$ref")
            && let Some(new) = references.get(reference.as_str())
        {
            reference.clone_from(new);
        }
    });
    schemas(document).sort_keys();
}

/// utoipa writes the item of a generic page out in place; it has a name of its own.
fn name_item(schemas: &mut Map<String, Value>, page: &mut Value, name: &str) {
    if let Some(items) = page.pointer_mut("/properties/items/items") {
        let written = std::mem::replace(items, json!({ "$ref": format!("#/components/schemas/{name}") }));
        schemas.entry(name.to_owned()).or_insert(written);
    }
}

/// utoipa describes an optional reference inside its `oneOf`, where readers do not look.
fn lift_description(map: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = map.get_mut("oneOf") else { return };
    let described = choices.iter_mut().filter_map(Value::as_object_mut).find_map(|choice| choice.shift_remove("description"));
    if let Some(description) = described {
        map.insert("description".into(), description);
    }
}

fn schemas(document: &mut Value) -> &mut Map<String, Value> {
    object(object(document, "components"), "schemas")
}

/// The object at a key, made where it is missing.
fn object<'a>(parent: impl Into<Parent<'a>>, key: &str) -> &'a mut Map<String, Value> {
    let Parent(map) = parent.into();
    let value = map.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

struct Parent<'a>(&'a mut Map<String, Value>);

impl<'a> From<&'a mut Map<String, Value>> for Parent<'a> {
    fn from(map: &'a mut Map<String, Value>) -> Self {
        Self(map)
    }
}

impl<'a> From<&'a mut Value> for Parent<'a> {
    fn from(value: &'a mut Value) -> Self {
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        match value {
            Value::Object(map) => Self(map),
            _ => unreachable!("it was made an object above"),
        }
    }
}

fn walk(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            // Examples are values, not schemas.
            let schemas = map.iter_mut().filter(|(key, _)| !matches!(key.as_str(), "example" | "examples"));
            schemas.for_each(|(_, inner)| walk(inner, visit));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| walk(inner, visit)),
        _ => {}
    }
}

/// Gives every operation the parameters, headers and problems that its shape implies.
fn complete_operations(document: &mut Value) {
    for (path, item) in object(document, "paths").iter_mut() {
        let Value::Object(methods) = item else { continue };
        for (method, operation) in methods.iter_mut() {
            if let Value::Object(operation) = operation {
                complete(path, method, operation);
            }
        }
    }
}

fn complete(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let secured = require_token(operation);
    let has_body = operation.contains_key("requestBody");
    let has_id = path.contains('{');
    let mut parameters = operation.get("parameters").and_then(Value::as_array).cloned().unwrap_or_default();
    let takes_version = method == "patch" || parameters.iter().any(|p| p.get("name") == Some(&json!("If-Match")));
    parameters.retain(|parameter| parameter.get("name") != Some(&json!("If-Match")));
    let has_query = parameters.iter().any(|p| p.get("in") == Some(&json!("query")));
    if takes_version {
        parameters.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
    }
    // A key belongs to a caller; where there is none it would mean nothing.
    if method == "post" && secured {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), Value::Array(parameters));
    }
    let mut problems = vec!["TooManyRequests", "InternalError", "Unavailable"];
    if secured {
        problems.extend(["Unauthenticated", "Forbidden", "NotAcceptable"]);
    }
    if has_id {
        problems.push("NotFound");
    }
    if has_query || has_body || method == "post" {
        problems.push("MalformedRequest");
    }
    if has_body {
        problems.extend(["BodyTooLarge", "UnsupportedMediaType"]);
    }
    if has_body || method == "post" {
        problems.extend(["InvalidInput", "Conflict"]);
    }
    if takes_version {
        problems.extend(["MalformedRequest", "PreconditionFailed", "PreconditionRequired"]);
    }
    let responses = object(operation, "responses");
    for name in problems {
        if let Some((_, status, ..)) = PROBLEMS.iter().find(|(known, ..)| *known == name) {
            responses.entry(status.to_string()).or_insert_with(|| json!({ "$ref": format!("#/components/responses/{name}") }));
        }
    }
    // What a handler names beside its success is one of the shared problems too.
    for (name, status, ..) in PROBLEMS {
        let own = responses.get(&status.to_string()).is_some_and(|response| response.get("content").is_none());
        if own {
            responses.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/{name}") }));
        }
    }
    // Every read below a customer leads on when the record was merged into another one.
    let below_customer = path.starts_with("/v1/customers/{customer_id}");
    if below_customer && method == "get" {
        responses.insert("308".into(), json!({ "$ref": "#/components/responses/CustomerMerged" }));
    } else if below_customer {
        responses.entry("409").or_insert_with(|| json!({ "$ref": "#/components/responses/Conflict" }));
    }
    responses.sort_keys();
    for (status, response) in responses.iter_mut() {
        if let Value::Object(response) = response
            && !response.contains_key("$ref")
        {
            let headers = object(response, "headers");
            headers.extend(common_headers());
            if !status.starts_with('2') {
                continue;
            }
            if has_id || status == "201" {
                headers.insert("ETag".into(), json!({ "$ref": "#/components/headers/ETag" }));
            }
            if status == "201" || status == "202" {
                headers.insert("Location".into(), json!({ "$ref": "#/components/headers/Location" }));
            }
        }
    }
}

/// Handlers name the actions that they need. Bearer schemes have no scopes in OpenAPI, so the document says
/// them in words and as `x-required-scopes`. Returns whether a token is needed at all.
fn require_token(operation: &mut Map<String, Value>) -> bool {
    let scopes = operation.get("security").and_then(|security| security.pointer("/0/bearer")).cloned();
    let Some(Value::Array(scopes)) = scopes else { return false };
    let names: Vec<String> = scopes.iter().filter_map(Value::as_str).map(|scope| format!("`{scope}`")).collect();
    if let (Some(Value::String(description)), false) = (operation.get_mut("description"), names.is_empty()) {
        description.push_str(&format!("\n\nNeeds a role that grants {}.", names.join(" or ")));
    }
    operation.insert("security".into(), json!([{ "bearer": [] }]));
    operation.insert("x-required-scopes".into(), Value::Array(scopes));
    crate::rights::declare(operation);
    true
}

/// Name, status, description and code of the shared problem answers.
const PROBLEMS: &[(&str, u16, &str, &str)] = &[
    ("MalformedRequest", 400, "The request cannot be read, or a query parameter breaks a rule", "malformed_request"),
    ("Unauthenticated", 401, "The token is missing, expired or not to be trusted", "unauthenticated"),
    ("Forbidden", 403, "No role of the caller grants this", "forbidden"),
    ("NotFound", 404, "Absent, or out of the caller's sight", "not_found"),
    ("NotAcceptable", 406, "The caller does not accept what the operation answers", "not_acceptable"),
    ("Conflict", 409, "The request contradicts the present state; `code` and `detail` say how", "conflict"),
    (
        "PreconditionFailed",
        412,
        "The record was changed meanwhile; `current_version` is its present version",
        "precondition_failed",
    ),
    ("BodyTooLarge", 413, "The body is larger than the server takes", "body_too_large"),
    ("UnsupportedMediaType", 415, "The body is not JSON", "unsupported_media_type"),
    ("RangeNotSatisfiable", 416, "The file does not have the bytes that were asked for", "range_not_satisfiable"),
    ("InvalidInput", 422, "Fields break rules; `errors` points at each", "invalid_input"),
    ("PreconditionRequired", 428, "`If-Match` is missing", "precondition_required"),
    ("TooManyRequests", 429, "The caller's rate limit is used up", "too_many_requests"),
    ("InternalError", 500, "A fault of the server; tell the operator the `request_id`", "internal_error"),
    ("Unavailable", 503, "The database is busy or cannot be reached; try again", "unavailable"),
];

/// What every answer carries.
fn common_headers() -> Map<String, Value> {
    [
        ("X-Request-Id", "RequestId"),
        ("RateLimit", "RateLimit"),
        ("RateLimit-Policy", "RateLimitPolicy"),
        ("Access-Control-Allow-Origin", "Access-Control-Allow-Origin"),
    ]
    .into_iter()
    .map(|(header, name)| (header.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") })))
    .collect()
}

fn add_components(document: &mut Value) {
    let if_match = <IfMatchHeader as utoipa::IntoParams>::into_params(|| Some(utoipa::openapi::path::ParameterIn::Header));
    let if_match = if_match.first().and_then(|parameter| serde_json::to_value(parameter).ok()).unwrap_or_default();
    let components = object(document, "components");
    let parameters = object(&mut *components, "parameters");
    parameters.insert("IfMatch".into(), if_match);
    parameters.insert(
        "IdempotencyKey".into(),
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "Makes the request safe to repeat for 24 hours: the same key with the same body is carried out once and answered alike.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$" },
            "example": "5f0c1c5e-6f3b-4b0e-9f6d-0c6b8a1d2e3f",
        }),
    );
    let headers = object(&mut *components, "headers");
    let header = |description: &str, schema: Value| json!({ "description": description, "schema": schema });
    let text = |length: u32| json!({ "type": "string", "maxLength": length });
    headers.insert("ETag".into(), header("Version of the record, for `If-Match` and `If-None-Match`.", text(32)));
    headers.insert("Location".into(), header("Where the record is.", text(500)));
    headers.insert("RequestId".into(), header("Identifies the request in the logs.", text(128)));
    headers.insert(
        "RateLimit".into(),
        header("What is left of the caller's rate limit: `\"default\";r=<requests>;t=<seconds>`.", text(100)),
    );
    headers
        .insert("RateLimitPolicy".into(), header("The caller's rate limit: `\"default\";q=<requests>;w=<seconds>`.", text(100)));
    let origin = "The origin that may read the answer, when CORS is configured.";
    // The name of the header, by which linters look for it among all headers.
    headers.insert("Access-Control-Allow-Origin".into(), header(origin, text(300)));
    headers.insert(
        "RetryAfter".into(),
        header("Seconds until another try makes sense.", json!({ "type": "integer", "format": "int32", "minimum": 0 })),
    );
    let responses = object(components, "responses");
    let (id, survivor) = ("01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058");
    let mut merged = json!({
        "description": "The record was merged into another customer, where the same path answers",
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/MergedRecord" },
            "example": { "id": id, "merged_into": survivor, "location": format!("/v1/customers/{survivor}") },
        } },
    });
    object(&mut merged, "headers").extend(common_headers());
    object(&mut merged, "headers").insert("Location".into(), json!({ "$ref": "#/components/headers/Location" }));
    responses.insert("CustomerMerged".to_owned(), merged);
    for (name, status, description, code) in PROBLEMS {
        let example = json!({
            "type": format!("urn:kehu:problem:{code}"), "title": description, "status": status, "detail": null,
            "instance": "/v1/branches", "code": code, "errors": [], "request_id": "0b9c5f2e7a", "current_version": null,
            "obstacles": null, "merged_into": null,
        });
        let mut response = json!({
            "description": description,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" }, "example": example } },
        });
        object(&mut response, "headers").extend(common_headers());
        if matches!(status, 429 | 503) {
            object(&mut response, "headers").insert("Retry-After".into(), json!({ "$ref": "#/components/headers/RetryAfter" }));
        }
        responses.insert((*name).to_owned(), response);
    }
}
