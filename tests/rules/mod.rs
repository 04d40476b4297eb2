//! The rules of the house, held by tests: the checked-in document, the shape of every operation, who may
//! come in, which crate may use which, and one schema in two databases.

mod access;
mod belonging;
mod dependencies;
mod distributed;
mod document;
mod hostile;
mod location;
mod masks;
mod matrix;
mod positions;
mod sample;
mod schema;
mod sealed;
mod threats;

use serde_json::Value;

/// An operation of the published document.
pub struct Operation {
    pub path: String,
    pub method: String,
    pub value: Value,
}

/// Every operation of the document.
pub fn operations() -> Vec<Operation> {
    let paths = kehu_api::openapi::document()["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().clone();
        methods.into_iter().map(|(method, value)| Operation { path: path.clone(), method, value }).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}
