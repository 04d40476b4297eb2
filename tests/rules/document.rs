//! The published document.

use std::collections::BTreeSet;

use kehu_api::openapi;
use serde_json::Value;

use super::operations;

#[test]
fn the_checked_in_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == openapi::text(), "run `make openapi` and commit the result");
}

#[test]
fn every_operation_is_described() {
    let document = openapi::document();
    let declared: BTreeSet<&str> = document["tags"].as_array().unwrap().iter().filter_map(|tag| tag["name"].as_str()).collect();
    let mut seen = BTreeSet::new();
    for operation in operations() {
        let at = format!("{} {}", operation.method, operation.path);
        for key in ["operationId", "summary", "description"] {
            assert!(operation.value[key].as_str().is_some_and(|text| !text.is_empty()), "{at} has no {key}");
        }
        let name = operation.value["operationId"].as_str().unwrap().to_owned();
        assert!(name.split('_').count() >= 2, "{name} is no verb_noun");
        assert!(seen.insert(name.clone()), "{name} stands twice");
        let tags: Vec<&str> = operation.value["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(matches!(tags.as_slice(), [tag] if declared.contains(tag)), "{at} has the tags {tags:?}");
        let statuses: Vec<&String> = operation.value["responses"].as_object().unwrap().keys().collect();
        // A part of a file is the file's success, in a range.
        let successes = statuses.iter().filter(|status| status.starts_with('2') && **status != "206").count();
        assert_eq!(successes, 1, "{at} has one success: {statuses:?}");
        assert!(statuses.iter().any(|status| status.starts_with('4')), "{at} has no 4xx");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = openapi::document();
    let text = document.to_string();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nothing refers to the schema {name}");
    }
    let mut missing = Vec::new();
    references(document, &mut |reference| {
        let pointer = reference.trim_start_matches('#');
        if document.pointer(pointer).is_none() {
            missing.push(reference.to_owned());
        }
    });
    assert!(missing.is_empty(), "broken references: {missing:?}");
}

#[test]
fn objects_have_names_and_fields_have_words() {
    let document = openapi::document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let described = schema["description"].as_str().is_some_and(|text| !text.is_empty()) || name.ends_with("Page");
        assert!(described, "the schema {name} has no description");
        for (field, value) in schema["properties"].as_object().into_iter().flatten() {
            let inline = value["type"] == "object" && value.get("properties").is_some();
            assert!(!inline, "{name}.{field} is an object without a name of its own");
            let words = value.get("description").is_some() || value.get("$ref").is_some();
            assert!(words, "{name}.{field} has no description");
        }
    }
}

fn references(value: &Value, visit: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
                visit(reference);
            }
            map.values().for_each(|inner| references(inner, visit));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, visit)),
        _ => {}
    }
}

/// A field that is read with `patch::required` refuses null, so the document may not promise it.
#[test]
fn fields_that_refuse_null_are_documented_so() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut seen = 0;
    for path in sources(&crates) {
        let text = std::fs::read_to_string(&path).unwrap();
        for field in text.split("    /// ").filter(|field| field.contains("= \"patch::required\")]\n")) {
            assert!(field.contains("nullable = false"), "{}: {field}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 20);
}

fn sources(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let of = |path: std::path::PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(of).filter(|path| path.extension().is_some_and(|kind| kind == "rs")).collect()
}
