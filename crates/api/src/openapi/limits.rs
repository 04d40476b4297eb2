//! What the document says of every value, so that generators and fuzzers need not guess: single values stand where they
//! are used, and each has limits that hold.

use serde_json::{Map, Value, json};

/// Any text: a zero character is in none that is taken or given.
const TEXT: &str = r"^[^\x00]*$";

/// What every integer of JSON can be in every language.
const SAFE: i64 = 9_007_199_254_740_991;

/// Writes schemas of single values (ids, days, amounts of basis points, texts of a known length) where they are used. As
/// components they would come out of generators as aliases and empty classes.
pub(super) fn inline_scalars(document: &mut Value) {
    let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else { return };
    let scalars: Map<String, Value> = schemas
        .iter()
        .filter(|(_, schema)| is_scalar(schema))
        .map(|(name, schema)| (format!("#/components/schemas/{name}"), schema.clone()))
        .collect();
    schemas.retain(|_, schema| !is_scalar(schema));
    super::walk(document, &mut |map| inline(map, &scalars));
}

/// utoipa puts a schema that is written in place, and what is said of the field, into `allOf`; one schema says both.
pub(super) fn join_inline(map: &mut Map<String, Value>) {
    let parts = map.get("allOf").and_then(Value::as_array).filter(|parts| parts.iter().all(|part| part.get("$ref").is_none()));
    if let Some(parts) = parts.cloned() {
        map.shift_remove("allOf");
        parts.into_iter().filter_map(|part| part.as_object().cloned()).for_each(|part| map.extend(part));
    }
}

fn is_scalar(schema: &Value) -> bool {
    let kind = schema.get("type").and_then(Value::as_str);
    matches!(kind, Some("string" | "integer")) && schema.get("enum").is_none()
}

fn inline(map: &mut Map<String, Value>, scalars: &Map<String, Value>) {
    let known = |schema: &Value| scalars.get(schema.get("$ref")?.as_str()?).and_then(Value::as_object).cloned();
    let null = json!({ "type": "null" });
    let found = match map.get("oneOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one, other]) if *one == null => known(other).map(nullable),
        Some([one, other]) if *other == null => known(one).map(nullable),
        _ => map.get("$ref").and_then(|reference| known(&json!({ "$ref": reference }))),
    };
    if let Some(scalar) = found {
        map.shift_remove("oneOf");
        map.shift_remove("$ref");
        // What is said of the field counts more than what is said of its type.
        let own = std::mem::replace(map, scalar);
        if own.contains_key("example") {
            map.shift_remove("examples");
        }
        map.extend(own);
    }
}

fn nullable(mut scalar: Map<String, Value>) -> Map<String, Value> {
    if let Some(kind) = scalar.get("type").cloned() {
        scalar.insert("type".into(), json!([kind, "null"]));
    }
    scalar
}

/// Says of a required list of files by `dependentRequired` that it is required: beside a field that is always there, this means
/// the same. Go clients of openapi-generator count the items of required lists in a way that does not compile for files.
pub(super) fn require_files(map: &mut Map<String, Value>) {
    let is_file = |name: &Value| {
        let schema = map.get("properties").and_then(|properties| properties.get(name.as_str()?));
        schema.and_then(|schema| schema.pointer("/items/format")).is_some_and(|format| format == "binary")
    };
    let required = map.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let (files, others): (Vec<Value>, Vec<Value>) = required.into_iter().partition(is_file);
    if let (false, Some(first)) = (files.is_empty(), others.first().and_then(Value::as_str).map(str::to_owned)) {
        map.insert("required".into(), Value::Array(others));
        map.insert("dependentRequired".into(), json!({ first: files }));
    }
}

/// Gives a schema the limits that it does not say itself.
pub(super) fn limit(map: &mut Map<String, Value>) {
    let kinds: Vec<&str> = match map.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let has = |kind: &str| kinds.contains(&kind);
    let (text, list, integer) = (has("string"), has("array"), has("integer"));
    if text {
        limit_text(map);
    }
    if list {
        map.entry("minItems").or_insert(json!(0));
    }
    if integer {
        limit_integer(map);
    }
}

fn limit_text(map: &mut Map<String, Value>) {
    let plain = !map.contains_key("enum") && !map.contains_key("const") && map.get("format") != Some(&json!("binary"));
    if plain {
        map.entry("pattern").or_insert_with(|| json!(TEXT));
        map.entry("minLength").or_insert(json!(0));
    }
}

fn limit_integer(map: &mut Map<String, Value>) {
    let limit = if map.get("format") == Some(&json!("int32")) { i64::from(i32::MAX) } else { SAFE };
    map.entry("minimum").or_insert_with(|| json!(-limit));
    map.entry("maximum").or_insert_with(|| json!(limit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_values_stand_where_they_are_used() {
        let mut document = json!({
            "components": { "schemas": {
                "Day": { "type": "string", "format": "date", "description": "A day.", "examples": ["2026-01-31"] },
                "Kind": { "type": "string", "enum": ["a"] },
                "Thing": { "type": "object", "properties": {
                    "on": { "$ref": "#/components/schemas/Day", "description": "When." },
                    "until": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Day" }] },
                    "kind": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Kind" }] },
                } },
            } },
        });
        inline_scalars(&mut document);
        let properties = document.pointer("/components/schemas/Thing/properties").unwrap();
        let day = json!({ "type": "string", "format": "date", "description": "When.", "examples": ["2026-01-31"] });
        assert_eq!(properties["on"], day);
        assert_eq!(properties["until"]["type"], json!(["string", "null"]));
        assert_eq!(properties["kind"]["oneOf"][1]["$ref"], "#/components/schemas/Kind");
        assert!(document.pointer("/components/schemas/Day").is_none() && document.pointer("/components/schemas/Kind").is_some());
    }

    #[test]
    fn files_are_required_beside_what_is_always_there() {
        let mut form = json!({
            "type": "object",
            "required": ["code", "files"],
            "properties": {
                "code": { "type": "string" },
                "files": { "type": "array", "items": { "type": "string", "format": "binary" } },
            },
        });
        super::super::walk(&mut form, &mut require_files);
        assert_eq!(form["required"], json!(["code"]));
        assert_eq!(form["dependentRequired"], json!({ "code": ["files"] }));
    }

    #[test]
    fn limits_are_added_where_none_are() {
        let limited = |schema: Value| {
            let Value::Object(mut map) = schema else { panic!("an object") };
            limit(&mut map);
            Value::Object(map)
        };
        assert_eq!(
            limited(json!({ "type": ["string", "null"], "maxLength": 3, "pattern": "^a$" })),
            json!({ "type": ["string", "null"], "maxLength": 3, "pattern": "^a$", "minLength": 0 })
        );
        assert_eq!(limited(json!({ "type": "string", "enum": ["a"] })), json!({ "type": "string", "enum": ["a"] }));
        assert_eq!(limited(json!({ "type": "string" }))["pattern"], TEXT);
        assert_eq!(limited(json!({ "type": "array" }))["minItems"], 0);
        assert_eq!(limited(json!({ "type": "integer", "format": "int32" }))["maximum"], i32::MAX);
    }
}
