//! The `webhooks` section of the published document: one entry for each type of event.

use kehu_customer::timeline::catalogue;
use serde_json::{Map, Value, json};

use crate::events::kinds::{self, EventType};

/// Adds what is posted of each type of event, and what those entries share, to the document.
pub fn describe(document: &mut Value) {
    for (name, parts) in components() {
        if let Some(Value::Object(known)) = document.pointer_mut(&format!("/components/{name}")) {
            known.extend(parts);
        }
    }
    if let Value::Object(document) = document {
        let entries = kinds::all().into_values().map(|event| (event.kind.clone(), json!({ "post": operation(&event) })));
        document.insert("webhooks".into(), Value::Object(entries.collect()));
    }
}

fn operation(event: &EventType) -> Map<String, Value> {
    let EventType { kind, needs } = event;
    let told = catalogue::telling(kind);
    let what = told.map_or_else(|| format!("What happened: `{kind}`."), |telling| format!("{}.", telling.title));
    let facts: Vec<String> = told.into_iter().flat_map(|telling| telling.facts).map(|fact| format!("`{fact}`")).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" Among its facts are {}.", facts.join(", ")) };
    let description = format!(
        "{what}{facts} Posted to endpoints whose owner has `{needs}`, as a CloudEvent that is signed after Standard Webhooks. \
         Answer 2xx within the time limit; anything else is tried again over three days, and 410 ends it."
    );
    let (noun, verb) = kind.split_once('.').unwrap_or((kind, ""));
    let parameters = ["WebhookId", "WebhookTimestamp", "WebhookSignature"]
        .map(|name| json!({ "$ref": format!("#/components/parameters/{name}") }));
    let operation = json!({
        "operationId": format!("on_{noun}_{verb}"),
        "tags": ["webhooks"],
        "summary": format!("Event {kind}"),
        "description": description,
        "security": [{ "webhook_signature": [] }],
        "parameters": parameters,
        "requestBody": {
            "description": "The event.",
            "required": true,
            "content": { "application/cloudevents+json": {
                "schema": { "$ref": "#/components/schemas/CloudEvent" },
                "example": example(kind),
            } },
        },
        "responses": {
            "2XX": { "$ref": "#/components/responses/WebhookTaken" },
            "410": { "$ref": "#/components/responses/WebhookGone" },
        },
    });
    operation.as_object().cloned().unwrap_or_default()
}

fn example(kind: &str) -> Value {
    let (event, subject) = ("01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058");
    json!({
        "specversion": "1.0", "id": event, "source": "urn:kehu", "type": kind, "subject": subject,
        "time": "2026-01-31T09:30:00Z", "datacontenttype": "application/json", "sequence": "00000000000000000042",
        "partitionkey": subject, "customerid": null, "accountid": null, "actor": "E1042", "data": {},
    })
}

/// What the entries share: parameters, answers, and how the sender is known.
fn components() -> [(&'static str, Map<String, Value>); 3] {
    let header = |name: &str, description: &str, schema: Value, example: Value| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": schema, "example": example });
    let parameters = json!({
        "WebhookId": header("webhook-id", "Identifies the event, the same at every attempt: a key of idempotency.",
            json!({ "type": "string", "format": "uuid", "minLength": 36, "maxLength": 36 }), json!("01890a5d-ac96-774b-bcce-b302099a8057")),
        "WebhookTimestamp": header("webhook-timestamp", "When this attempt was made, in seconds since 1970. Refuse what is older than five minutes.",
            json!({ "type": "integer", "format": "int64", "minimum": 0 }), json!(1_767_225_600)),
        "WebhookSignature": header("webhook-signature",
            "Signatures, separated by spaces: `v1,` and in base64 the HMAC-SHA256 of `{id}.{timestamp}.{body}` by the secret; two while a \
             secret is being rotated. One that fits is enough.",
            json!({ "type": "string", "minLength": 47, "maxLength": 200, "pattern": "^v1,[A-Za-z0-9+/=]+( v1,[A-Za-z0-9+/=]+)*$" }),
            json!("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")),
    });
    let responses = json!({
        "WebhookTaken": { "description": "The receiver has taken the event" },
        "WebhookGone": { "description": "The receiver wants no more: the endpoint is disabled" },
    });
    let schemes = json!({
        "webhook_signature": { "type": "apiKey", "in": "header", "name": "webhook-signature",
            "description": "Of webhooks: the receiver knows the sender by the signature, after Standard Webhooks 1.0." },
    });
    let map = |value: Value| value.as_object().cloned().unwrap_or_default();
    [("parameters", map(parameters)), ("responses", map(responses)), ("securitySchemes", map(schemes))]
}
