//! Turns a row of a file into a record of a feed.

use std::borrow::Cow;

use kehu_kernel::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::document::{Condition, Document, FeedMapping, Field};

/// A row as it stands in the file: column to text (or to any value, in NDJSON).
pub type Raw = Map<String, Value>;

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowError {
    /// The column of the file; null when the fault is not one column's.
    #[schema(example = "birth_number", max_length = 200)]
    pub column: Option<String>,
    /// JSON pointer into the record that the row became.
    #[schema(example = "/birth_date", max_length = 200)]
    pub pointer: String,
    /// Stable code of the broken rule.
    #[schema(example = "impossible_date", max_length = 64)]
    pub code: String,
    /// The rule in words.
    #[schema(max_length = 1000)]
    pub message: String,
}

impl RowError {
    /// A fault of the whole row.
    #[must_use]
    pub fn of_row(code: &str, message: impl Into<String>) -> Self {
        Self { column: None, pointer: String::new(), code: code.to_owned(), message: message.into() }
    }
}

impl FeedMapping {
    /// Whether the row is meant for this feed.
    #[must_use]
    pub fn wants(&self, document: &Document, row: &Raw) -> bool {
        self.only.iter().all(|condition| condition.holds(document, row))
    }

    /// The record that the row becomes.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn record(&self, document: &Document, row: &Raw) -> Result<Value, Vec<RowError>> {
        let mut evaluation = Evaluation { document, row, errors: Vec::new() };
        let mut record = Map::new();
        for (name, field) in &self.fields {
            let value = evaluation.value(field, &format!("/{name}"));
            if !value.is_null() {
                record.insert(name.clone(), value);
            }
        }
        if evaluation.errors.is_empty() { Ok(Value::Object(record)) } else { Err(evaluation.errors) }
    }

    /// The texts that a row gives to some fields, whatever is wrong with the others.
    #[must_use]
    pub fn texts(&self, document: &Document, row: &Raw, names: &[&str]) -> Vec<String> {
        let mut evaluation = Evaluation { document, row, errors: Vec::new() };
        let fields = names.iter().filter_map(|name| Some((name, self.fields.get(*name)?)));
        fields.filter_map(|(name, field)| shown(evaluation.value(field, &format!("/{name}")))).collect()
    }

    /// What the owner of the feed said about a record, with the columns that it came from.
    #[must_use]
    pub fn explain(&self, errors: Vec<FieldError>) -> Vec<RowError> {
        let explained = errors.into_iter().map(|error| RowError {
            column: self.column_of(&error.pointer),
            pointer: error.pointer,
            code: error.code,
            message: error.message,
        });
        explained.collect()
    }

    /// The first column behind the deepest field on the way of a pointer.
    fn column_of(&self, pointer: &str) -> Option<String> {
        let mut steps = pointer.split('/').skip(1);
        let mut field = self.fields.get(steps.next()?)?;
        for step in steps {
            let within = match (&field.object, &field.list) {
                (Some(object), _) => object.get(step),
                (_, Some(list)) => step.parse().ok().and_then(|n: usize| list.get(n)),
                _ => None,
            };
            match within {
                Some(child) => field = child,
                None => break,
            }
        }
        field.columns().first().map(|column| (*column).to_owned())
    }
}

impl Condition {
    fn holds(&self, document: &Document, row: &Raw) -> bool {
        let text = cell(row, &self.column).unwrap_or_default();
        let there = !document.null_tokens.iter().any(|token| *token == text);
        let among = |words: &Vec<String>| words.iter().any(|word| *word == text);
        self.one_of.as_ref().is_none_or(among)
            && self.none_of.as_ref().is_none_or(|words| !among(words))
            && self.present.is_none_or(|wanted| wanted == there)
    }
}

