//! NDJSON: one JSON object a line.

use std::io::BufRead;

use kehu_kernel::Result;
use serde_json::Value;

use super::{
    Row, Rows, garbled,
    guard::{Guard, Meter},
    is_garbled, unreadable,
};
use crate::mapping::{Raw, RowError};

struct JsonRows<R> {
    text: Guard<R>,
    meter: Meter,
    number: i64,
    line: i64,
}

pub(super) fn open<R: BufRead + 'static>(text: Guard<R>) -> Rows {
    let meter = text.meter();
    Box::new(JsonRows { text, meter, number: 0, line: 0 })
}

impl<R: BufRead> Iterator for JsonRows<R> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut text = String::new();
            match self.text.read_line(&mut text) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(unreadable(&error))),
            }
            self.meter.reset();
            self.line += 1;
            let text = text.trim();
            if !text.is_empty() {
                self.number += 1;
                return Some(Ok(self.row(text)));
            }
        }
    }
}

impl<R> JsonRows<R> {
    fn row(&self, text: &str) -> Row {
        let (raw, fault) = match serde_json::from_str(text) {
            _ if is_garbled(text) => (unread(text), Some(garbled(None, "text"))),
            Ok(Value::Object(raw)) => (raw, None),
            Ok(_) => (unread(text), Some(RowError::of_row("not_an_object", "Expected one JSON object a line."))),
            Err(error) => {
                let fault = RowError::of_row("invalid_json", format!("The line is no JSON: {error}."));
                (unread(text), Some(fault))
            }
        };
        Row { number: self.number, line: self.line, raw, fault }
    }
}

/// A line that has no columns is kept whole.
fn unread(text: &str) -> Raw {
    Raw::from_iter([("line".to_owned(), text.into())])
}
