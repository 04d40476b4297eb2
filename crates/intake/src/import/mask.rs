//! What is shown of a row to somebody who may not see numbers in full. Which column holds the number of a document,
//! an account or a card is not always known of a row that was rejected, so whatever looks like one is masked.

use kehu_account_link::number;
use serde_json::{Map, Value};

use crate::mapping::Raw;

/// From how many digits on something looks like a number of a document or an account.
const DIGITS: usize = 6;

/// The value with all numbers in it masked.
pub(super) fn masked(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(hidden(text)),
        Value::Number(number) if is_secret(&number.to_string()) => Value::String(number::mask(&number.to_string())),
        Value::Array(items) => Value::Array(items.iter().map(masked).collect()),
        Value::Object(fields) => Value::Object(masked_row(fields)),
        other => other.clone(),
    }
}

/// The row with all numbers in it masked.
pub(super) fn masked_row(row: &Raw) -> Raw {
    row.iter().map(|(column, value)| (column.clone(), masked(value))).collect()
}

/// A corrected row, with those values that came back masked as they were kept.
pub(super) fn unmasked(corrected: Map<String, Value>, kept: &Raw) -> Raw {
    let original = |column: &str, value: &Value| kept.get(column).filter(|kept| masked(kept) == *value).cloned();
    let restored = |(column, value): (String, Value)| {
        let value = original(&column, &value).unwrap_or(value);
        (column, value)
    };
    corrected.into_iter().map(restored).collect()
}

/// Masks each run of digits, single separators within, that looks like a number.
fn hidden(text: &str) -> String {
    let (mut shown, mut run, mut gap) = (String::new(), String::new(), None);
    for c in text.chars() {
        if c.is_numeric() {
            run.extend(gap.take());
            run.push(c);
        } else if !run.is_empty() && gap.is_none() && " -./".contains(c) {
            gap = Some(c);
        } else {
            close(&mut shown, &mut run, gap.take());
            shown.push(c);
        }
    }
    close(&mut shown, &mut run, gap);
    shown
}

fn close(shown: &mut String, run: &mut String, gap: Option<char>) {
    if is_secret(run) {
        shown.push_str(&number::mask(run));
    } else {
        shown.push_str(run);
    }
    shown.extend(gap);
    run.clear();
}

fn is_secret(run: &str) -> bool {
    let parts: Vec<&str> = run.split(['-', '.', '/']).collect();
    let is_date = parts.len() == 3 && parts.iter().all(|part| part.len() <= 4 && part.chars().all(|c| c.is_ascii_digit()));
    !is_date && run.chars().filter(|c| c.is_numeric()).count() >= DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_masked_wherever_they_stand() {
        let row = json!({ "id": "11010519491231002X", "born": "02.01.1970", "card": "6222 0212-3456", "plain": 123_456_789,
            "line": "{\"id\": \"706213/0123\", 12", "wide": "１２３４５６７８", "list": [{ "number": "G12345678" }], "age": 41 });
        let expected = json!({ "id": "****1002X", "born": "02.01.1970",
            "card": "****3456", "plain": "****6789", "line": "{\"id\": \"****0123\", 12", "wide": "****５６７８",
            "list": [{ "number": "G****5678" }], "age": 41 });
        assert_eq!(masked(&row), expected);
    }

    #[test]
    fn what_comes_back_masked_is_what_was_kept() {
        let kept: Raw = [("id".to_owned(), json!("6222021234")), ("name".to_owned(), json!("A"))].into_iter().collect();
        let mut corrected = masked_row(&kept);
        corrected.insert("name".into(), json!("B"));
        let row = unmasked(corrected, &kept);
        assert_eq!((&row["id"], &row["name"]), (&json!("6222021234"), &json!("B")));
    }
}