/// The text of a column; `None` when the row does not have it. A name that begins with `/` is a pointer.
fn cell<'a>(row: &'a Raw, column: &str) -> Option<Cow<'a, str>> {
    match find(row, column)? {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

fn find<'a>(row: &'a Raw, column: &str) -> Option<&'a Value> {
    if let Some(value) = row.get(column) {
        return Some(value);
    }
    let (first, rest) = column.strip_prefix('/')?.split_once('/').unwrap_or((column.get(1..)?, ""));
    let value = row.get(&first.replace("~1", "/").replace("~0", "~"))?;
    if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
}

struct Evaluation<'a> {
    document: &'a Document,
    row: &'a Raw,
    errors: Vec<RowError>,
}

impl Evaluation<'_> {
    fn value(&mut self, field: &Field, pointer: &str) -> Value {
        let before = self.errors.len();
        let mut value = self.source(field, pointer);
        for transform in &field.transforms {
            let text = match &value {
                Value::Null => break,
                Value::String(text) => Cow::Borrowed(text.as_str()),
                other => Cow::Owned(other.to_string()),
            };
            let other_column = |column: &str| cell(self.row, column).map(Cow::into_owned);
            match transform.apply(&text, &self.document.code_tables, other_column) {
                Ok(next) => value = next,
                Err((code, message)) => {
                    let column = field.columns().first().map(|column| (*column).to_owned());
                    self.errors.push(RowError { column, pointer: pointer.to_owned(), code: code.to_owned(), message });
                    return Value::Null;
                }
            }
        }
        match &field.default {
            Some(default) if value.is_null() && self.errors.len() == before => default.clone(),
            _ => value,
        }
    }

    fn source(&mut self, field: &Field, pointer: &str) -> Value {
        if let Some(column) = &field.column {
            return self.column(field, column);
        }
        if let Some(template) = &field.template {
            let filled = template.fill(|column| match self.column(field, column) {
                Value::Null => None,
                Value::String(text) => Some(text),
                other => Some(other.to_string()),
            });
            return filled.map_or(Value::Null, Value::String);
        }
        if let Some(constant) = &field.constant {
            return constant.clone();
        }
        if let Some(concat) = &field.concat {
            let texts: Vec<String> = concat.parts.iter().filter_map(|part| shown(self.value(part, pointer))).collect();
            return if texts.is_empty() { Value::Null } else { texts.join(&concat.separator).into() };
        }
        if let Some(fields) = &field.first_of {
            return fields.iter().map(|field| self.value(field, pointer)).find(|value| !value.is_null()).unwrap_or(Value::Null);
        }
        if let Some(members) = &field.object {
            return self.object(members, pointer);
        }
        let items = field.list.iter().flatten().enumerate().map(|(n, item)| self.value(item, &format!("{pointer}/{n}")));
        let items: Vec<Value> = items.filter(|value| !value.is_null()).collect();
        if items.is_empty() { Value::Null } else { Value::Array(items) }
    }

    fn column(&self, field: &Field, column: &str) -> Value {
        let tokens = field.null_tokens.as_ref().unwrap_or(&self.document.null_tokens);
        match find(self.row, column) {
            Some(Value::String(text)) if tokens.contains(text) => Value::Null,
            Some(value) => value.clone(),
            None => Value::Null,
        }
    }

    fn object(&mut self, members: &std::collections::BTreeMap<String, Field>, pointer: &str) -> Value {
        let mut object = Map::new();
        let mut from_file = false;
        let mut all_constant = true;
        for (name, member) in members {
            let value = self.value(member, &format!("{pointer}/{name}"));
            let reads = !member.columns().is_empty();
            all_constant &= !reads;
            from_file |= reads && !value.is_null();
            if !value.is_null() {
                object.insert(name.clone(), value);
            }
        }
        if from_file || all_constant { Value::Object(object) } else { Value::Null }
    }
}

