//! The rules of the house, held by tests: the checked-in document, the shape of every operation, who may
//! come in, which crate may use which, and one schema in two databases.

use kehu_api::openapi;
use serde_json::Value;

#[test]
fn the_checked_in_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == openapi::text(), "run `make openapi` and commit the result");
}

/// Every operation of the document: path, method, operation.
pub fn operations() -> Vec<(String, String, Value)> {
    let paths = openapi::document()["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(|(method, operation)| (path.clone(), method, operation)).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn every_operation_is_described() {
    for (path, method, operation) in operations() {
        let at = format!("{method} {path}");
        for key in ["operationId", "summary", "description"] {
            assert!(operation[key].as_str().is_some_and(|text| !text.is_empty()), "{at} has no {key}");
        }
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{at} has one tag");
    }
}
