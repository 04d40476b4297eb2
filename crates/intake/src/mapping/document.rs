//! The mapping language: which file and column becomes which field of which feed. A document is data of
//! the bank; nothing in here knows one.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::{file_pattern::FilePattern, template::Template, transform::Fault, transform::Transform};
use crate::dispatch::Feed;

/// A mapping.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Version of the mapping language; 1.
    pub version: u32,
    /// Texts that mean "nothing"; the empty text unless given.
    #[serde(default = "empty_text")]
    pub null_tokens: Vec<String>,
    /// Code tables by name.
    #[serde(default)]
    pub code_tables: CodeTables,
    /// Records that the mapping brings along, for example products.
    #[serde(default)]
    pub records: Vec<ConstantRecord>,
    /// Files, in the order in which they are read best; no order is needed.
    pub files: Vec<FileMapping>,
}

/// Code tables by name.
pub type CodeTables = BTreeMap<String, CodeTable>;

/// What the codes of a system stand for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeTable {
    /// Code to value.
    pub entries: BTreeMap<String, Value>,
    /// What happens to other codes.
    #[serde(default)]
    pub unknown: Unknown,
}

/// What happens to a code that a table does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// The row is rejected.
    #[default]
    Reject,
    /// The code itself is the value.
    Keep,
    /// The value is null.
    Null,
}

impl CodeTable {
    /// The value of a code.
    ///
    /// # Errors
    /// `unknown_code`.
    pub fn look_up(&self, code: &str) -> Result<Value, Fault> {
        match (self.entries.get(code), self.unknown) {
            (Some(value), _) => Ok(value.clone()),
            (None, Unknown::Keep) => Ok(code.into()),
            (None, Unknown::Null) => Ok(Value::Null),
            (None, Unknown::Reject) => Err(("unknown_code", "The mapping's code table does not have this code.".into())),
        }
    }
}

/// A record that is written in the mapping itself.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConstantRecord {
    /// Which feed it belongs to.
    pub feed: Feed,
    /// The record.
    pub record: Map<String, Value>,
}

/// What a kind of file holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMapping {
    /// Names of such files.
    pub pattern: FilePattern,
    /// How they are written; CSV in UTF-8 with commas and a header unless given.
    #[serde(default)]
    pub format: Format,
    /// What their rows become.
    pub feeds: Vec<FeedMapping>,
}

/// How a file is written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Format {
    /// CSV or NDJSON.
    pub kind: Kind,
    /// Encoding by its usual label: `utf-8`, `gb18030`, `utf-16le` … A byte-order mark overrules it.
    pub encoding: String,
    /// What stands between fields.
    pub separator: char,
    /// What stands around fields that hold separators; null when nothing does.
    pub quote: Option<char>,
    /// What stands before a quote inside quotes; null when quotes are doubled.
    pub escape: Option<char>,
    /// Names of the columns of a file without a header.
    pub columns: Option<Vec<String>>,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Rows of separated fields.
    Csv,
    /// One JSON object a line; a column is a member, or a JSON pointer when it begins with `/`.
    Ndjson,
}

impl Default for Format {
    fn default() -> Self {
        Self { kind: Kind::Csv, encoding: "utf-8".into(), separator: ',', quote: Some('"'), escape: None, columns: None }
    }
}

/// What a row becomes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedMapping {
    /// Which feed.
    pub feed: Feed,
    /// Only rows for which all of this holds.
    #[serde(default)]
    pub only: Vec<Condition>,
    /// How each field comes about. A field that is null is left out of the record.
    pub fields: BTreeMap<String, Field>,
}

/// A condition on a column's text, as it stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column.
    pub column: String,
    /// It is one of these.
    pub one_of: Option<Vec<String>>,
    /// It is none of these.
    pub none_of: Option<Vec<String>>,
    /// It is there and no null token, or the contrary.
    pub present: Option<bool>,
}

