//! Reads files row by row with flat memory: plain, gzip or zstd; any encoding; CSV or NDJSON.

mod csv;
mod guard;
mod ndjson;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use encoding_rs_io::DecodeReaderBytesBuilder;
use kehu_kernel::{Error, Result};

use crate::mapping::{
    Raw, RowError,
    document::{Format, Kind},
};
use guard::Guard;

/// The longest row that is read; a longer one is a quote that was never closed.
const LONGEST_ROW: u64 = 4 << 20;

/// A row of a file.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number among the rows, from 1; a header does not count.
    pub number: i64,
    /// The line on which it begins, from 1.
    pub line: i64,
    /// What it holds.
    pub raw: Raw,
    /// Why it cannot be read, if so; `raw` is then what could be saved of it.
    pub fault: Option<RowError>,
}

/// Rows one after the other. An error ends the file.
pub type Rows = Box<dyn Iterator<Item = Result<Row>>>;

/// Opens a file and checks that it has the columns.
///
/// # Errors
/// [`Error::Invalid`] `missing_column`, `unreadable_file`.
pub fn open(path: &Path, format: &Format, columns: &[&str]) -> Result<Rows> {
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    let text = decode(unpack(BufReader::with_capacity(1 << 16, file))?, format)?;
    let rows = match format.kind {
        Kind::Csv => csv::open(text, format, columns)?,
        Kind::Ndjson => ndjson::open(text),
    };
    Ok(Box::new(rows.map(|row| row.map(without_nul))))
}

/// A row with U+0000 is refused: no text of the bank's record may have it.
fn without_nul(row: Row) -> Row {
    let holds = || row.raw.iter().find(|(column, value)| column.contains('\0') || has_nul(value));
    let fault = row.fault.clone().or_else(|| {
        holds().map(|(column, _)| RowError {
            column: Some(column.clone()).filter(|column| !column.contains('\0')),
            ..RowError::of_row("control_character", "The character U+0000 is not taken.")
        })
    });
    Row { fault, ..row }
}

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(items) => items.iter().any(has_nul),
        serde_json::Value::Object(entries) => entries.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// By the first bytes, whatever the name says.
fn unpack(mut reader: BufReader<File>) -> Result<Box<dyn Read>> {
    let start = reader.fill_buf().map_err(|error| unreadable(&error))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(reader)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| unreadable(&error))?;
        Ok(Box::new(decoder))
    } else {
        Ok(Box::new(reader))
    }
}

/// To UTF-8; what cannot be decoded becomes U+FFFD, by which the row is found out.
fn decode(reader: Box<dyn Read>, format: &Format) -> Result<Guard<BufReader<impl Read + use<>>>> {
    let encoding = encoding_rs::Encoding::for_label(format.encoding.as_bytes())
        .ok_or_else(|| Error::invalid("/format/encoding", "unknown_encoding", "There is no encoding of this name."))?;
    let decoder = DecodeReaderBytesBuilder::new().encoding(Some(encoding)).bom_override(true).build(reader);
    Ok(Guard::new(BufReader::with_capacity(1 << 16, decoder), LONGEST_ROW))
}

fn unreadable(error: &io::Error) -> Error {
    Error::invalid("/file", "unreadable_file", format!("The file cannot be read: {error}."))
}

/// Whether a text holds what could not be decoded.
fn is_garbled(text: &str) -> bool {
    text.contains('\u{fffd}')
}

