//! Hostile texts and shapes, by a walk over the document: U+0000 and arrays instead of objects anywhere in a body, U+0000 in a
//! query, control characters in what people write.

use actix_web::http::Method;
use kehu_api::openapi;
use serde_json::{Map, Value, json};

use super::{
    Operation, operations,
    sample::{ID, body_of, is, properties, resolved, sample},
};
use crate::{
    both_databases,
    support::{App, Client},
};

both_databases!(nothing_takes_nul_or_an_array_for_an_object, queries_take_no_nul, texts_take_no_control_characters);

/// How deep bodies are walked; rules nest without end.
const DEEPEST: usize = 5;

/// The pattern of texts that have no shape.
const ANY_TEXT: &str = r"^[^\x00]*$";

/// Tags of the operations whose texts people write.
const WRITTEN: &[&str] = &[
    "customers",
    "identities",
    "contact-points",
    "relations",
    "contact-persons",
    "consents",
    "privacy",
    "merges",
    "tags",
    "attributes",
    "data-quality",
];

/// Texts that are compared with what is there and never kept: what holds a control character finds nothing, or is refused by
/// the rules of its kind after the record was found.
const COMPARED: &[&str] = &["q", "tier", "branch", "cursor", "tag", "email", "phone", "identity_number", "account_number"];

/// A place in a body.
struct Place {
    /// Its pointer.
    pointer: String,
    schema: &'static Value,
}

/// Every place below a schema.
fn places(schema: &'static Value, pointer: &str, depth: usize, found: &mut Vec<Place>) {
    let schema = resolved(schema);
    if !pointer.is_empty() {
        found.push(Place { pointer: pointer.to_owned(), schema });
    }
    if depth == DEEPEST {
        return;
    }
    for (name, inner) in properties(schema) {
        places(inner, &format!("{pointer}/{name}"), depth + 1, found);
    }
    if is(schema, "array") {
        places(&schema["items"], &format!("{pointer}/0"), depth + 1, found);
    }
}

/// A body with only this at a pointer.
fn only(pointer: &str, value: Value) -> Value {
    pointer.rsplit('/').filter(|part| !part.is_empty()).fold(value, |inner, part| match part {
        "0" => json!([inner]),
        name => Value::Object(Map::from_iter([(name.to_owned(), inner)])),
    })
}

fn name(operation: &Operation) -> &str {
    operation.value["operationId"].as_str().unwrap()
}

/// What the pointers of the refusal are; nothing when it is not refused as invalid.
async fn refusal(caller: &Client<'_>, operation: &Operation, body: Value) -> Result<Vec<String>, String> {
    let method: Method = operation.method.to_ascii_uppercase().parse().unwrap();
    let path: Vec<&str> = operation.path.split('/').map(|part| if part.starts_with('{') { ID } else { part }).collect();
    let bytes = body.to_string().into_bytes();
    let caller = caller.with("If-Match", "\"1\"").with("X-Purpose", "test");
    let answer = caller.send(method, &path.join("/"), Some(("application/json", bytes))).await;
    if answer.status == 422 {
        return Ok(answer.pointers(422));
    }
    Err(format!("{} for {body}: {}", answer.status, String::from_utf8_lossy(&answer.bytes)))
}

async fn nothing_takes_nul_or_an_array_for_an_object(app: App) {
    let admin = app.role("administrator");
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in operations() {
        let Some(schema) = body_of(&operation) else { continue };
        let mut found = Vec::new();
        places(schema, "", 0, &mut found);
        for Place { pointer, schema } in found {
            let hostile = if is(schema, "string") {
                vec![json!("a\0b"), json!("\0")]
            } else if is(schema, "object") && schema.get("properties").is_some() {
                vec![json!([]), json!({ "\0": 1 })]
            } else if is(schema, "object") {
                vec![json!({ "\0": "a" }), json!({ "a": "\0" })]
            } else {
                continue;
            };
            for value in hostile {
                tried += 1;
                let told = refusal(&admin, &operation, only(&pointer, value)).await;
                // A text of several kinds is read at once, so the fault is told of what holds it.
                let fits = |told: &String| !told.is_empty() && (pointer.starts_with(told) || told.starts_with(&pointer));
                if !told.as_ref().is_ok_and(|told| told.iter().any(fits)) {
                    wrong.push(format!("{} {pointer}: {told:?}", name(&operation)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 500, "{tried}");
}

async fn queries_take_no_nul(app: App) {
    let admin = app.role("administrator");
    let mut tried = 0;
    for operation in operations() {
        for parameter in operation.value["parameters"].as_array().into_iter().flatten() {
            let parameter = match parameter.get("$ref").and_then(Value::as_str) {
                Some(reference) => openapi::document().pointer(reference.trim_start_matches('#')).unwrap(),
                None => parameter,
            };
            if parameter["in"] != "query" || operation.method != "get" {
                continue;
            }
            let path: Vec<&str> = operation.path.split('/').map(|part| if part.starts_with('{') { ID } else { part }).collect();
            let query = parameter["name"].as_str().unwrap();
            let answer = admin.get(&format!("{}?{query}=a%00b", path.join("/"))).await;
            assert_eq!(answer.pointers(400), [format!("?{query}")], "{}", name(&operation));
            tried += 1;
        }
    }
    assert!(tried > 100, "{tried}");
}

async fn texts_take_no_control_characters(app: App) {
    let admin = app.role("administrator");
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for operation in operations().iter().filter(|operation| WRITTEN.contains(&operation.value["tags"][0].as_str().unwrap())) {
        let Some(schema) = body_of(operation) else { continue };
        let mut found = Vec::new();
        places(schema, "", 0, &mut found);
        for Place { pointer, schema } in found {
            let any = schema.get("pattern").is_none_or(|pattern| pattern == ANY_TEXT);
            let free = is(schema, "string") && any && ["enum", "format"].iter().all(|rule| schema.get(rule).is_none());
            let last = pointer.rsplit('/').next().unwrap();
            if !free || COMPARED.contains(&last) {
                continue;
            }
            for character in ['\u{1}', '\u{202e}'] {
                tried += 1;
                let mut body = sample(body_of(operation).unwrap());
                put(body_of(operation).unwrap(), &mut body, &pointer, json!(format!("ab{character}cdef")));
                let told = refusal(&admin, operation, body).await;
                // A list of texts is checked as a whole.
                let fits = |told: &String| *told == pointer || pointer.strip_suffix("/0") == Some(told);
                if !told.as_ref().is_ok_and(|told| told.iter().any(fits)) {
                    wrong.push(format!("{} {pointer}: {told:?}", name(operation)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried}");
}

/// Puts a value where a pointer leads, with what else its surroundings need.
fn put(schema: &'static Value, body: &mut Value, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else {
        *body = value;
        return;
    };
    let schema = resolved(schema);
    let (part, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    let inner = if part == "0" { &schema["items"] } else { &schema["properties"][part] };
    if part == "0" {
        if body.get(0).is_none() {
            *body = json!([sample(inner)]);
        }
        put(inner, &mut body[0], rest, value);
    } else {
        if body.get(part).is_none() {
            body[part] = sample(inner);
        }
        put(inner, &mut body[part], rest, value);
    }
}
