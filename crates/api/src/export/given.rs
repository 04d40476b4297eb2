//! The filter of an export, read as the list's own operation reads its path and query, or its body.

use kehu_kernel::{Error, FieldError, Id, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use validator::Validate;

use crate::{extract, openapi::Operation, problem::Problem};

/// What pages are asked for by; an export asks for its pages itself.
const PAGING: [&str; 3] = ["limit", "cursor", "include_total"];

/// The filter that was given for a list.
pub(super) struct Given<'a> {
    operation: &'a Operation,
    filter: &'a Map<String, Value>,
}

impl<'a> Given<'a> {
    pub fn new(operation: &'a Operation, filter: &'a Map<String, Value>) -> Result<Self> {
        match filter.keys().find(|name| PAGING.contains(&name.as_str())) {
            Some(name) => Err(fault(name, "unknown_field", "An export pages by itself.")),
            None => Ok(Self { operation, filter }),
        }
    }

    /// The id in the path of the list.
    pub fn id<T>(&self) -> Result<Id<T>> {
        let name = self.in_path().ok_or_else(|| Error::internal("the path of the list has no id"))?;
        let missing = || fault(name, "required", "The list is one of a record: give its id.");
        let text = self.filter.get(name).filter(|value| !value.is_null()).ok_or_else(missing)?;
        text.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| fault(name, "invalid_value", "This is no id."))
    }

    fn in_path(&self) -> Option<&'a str> {
        self.operation.path.split('/').find_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The parameters of the query.
    pub fn query<F: DeserializeOwned>(&self) -> Result<F> {
        let in_path = self.in_path();
        let mut pairs = Vec::new();
        for (name, value) in self.filter.iter().filter(|(name, _)| Some(name.as_str()) != in_path) {
            parameters(name, value, &mut pairs)?;
        }
        extract::query_of(&self.operation.path, &pairs).map_err(|problem| in_filter(problem, "?", "/filter/"))
    }

    /// The body of a search.
    pub fn body<T: DeserializeOwned + Validate>(&self) -> Result<T> {
        let body = serde_json::to_vec(self.filter).map_err(Error::internal)?;
        extract::read_json(&body).map_err(|problem| in_filter(problem, "/", "/filter/"))
    }
}

/// A value as its parameters in a query: of a list, one for each item.
fn parameters(name: &str, value: &Value, into: &mut Vec<(String, String)>) -> Result<()> {
    match value {
        Value::Null => {}
        Value::String(text) => into.push((name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => into.push((name.to_owned(), value.to_string())),
        Value::Array(items) => items.iter().try_for_each(|item| parameters(name, item, into))?,
        Value::Object(_) => return Err(fault(name, "invalid_value", "A parameter of a query is no object.")),
    }
    Ok(())
}

fn fault(name: &str, code: &str, message: &str) -> Error {
    Error::invalid(format!("/filter/{}", extract::escape(name)), code, message)
}

/// What is wrong with the parameters, at their place in the body of the export.
fn in_filter(problem: Problem, from: &str, to: &str) -> Error {
    if problem.errors.is_empty() {
        return Error::invalid("/filter", "invalid_value", problem.detail.unwrap_or(problem.title));
    }
    let moved = |error: FieldError| {
        let name = error.pointer.strip_prefix(from).unwrap_or(&error.pointer).to_owned();
        FieldError { pointer: format!("{to}{name}"), ..error }
    };
    Error::Invalid(problem.errors.into_iter().map(moved).collect())
}