fn garbled(column: Option<&str>, encoding: &str) -> RowError {
    RowError {
        column: column.map(str::to_owned),
        ..RowError::of_row("invalid_encoding", format!("Some bytes are not valid {encoding}."))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use serde_json::{Value, json};

    fn read(bytes: &[u8], format: Value, columns: &[&str]) -> Result<Vec<Row>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let format: Format = serde_json::from_value(format).unwrap();
        open(file.path(), &format, columns)?.collect()
    }

    /// Line, values, code of the fault.
    fn shape(rows: Vec<Row>) -> Vec<(i64, Vec<String>, Option<String>)> {
        let values = |raw: Raw| raw.into_iter().map(|(_, value)| value.as_str().unwrap_or("-").to_owned()).collect();
        rows.into_iter().map(|row| (row.line, values(row.raw), row.fault.map(|fault| fault.code))).collect()
    }

    fn row(line: i64, values: &[&str], fault: Option<&str>) -> (i64, Vec<String>, Option<String>) {
        (line, values.iter().map(|value| (*value).to_owned()).collect(), fault.map(str::to_owned))
    }

    #[test]
    fn quotes_line_breaks_and_line_ends() {
        let text = b"\xef\xbb\xbfa;b\r\n1;\"x;\r\n\"\"y\"\"\"\r\n2;z\r\n";
        let rows = read(text, json!({ "separator": ";" }), &["a", "b"]).unwrap();
        assert_eq!(shape(rows), [row(2, &["1", "x;\r\n\"y\""], None), row(4, &["2", "z"], None)]);
        let rows = read(b"1|'a''b'|x\n", json!({ "separator": "|", "quote": "'", "columns": ["p", "q", "r"] }), &["r"]).unwrap();
        assert_eq!(shape(rows), [row(1, &["1", "a'b", "x"], None)]);
        let rows = read(b"a\tb\n\"1\t2\n", json!({ "separator": "\t", "quote": null }), &[]).unwrap();
        assert_eq!(shape(rows), [row(2, &["\"1", "2"], None)]);
    }

    #[test]
    fn encodings() {
        let text = "编号,姓名\n1,张三\n";
        let expected = [row(2, &["1", "张三"], None)];
        let gb = encoding_rs::GB18030.encode(text).0;
        assert_eq!(shape(read(&gb, json!({ "encoding": "gb18030" }), &["姓名"]).unwrap()), expected);
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(shape(read(&utf16, json!({ "encoding": "utf-16le" }), &["姓名"]).unwrap()), expected);
        let marked: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        assert_eq!(shape(read(&marked, json!({}), &["姓名"]).unwrap()), expected);
        let rows = shape(read(&gb.replace_header(), json!({}), &["n"]).unwrap());
        assert_eq!(rows[0].2.as_deref(), Some("invalid_encoding"));
    }

    trait ReplaceHeader {
        fn replace_header(&self) -> Vec<u8>;
    }

    impl ReplaceHeader for [u8] {
        /// The same rows below a header of ASCII.
        fn replace_header(&self) -> Vec<u8> {
            let end = self.iter().position(|b| *b == b'\n').unwrap();
            [b"n,m", &self[end..]].concat()
        }
    }

    #[test]
    fn packed_files() {
        let text = b"a,b\n1,2\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for packed in [gzip.finish().unwrap(), zstd] {
            assert_eq!(shape(read(&packed, json!({}), &["a"]).unwrap()), [row(2, &["1", "2"], None)]);
        }
    }

    #[test]
    fn broken_rows_do_not_stop_the_file() {
        let rows = read(b"a,b\n1\n1,2,3\n\n4,5\n", json!({}), &["a"]).unwrap();
        let wrong = Some("wrong_column_count");
        let expected = [row(2, &["1"], wrong), row(3, &["1", "2", "3"], wrong)];
        assert_eq!(shape(rows)[..2], expected);
        let rows = read(b"{\"a\":\"1\"}\n\n[1]\n{\"a\"\n{\"a\":\"2\"}", json!({ "kind": "ndjson" }), &[]).unwrap();
        let expected = [
            row(1, &["1"], None),
            row(3, &["[1]"], Some("not_an_object")),
            row(4, &["{\"a\""], Some("invalid_json")),
            row(5, &["2"], None),
        ];
        assert_eq!(shape(rows), expected);
    }

    #[test]
    fn rows_with_nul_are_refused_and_the_others_read() {
        let faults = |bytes: &[u8], format: Value| {
            let rows = read(bytes, format, &[]).unwrap().into_iter();
            rows.map(|row| row.fault.map(|fault| (fault.code, fault.column))).collect::<Vec<_>>()
        };
        let refused = |column: Option<&str>| Some(("control_character".to_owned(), column.map(str::to_owned)));
        assert_eq!(faults(b"a,b\n1,2\n1,x\0\n3,4\n", json!({})), [None, refused(Some("b")), None]);
        let lines = br#"{"a":"\u0000"}
{"a":[{"b":"x\u0000"}]}
{"x\u0000":1}
{"a":"\\u0000"}"#;
        assert_eq!(faults(lines, json!({ "kind": "ndjson" })), [refused(Some("a")), refused(Some("a")), refused(None), None]);
    }

    #[test]
    fn missing_and_doubled_columns_stop_the_file() {
        let codes = |bytes: &[u8]| match read(bytes, json!({}), &["b", "c", "c"]) {
            Err(Error::Invalid(errors)) => errors.into_iter().map(|error| error.code).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(codes(b"a,a\n"), ["missing_column", "missing_column", "duplicate_column"]);
        assert_eq!(codes(b""), ["empty_file"]);
    }

    #[test]
    fn a_quote_that_never_closes_does_not_fill_the_memory() {
        let mut text = b"a,b\n1,\"".to_vec();
        text.resize(6 << 20, b'x');
        match read(&text, json!({}), &["a"]) {
            Err(Error::Invalid(errors)) => assert_eq!(errors[0].code, "unreadable_file"),
            other => panic!("{:?}", other.map(|rows| rows.len())),
        }
        let endless = vec![b'x'; 6 << 20];
        assert!(read(&endless, json!({ "kind": "ndjson" }), &[]).is_err());
    }
}
