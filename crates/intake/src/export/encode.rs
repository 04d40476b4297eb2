//! Items as lines of CSV or NDJSON.

use kehu_kernel::{Error, Result};
use serde_json::{Map, Value};

use super::Column;

/// What tells a spreadsheet that a text is UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The header of a CSV file: the names of the columns.
pub(super) fn csv_header(columns: &[Column]) -> Result<Vec<u8>> {
    csv(std::iter::once(columns.iter().map(Column::name).collect()))
}

/// Items as lines after RFC 4180.
pub(super) fn csv_lines(columns: &[Column], items: &[Value]) -> Result<Vec<u8>> {
    csv(items.iter().map(|item| columns.iter().map(|column| cell(column.of(item))).collect()))
}

fn csv(lines: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>> {
    let mut writer = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(Vec::new());
    for line in lines {
        writer.write_record(&line).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}

/// A value as the text of a cell: null is empty, lists and objects are JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        other => other.to_string(),
    }
}

/// Spreadsheets take some texts for formulas; an apostrophe before them keeps them texts. Negative amounts stay numbers.
fn harmless(text: &str) -> String {
    const RISKY: &[char] = &['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if text.starts_with(RISKY) && !is_negative_number(text) { format!("'{text}") } else { text.to_owned() }
}

fn is_negative_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('-').is_some_and(|number| match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(number),
    })
}

/// Items as one JSON object a line, whole or with the chosen columns alone.
pub(super) fn json_lines(chosen: Option<&[Column]>, items: &[Value]) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for item in items {
        match chosen {
            Some(columns) => serde_json::to_writer(&mut lines, &project(columns, item)),
            None => serde_json::to_writer(&mut lines, item),
        }
        .map_err(Error::internal)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// The item with these columns alone. An object that is null stays null.
fn project(columns: &[Column], item: &Value) -> Value {
    let mut projected = Map::new();
    for column in columns {
        insert(&mut projected, &column.path, item);
    }
    Value::Object(projected)
}

fn insert(into: &mut Map<String, Value>, path: &[String], from: &Value) {
    let Some((field, rest)) = path.split_first() else { return };
    let value = from.get(field).unwrap_or(&Value::Null);
    if rest.is_empty() || value.is_null() {
        into.insert(field.clone(), value.clone());
    } else if let Value::Object(inner) = into.entry(field.clone()).or_insert_with(|| Value::Object(Map::new())) {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::export::Kind;

    fn columns(names: &[&str]) -> Vec<Column> {
        let column = |name: &&str| Column { path: name.split('.').map(ToOwned::to_owned).collect(), kind: Kind::Text };
        names.iter().map(column).collect()
    }

    #[test]
    fn formulas_become_texts_and_amounts_stay_numbers() {
        for risky in ["=1+1", "+86 138", "-2+3", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1", "-", "-1.", "--1", "=", "-1e5", "- 5"] {
            assert_eq!(harmless(risky), format!("'{risky}"), "{risky:?}");
        }
        for plain in ["", "a=1", "-12.50", "-7", "0", "王小明", " =1", "'=1"] {
            assert_eq!(harmless(plain), plain);
        }
    }

    #[test]
    fn hostile_cells_come_back_as_they_are() {
        let columns = columns(&["a", "b.c", "d", "e"]);
        let item = json!({ "a": "x,\"y\"\r\nz;\u{0}\u{1F600}", "b": { "c": "=cmd" }, "d": [1, "，"], "e": null });
        let mut file = csv_header(&columns).unwrap();
        file.extend(csv_lines(&columns, &[item, json!({ "a": 5, "b": null })]).unwrap());
        let mut reader = ::csv::Reader::from_reader(file.as_slice());
        assert_eq!(reader.headers().unwrap(), vec!["a", "b.c", "d", "e"]);
        let rows: Vec<_> = reader.records().map(|row| row.unwrap()).collect();
        assert_eq!(rows[0], vec!["x,\"y\"\r\nz;\u{0}\u{1F600}", "'=cmd", "[1,\"，\"]", ""]);
        assert_eq!(rows[1], vec!["5", "", "", ""]);
        assert!(file.ends_with(b"5,,,\r\n"));
    }

    #[test]
    fn chosen_columns_keep_their_places() {
        let item = json!({ "id": 1, "owner": null, "branch": { "id": 2, "label": "x" }, "rest": true });
        let lines =
            json_lines(Some(&columns(&["branch.label", "owner.id", "owner.label", "id"])), std::slice::from_ref(&item)).unwrap();
        assert_eq!(lines, b"{\"branch\":{\"label\":\"x\"},\"owner\":null,\"id\":1}\n");
        assert_eq!(json_lines(None, std::slice::from_ref(&item)).unwrap(), format!("{item}\n").into_bytes());
    }
}
