//! What the document promises of query parameters, for the server to keep.

use std::{collections::HashMap, sync::LazyLock};

use kehu_kernel::FieldError;
use serde::Deserialize;
use serde_json::Value;

use super::published;

/// Limits of a parameter.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    shortest: Option<usize>,
    longest: Option<usize>,
    least: Option<i64>,
    greatest: Option<i64>,
    /// Whether an empty value is one: it is a text, but neither a flag nor a number, a day or a choice.
    text: bool,
}

/// What a value of a query parameter breaks of the limits that the document names for it.
#[must_use]
pub fn fault(path: &str, name: &str, value: &str) -> Option<FieldError> {
    let limits = all().get(path)?.get(name)?;
    let (code, message) = limits.broken_by(value)?;
    Some(FieldError::new(format!("?{name}"), code, message))
}

fn all() -> &'static HashMap<String, HashMap<String, Limits>> {
    static LIMITS: LazyLock<HashMap<String, HashMap<String, Limits>>> =
        LazyLock::new(|| published::operations::<Queried>().into_iter().map(|(path, item)| (path, of_path(&item))).collect());
    &LIMITS
}

/// The parameters of an operation.
#[derive(Deserialize)]
struct Queried {
    #[serde(default)]
    parameters: Vec<Value>,
}

fn of_path(item: &HashMap<String, Queried>) -> HashMap<String, Limits> {
    let parameters = item.values().flat_map(|operation| &operation.parameters);
    let queried = parameters.filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"));
    queried
        .filter_map(|parameter| Some((parameter.get("name")?.as_str()?.to_owned(), Limits::of(parameter.get("schema")?))))
        .collect()
}

impl Limits {
    fn of(schema: &Value) -> Self {
        // Items of a list come one by one.
        let schema = schema.get("items").unwrap_or(schema);
        let length = |key| schema.get(key).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
        let number = |key| schema.get(key).and_then(Value::as_i64);
        let is_text = schema.get("type").is_some_and(|kind| kind == "string");
        Self {
            text: is_text && schema.get("enum").is_none() && schema.get("format").is_none(),
            shortest: length("minLength"),
            longest: length("maxLength"),
            least: number("minimum"),
            greatest: number("maximum"),
        }
    }

    fn broken_by(&self, value: &str) -> Option<(&'static str, String)> {
        // serde takes it for a parameter that is absent.
        if value.is_empty() && !self.text {
            return Some(("invalid_parameter", "The value is empty.".into()));
        }
        let length = value.chars().count();
        if let Some(longest) = self.longest.filter(|longest| length > *longest) {
            return Some(("length", format!("The length may be at most {longest}.")));
        }
        if let Some(shortest) = self.shortest.filter(|shortest| length < *shortest) {
            return Some(("length", format!("The length must be at least {shortest}.")));
        }
        // What is no number is refused by the type of the parameter.
        let number: i64 = value.parse().ok()?;
        if let Some(greatest) = self.greatest.filter(|greatest| number > *greatest) {
            return Some(("out_of_range", format!("The value may be at most {greatest}.")));
        }
        self.least.filter(|least| number < *least).map(|least| ("out_of_range", format!("The value must be at least {least}.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_document_are_refused() {
        let list = |name: &str, value: &str| fault("/v1/customers", name, value).map(|fault| (fault.pointer, fault.code));
        assert_eq!(list("limit", "1"), None);
        assert_eq!(list("limit", "0"), Some(("?limit".into(), "out_of_range".into())));
        assert_eq!(list("limit", "201"), Some(("?limit".into(), "out_of_range".into())));
        assert_eq!(list("cursor", &"a".repeat(1025)), Some(("?cursor".into(), "length".into())));
        assert_eq!(list("nothing", "0"), None);
        for name in ["include_total", "limit", "kind"] {
            assert_eq!(list(name, ""), Some((format!("?{name}"), "invalid_parameter".into())));
        }
        assert_eq!(list("cursor", ""), None, "an empty text is a text");
    }
}
