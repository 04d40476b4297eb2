//! Reads a mapping document and finds all that is wrong with it, with JSON pointers.

use kehu_kernel::{Error, FieldError, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::{
    document::{Document, FeedMapping, Field, FileMapping, Kind},
    transform::Transform,
};
use crate::dispatch;

/// Reads a document.
///
/// # Errors
/// [`Error::Invalid`] with pointers below `base`: the first that cannot be read, or else all that
/// contradict each other.
pub fn read(document: &Value, base: &str) -> Result<Document> {
    let document: Document =
        parse(document).map_err(|(pointer, message)| Error::invalid(format!("{base}{pointer}"), "invalid_mapping", message))?;
    let mut check = Check { document: &document, errors: Vec::new() };
    check.document(base);
    if check.errors.is_empty() { Ok(document) } else { Err(Error::Invalid(check.errors)) }
}

/// Reads a value as a type; else the pointer of what does not fit, and why.
///
/// # Errors
/// Pointer and message.
pub fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = error.path().iter().filter_map(segment).map(|step| format!("/{step}")).collect();
        (pointer, error.inner().to_string())
    })
}

fn segment(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

struct Check<'a> {
    document: &'a Document,
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn fault(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError::new(pointer, "invalid_mapping", message));
    }

    fn document(&mut self, base: &str) {
        let document = self.document;
        if document.version != 1 {
            self.fault(format!("{base}/version"), "The mapping language has version 1.");
        }
        if document.files.is_empty() && document.records.is_empty() {
            self.fault(format!("{base}/files"), "A mapping has files or records.");
        }
        for (n, record) in document.records.iter().enumerate() {
            if let Err(errors) = dispatch::check(record.feed, &Value::Object(record.record.clone())) {
                let pointer = |error: &FieldError| format!("{base}/records/{n}/record{}", error.pointer);
                self.errors.extend(errors.iter().map(|error| FieldError::new(pointer(error), &error.code, &error.message)));
            }
        }
        for (n, file) in document.files.iter().enumerate() {
            self.file(file, &format!("{base}/files/{n}"));
        }
    }

    fn file(&mut self, file: &FileMapping, at: &str) {
        if encoding_rs::Encoding::for_label(file.format.encoding.as_bytes()).is_none() {
            self.fault(format!("{at}/format/encoding"), "There is no encoding of this name.");
        }
        let marks = [("separator", Some(file.format.separator)), ("quote", file.format.quote), ("escape", file.format.escape)];
        for (name, mark) in marks {
            if mark.is_some_and(|c| !c.is_ascii()) {
                self.fault(format!("{at}/format/{name}"), "Expected a character of ASCII.");
            }
        }
        if file.feeds.is_empty() {
            self.fault(format!("{at}/feeds"), "A file feeds something.");
        }
        for (n, feed) in file.feeds.iter().enumerate() {
            let at = format!("{at}/feeds/{n}");
            self.feed(feed, &at);
            if let (Kind::Csv, Some(known)) = (file.format.kind, &file.format.columns) {
                for column in feed.columns().into_iter().filter(|column| !known.iter().any(|name| name == column)) {
                    self.fault(&at, format!("The file has no column {column:?}."));
                }
            }
        }
    }

    fn feed(&mut self, feed: &FeedMapping, at: &str) {
        for (name, field) in &feed.fields {
            let at = format!("{at}/fields/{name}");
            if !dispatch::has_field(feed.feed, name) {
                self.fault(&at, format!("Records of {} have no field {name:?}.", feed.feed));
            }
            self.field(field, &at);
        }
    }

    fn field(&mut self, field: &Field, at: &str) {
        if field.sources() != 1 {
            self.fault(at, "A field names exactly one of column, template, constant, concat, first_of, object and list.");
        }
        for (n, transform) in field.transforms.iter().enumerate() {
            if let Transform::Code(table) = transform
                && !self.document.code_tables.contains_key(table)
            {
                self.fault(format!("{at}/transforms/{n}/code"), format!("There is no code table {table:?}."));
            }
        }
        for (step, child) in field.children() {
            self.field(child, &format!("{at}/{step}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(document: Value) -> Vec<String> {
        match read(&document, "/document") {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn with_field(field: Value) -> Value {
        json!({ "version": 1, "files": [{ "pattern": "*", "feeds": [{ "feed": "branches", "fields": { "code": field } }] }] })
    }

    #[test]
    fn a_sound_mapping_is_read() {
        assert!(read(&with_field(json!("id")), "").is_ok());
    }

    #[test]
    fn unknown_keys_are_refused_where_they_stand() {
        let at = "/document/files/0/feeds/0/fields/code";
        assert_eq!(pointers(json!({ "version": 1, "files": [], "x": 1 })), ["/document/x"]);
        assert_eq!(pointers(with_field(json!({ "colum": "id" }))), [format!("{at}/colum")]);
        let pattern = json!({ "column": "id", "transforms": ["trim", { "date": { "pattern": "YYMM" } }] });
        assert_eq!(pointers(with_field(pattern)), [format!("{at}/transforms/1/date/pattern")]);
        let unknown = json!({ "column": "id", "transforms": [{ "date": { "pattern": "YYMMDD", "pivott": 1 } }] });
        assert_eq!(pointers(with_field(unknown)), [format!("{at}/transforms/0/date/pivott")]);
    }

    #[test]
    fn contradictions_are_found_all_at_once() {
        let field = json!({ "column": "id", "constant": 1, "transforms": [{ "code": "none" }], "list": [{}] });
        let at = "/document/files/0/feeds/0/fields/code";
        assert_eq!(pointers(with_field(field)), [at.to_owned(), format!("{at}/transforms/0/code"), format!("{at}/list/0")]);
        let format = json!({ "version": 2, "files": [{ "pattern": "*", "feeds": [],
            "format": { "encoding": "klingon", "separator": "；" } }] });
        let expected = ["/version", "/files/0/format/encoding", "/files/0/format/separator", "/files/0/feeds"];
        assert_eq!(pointers(format), expected.map(|pointer| format!("/document{pointer}")));
    }
}
