//! Bodies that fit a schema of the document.

use kehu_api::openapi;
use serde_json::{Value, json};

use super::Operation;

/// An id that names nothing.
pub const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A schema behind its reference, and of a choice the way that is not null.
pub fn resolved(schema: &'static Value) -> &'static Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return resolved(openapi::document().pointer(reference.trim_start_matches('#')).unwrap());
    }
    match schema.get("oneOf").and_then(Value::as_array) {
        Some(ways) => resolved(ways.iter().find(|way| way["type"] != "null").unwrap()),
        None => schema,
    }
}

/// Whether a schema is of this type.
pub fn is(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind,
        Value::Array(kinds) => kinds.iter().any(|one| one == kind),
        _ => false,
    }
}

/// The properties of an object.
pub fn properties(schema: &'static Value) -> impl Iterator<Item = (&'static String, &'static Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// Something that fits a schema: what is required, and no more.
pub fn sample(schema: &'static Value) -> Value {
    let example = schema.get("example").cloned();
    let schema = resolved(schema);
    if let Some(example) = example.or_else(|| schema.get("example").cloned()) {
        return example;
    }
    if let Some(first) = schema.get("enum").and_then(|values| values.get(0)) {
        return first.clone();
    }
    if is(schema, "object") {
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        return Value::Object(names.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect());
    }
    if is(schema, "array") {
        let few = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).unwrap();
        return (0..few).map(|_| sample(&schema["items"])).collect();
    }
    if is(schema, "string") {
        let least = usize::try_from(schema["minLength"].as_u64().unwrap_or(1).max(1)).unwrap();
        return match schema["format"].as_str() {
            Some("uuid") => json!(ID),
            Some("date") => json!("2020-01-01"),
            Some("date-time") => json!("2020-01-01T00:00:00Z"),
            // What has a shape of its own is known by its examples.
            _ => schema["examples"].get(0).cloned().unwrap_or_else(|| json!("a".repeat(least))),
        };
    }
    if is(schema, "boolean") {
        return json!(true);
    }
    schema.get("minimum").cloned().unwrap_or(json!(1))
}

/// The schema of an operation's JSON body.
pub fn body_of(operation: &Operation) -> Option<&'static Value> {
    let content = openapi::document()["paths"][&operation.path][&operation.method].get("requestBody")?.get("content")?;
    let media = content.get("application/json").or_else(|| content.get("application/merge-patch+json"))?;
    media.get("schema")
}