fn shown(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(fields: Value) -> Document {
        let file = json!({ "pattern": "*", "feeds": [{ "feed": "branches", "fields": fields,
            "only": [{ "column": "type", "one_of": ["OWNER", "USER"] }, { "column": "id", "present": true }] }] });
        serde_json::from_value(json!({
            "version": 1, "null_tokens": ["", " ", "?"],
            "code_tables": { "kind": { "entries": { "P": "personal" } } }, "files": [file],
        }))
        .unwrap()
    }

    fn record(fields: Value, row: Value) -> Result<Value, Vec<(String, String, Option<String>)>> {
        let document = document(fields);
        let result = document.files[0].feeds[0].record(&document, row.as_object().unwrap());
        result.map_err(|errors| errors.into_iter().map(|e| (e.pointer, e.code, e.column)).collect())
    }

    #[test]
    fn sources_and_nulls() {
        let fields = json!({
            "source_id": "id",
            "branch_code": { "template": "D{district}" },
            "kind": { "constant": "personal" },
            "gone": { "column": "k", "null_tokens": ["x"] },
            "nothing": { "template": "D{missing}" },
            "name": { "concat": { "parts": ["first", "last"], "separator": " " } },
            "phone": { "first_of": ["mobile", "home"] },
            "amount": { "object": { "amount": "sum", "currency": { "constant": "CZK" } } },
            "none": { "object": { "amount": "k", "currency": { "constant": "CZK" } } },
            "identities": { "list": [{ "object": { "number": "id" } }, { "object": { "number": "missing" } }] },
            "segment": { "column": "k", "default": "retail" },
            "city": "/address/city",
        });
        let row = json!({ "id": "7", "district": 12, "k": "?", "first": "Jan", "last": " ", "mobile": "", "home": "1",
            "sum": "2.50", "address": { "city": "Brno" } });
        let record = record(fields, row).unwrap();
        let expected = json!({ "source_id": "7", "branch_code": "D12", "kind": "personal", "name": "Jan", "phone": "1",
            "gone": "?", "amount": { "amount": "2.50", "currency": "CZK" }, "identities": [{ "number": "7" }],
            "segment": "retail", "city": "Brno" });
        assert_eq!(record, expected);
    }

    #[test]
    fn all_errors_of_a_row_at_once_with_their_columns() {
        let fields = json!({
            "kind": { "column": "k", "transforms": [{ "code": "kind" }], "default": "personal" },
            "opened_on": { "template": "{d}", "transforms": ["trim", { "date": { "pattern": "YYMMDD" } }] },
        });
        let errors = record(fields, json!({ "k": "Z", "d": "930231" })).unwrap_err();
        let expected = [
            ("/kind".to_owned(), "unknown_code".to_owned(), Some("k".to_owned())),
            ("/opened_on".into(), "impossible_date".into(), Some("d".into())),
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn conditions_choose_rows() {
        let document = document(json!({ "source_id": "id" }));
        let wants = |row: Value| document.files[0].feeds[0].wants(&document, row.as_object().unwrap());
        assert!(wants(json!({ "type": "OWNER", "id": "1" })));
        assert!(!wants(json!({ "type": "DISPONENT", "id": "1" })));
        assert!(!wants(json!({ "type": "OWNER", "id": "?" })));
        assert!(!wants(json!({ "type": "OWNER" })));
    }

    #[test]
    fn pointers_of_owners_lead_back_to_columns() {
        let document = document(json!({
            "amount": { "object": { "amount": "sum", "currency": { "constant": "CZK" } } },
            "identities": { "list": [{ "object": { "number": { "template": "{a}-{b}" } } }] },
        }));
        let column = |pointer: &str| document.files[0].feeds[0].column_of(pointer);
        assert_eq!(column("/amount/amount").as_deref(), Some("sum"));
        assert_eq!(column("/identities/0/number").as_deref(), Some("a"));
        assert_eq!(column("/identities/0/type").as_deref(), Some("a"));
        assert_eq!(column("/unknown"), None);
    }
}