/// How a value comes about: exactly one of the sources, then the transforms, then the default.
/// A bare text is the name of a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// A column.
    pub column: Option<String>,
    /// A text with columns in it.
    pub template: Option<Template>,
    /// Always the same.
    pub constant: Option<Value>,
    /// Several values one after the other; nulls are left out.
    pub concat: Option<Concat>,
    /// The first that is not null.
    pub first_of: Option<Vec<Self>>,
    /// An object; null when all that comes from the file is null.
    pub object: Option<BTreeMap<String, Self>>,
    /// A list; nulls are left out.
    pub list: Option<Vec<Self>>,
    /// Steps in their order; null passes all of them.
    pub transforms: Vec<Transform>,
    /// Instead of null.
    pub default: Option<Value>,
    /// Texts that mean "nothing" here, instead of the document's.
    pub null_tokens: Option<Vec<String>>,
}

/// Values one after the other.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The values.
    pub parts: Vec<Field>,
    /// What stands between them.
    #[serde(default)]
    pub separator: String,
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> de::Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the name of a column, or an object that says how the field comes about")
    }

    fn visit_str<E: de::Error>(self, column: &str) -> Result<Field, E> {
        Ok(Field { column: Some(column.to_owned()), ..Field::default() })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Field, A::Error> {
        /// The long form of a field.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            column: Option<String>,
            template: Option<Template>,
            constant: Option<Value>,
            concat: Option<Concat>,
            first_of: Option<Vec<Field>>,
            object: Option<BTreeMap<String, Field>>,
            list: Option<Vec<Field>>,
            #[serde(default)]
            transforms: Vec<Transform>,
            default: Option<Value>,
            null_tokens: Option<Vec<String>>,
        }
        let Long { column, template, constant, concat, first_of, object, list, transforms, default, null_tokens } =
            Long::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(Field { column, template, constant, concat, first_of, object, list, transforms, default, null_tokens })
    }
}

fn empty_text() -> Vec<String> {
    vec![String::new()]
}

impl Field {
    /// How many sources it names; exactly one is right.
    #[must_use]
    pub fn sources(&self) -> usize {
        [
            self.column.is_some(),
            self.template.is_some(),
            self.constant.is_some(),
            self.concat.is_some(),
            self.first_of.is_some(),
            self.object.is_some(),
            self.list.is_some(),
        ]
        .into_iter()
        .filter(|there| *there)
        .count()
    }

    /// Fields inside this one.
    pub fn children(&self) -> impl Iterator<Item = (String, &Self)> {
        let concat = self.concat.iter().flat_map(|concat| numbered("concat/parts", &concat.parts));
        let first_of = self.first_of.iter().flat_map(|fields| numbered("first_of", fields));
        let list = self.list.iter().flat_map(|fields| numbered("list", fields));
        let object = self.object.iter().flatten().map(|(name, field)| (format!("object/{name}"), field));
        concat.chain(first_of).chain(list).chain(object)
    }

    /// The columns that it needs, its own first.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = self.column.as_deref().into_iter().collect();
        columns.extend(self.template.iter().flat_map(Template::columns));
        columns.extend(self.children().flat_map(|(_, child)| child.columns()));
        columns.extend(self.transforms.iter().filter_map(Transform::column));
        columns
    }
}

fn numbered<'a>(name: &'static str, fields: &'a [Field]) -> impl Iterator<Item = (String, &'a Field)> {
    fields.iter().enumerate().map(move |(n, field)| (format!("{name}/{n}"), field))
}

impl FeedMapping {
    /// The columns that it needs.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let conditions = self.only.iter().map(|condition| condition.column.as_str());
        conditions.chain(self.fields.values().flat_map(Field::columns)).collect()
    }
}

impl Document {
    /// The mapping of a file by its name; the first that fits.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<(usize, &FileMapping)> {
        self.files.iter().enumerate().find(|(_, file)| file.pattern.matches(name))
    }
}
