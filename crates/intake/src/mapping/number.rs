//! Decimal numbers as texts: exact, never a float.

use serde::Deserialize;

/// How a file writes numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecimalFormat {
    /// What stands before the decimals; `.` unless given.
    #[serde(default = "point")]
    pub point: char,
    /// Characters between groups of digits, to be left out: `, `.
    #[serde(default)]
    pub groups: String,
}

fn point() -> char {
    '.'
}

/// A decimal number: sign, digits, and how many of them are decimals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    digits: String,
    decimals: usize,
}

impl DecimalFormat {
    /// Reads a number: a sign before or after it, or brackets for a negative one.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Decimal> {
        let text = text.trim();
        let bracketed = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let minus = text.strip_prefix('-').or_else(|| text.strip_suffix('-')).or(bracketed);
        let unsigned = minus.or_else(|| text.strip_prefix('+')).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once(self.point).unwrap_or((unsigned, ""));
        let whole: String = whole.chars().filter(|c| !self.groups.contains(*c)).collect();
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !plain(&whole) || !plain(fraction) {
            return None;
        }
        Some(Decimal { negative: minus.is_some(), digits: format!("{whole}{fraction}"), decimals: fraction.len() })
    }
}

impl Decimal {
    /// Reads the usual form: `-1234.50`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        DecimalFormat { point: '.', groups: String::new() }.read(text)
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative && !self.is_zero()
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits.bytes().all(|digit| digit == b'0')
    }

    /// The same size with this sign.
    #[must_use]
    pub fn with_sign(self, negative: bool) -> Self {
        Self { negative, ..self }
    }

    /// Times ten to the power of `places`.
    #[must_use]
    pub fn shifted(self, places: i32) -> Self {
        let by = usize::try_from(places.unsigned_abs()).unwrap_or(0);
        if places < 0 {
            let digits = format!("{:0>width$}", self.digits, width = self.decimals + by + 1);
            return Self { decimals: self.decimals + by, digits, ..self };
        }
        let missing = by.saturating_sub(self.decimals);
        Self { decimals: self.decimals.saturating_sub(by), digits: format!("{}{}", self.digits, "0".repeat(missing)), ..self }
    }

    /// The usual form without superfluous zeros before the point; decimals stay as they were.
    #[must_use]
    pub fn text(&self) -> String {
        let padded = format!("{:0>width$}", self.digits, width = self.decimals + 1);
        let (whole, fraction) = padded.split_at_checked(padded.len() - self.decimals).unwrap_or((&padded, ""));
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let sign = if self.is_negative() { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    /// As an integer, if it has no decimals other than zeros.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        let text = self.text();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        if fraction.bytes().all(|digit| digit == b'0') { whole.parse().ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_numbers_of_many_systems() {
        let german = DecimalFormat { point: ',', groups: ". ".into() };
        assert_eq!(german.read("-1.234.567,80").unwrap().text(), "-1234567.80");
        assert_eq!(german.read("12,5-").unwrap().text(), "-12.5");
        assert_eq!(Decimal::parse("(0012.00)").unwrap().text(), "-12.00");
        assert_eq!(Decimal::parse("+.5").unwrap().text(), "0.5");
        assert_eq!(Decimal::parse("-0.00").unwrap().text(), "0.00");
        for wrong in ["", "-", "1e3", "1,2", "--1", "1.2.3", "NaN"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shifts_without_rounding() {
        assert_eq!(Decimal::parse("1234").unwrap().shifted(-2).text(), "12.34");
        assert_eq!(Decimal::parse("5").unwrap().shifted(-2).text(), "0.05");
        assert_eq!(Decimal::parse("4.75").unwrap().shifted(2).integer(), Some(475));
        assert_eq!(Decimal::parse("4.755").unwrap().shifted(2).integer(), None);
        assert_eq!(Decimal::parse("4").unwrap().shifted(2).integer(), Some(400));
    }
}
