//! The columns of a list: the fields of its items in the published schema, objects spread out under dotted names.

use kehu_intake::export::{Column, Kind};
use serde_json::Value;

use crate::openapi;

/// The columns of the items that an operation answers.
pub(super) fn of(operation: &Value) -> Vec<Column> {
    let mut columns = Vec::new();
    if let Some(item) = item_of(operation) {
        spread(item, &mut Vec::new(), &mut Vec::new(), &mut columns);
    }
    columns
}

/// The schema of the items of a page.
fn item_of(operation: &Value) -> Option<&'static Value> {
    let answer = operation.pointer("/responses/200/content/application~1json/schema")?;
    let page = named(answer.get("$ref")?.as_str()?)?;
    page.pointer("/properties/next_cursor").and_then(|_| page.pointer("/properties/items/items"))
}

fn named(reference: &str) -> Option<&'static Value> {
    openapi::document().pointer(reference.strip_prefix('#')?)
}

fn spread(schema: &'static Value, path: &mut Vec<String>, within: &mut Vec<&'static str>, into: &mut Vec<Column>) {
    let schema = present(schema);
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        // What holds itself has no end of columns.
        let target = named(reference).filter(|_| !within.contains(&reference));
        let Some(target) = target else { return into.push(Column { path: path.clone(), kind: Kind::Json }) };
        within.push(reference);
        spread(target, path, within, into);
        within.pop();
    } else if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
        for (name, field) in fields {
            path.push(name.clone());
            spread(field, path, within, into);
            path.pop();
        }
    } else {
        into.push(Column { path: path.clone(), kind: kind_of(schema) });
    }
}

/// The schema of the value where there is one: without the choice of null.
fn present(schema: &'static Value) -> &'static Value {
    let choices = schema.get("oneOf").and_then(Value::as_array).map_or([].as_slice(), Vec::as_slice);
    let mut some = choices.iter().filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null"));
    match (some.next(), some.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

fn kind_of(schema: &Value) -> Kind {
    let format = schema.get("format").and_then(Value::as_str);
    match (type_of(schema), format) {
        (Some("string"), Some("date-time")) => Kind::Timestamp,
        (Some("string"), Some("date")) => Kind::Date,
        (Some("string"), _) => Kind::Text,
        (Some("integer"), _) => Kind::Integer,
        (Some("number"), _) => Kind::Number,
        (Some("boolean"), _) => Kind::Boolean,
        _ => Kind::Json,
    }
}

/// The one type beside null.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(one) => Some(one),
        Value::Array(many) => {
            let mut some = many.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            some.next().filter(|_| some.next().is_none())
        }
        _ => None,
    }
}
