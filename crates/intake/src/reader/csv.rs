//! CSV of any separator, quote and line end, with line breaks inside quotes.

use std::{collections::HashSet, io::Read};

use csv::{ReaderBuilder, StringRecord, StringRecordsIntoIter};
use kehu_kernel::{Error, FieldError, Result};

use super::{
    Row, Rows, garbled,
    guard::{Guard, Meter},
    is_garbled, unreadable,
};
use crate::mapping::{Raw, RowError, document::Format};

/// How many columns beyond the header are kept of a row that has too many; each needs a name.
const SURPLUS: usize = 100;

struct CsvRows<R> {
    records: StringRecordsIntoIter<R>,
    header: Vec<String>,
    encoding: String,
    meter: Meter,
    number: i64,
    /// The line on which the next row begins, if no empty line comes before it.
    next_line: i64,
}

pub(super) fn open<R: Read + 'static>(text: Guard<R>, format: &Format, columns: &[&str]) -> Result<Rows> {
    let meter = text.meter();
    let reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(ascii(format.separator))
        .quoting(format.quote.is_some())
        .quote(format.quote.map_or(b'"', ascii))
        .escape(format.escape.map(ascii))
        .double_quote(format.escape.is_none())
        .from_reader(text);
    let mut records = reader.into_records();
    let (header, next_line) = match &format.columns {
        Some(columns) => (columns.clone(), 1),
        None => {
            let header = records.next().transpose().map_err(broken)?;
            let header = header.ok_or_else(|| Error::invalid("/file", "empty_file", "The file has not even a header."))?;
            (header.iter().map(|name| name.trim().to_owned()).collect(), 1 + lines(&header))
        }
    };
    meter.reset();
    check_header(&header, columns)?;
    Ok(Box::new(CsvRows { records, header, encoding: format.encoding.clone(), meter, number: 0, next_line }))
}

fn check_header(header: &[String], columns: &[&str]) -> Result<()> {
    let mut missing: Vec<&str> = columns.iter().copied().filter(|column| !header.iter().any(|name| name == column)).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut errors: Vec<FieldError> = missing
        .iter()
        .map(|column| FieldError::new("/file", "missing_column", format!("The file has no column {column:?}.")))
        .collect();
    let mut seen = HashSet::new();
    let twice = header.iter().filter(|name| !seen.insert(name.as_str()));
    errors.extend(
        twice.map(|name| FieldError::new("/file", "duplicate_column", format!("The file has the column {name:?} twice."))),
    );
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.records.next()? {
            Ok(record) => record,
            Err(error) => return Some(Err(broken(error))),
        };
        self.meter.reset();
        self.number += 1;
        Some(Ok(self.row(&record)))
    }
}

impl<R> CsvRows<R> {
    fn row(&mut self, record: &StringRecord) -> Row {
        // The reader's own count knows of empty lines but not yet of the second half of CR LF.
        let counted = record.position().and_then(|position| i64::try_from(position.line()).ok());
        let line = self.next_line.max(counted.unwrap_or(0));
        self.next_line = line + lines(record);
        let names = self.header.iter().cloned().chain((self.header.len() + 1..).map(|n| format!("column {n}")));
        let raw: Raw = names.zip(record.iter().map(Into::into)).take(self.header.len() + SURPLUS).collect();
        Row { number: self.number, line, fault: self.fault(record), raw }
    }

    fn fault(&self, record: &StringRecord) -> Option<RowError> {
        let (expected, found) = (self.header.len(), record.len());
        if expected != found {
            let message = format!("The row has {found} columns, the header {expected}.");
            return Some(RowError::of_row("wrong_column_count", message));
        }
        let garbled_at = record.iter().position(is_garbled)?;
        Some(garbled(self.header.get(garbled_at).map(String::as_str), &self.encoding))
    }
}

/// How many lines a record takes.
fn lines(record: &StringRecord) -> i64 {
    let breaks = record.as_slice().bytes().filter(|b| *b == b'\n').count();
    i64::try_from(breaks).unwrap_or(i64::MAX).saturating_add(1)
}

fn broken(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => unreadable(&error),
        other => Error::internal(format!("csv: {other:?}")),
    }
}

/// The mapping's check has made sure of it.
fn ascii(c: char) -> u8 {
    u8::try_from(c).unwrap_or(b',')
}
