//! Numbers of persons that tell the day of birth and the gender.

use kehu_kernel::Date;
use serde::Deserialize;

use super::date_pattern::full_year;

/// Which country's numbers they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// `YYMMDD…`; a woman's month is 50 higher (70 in years when numbers ran out, a man's then 20).
    Czech,
    /// The resident number of 18 digits (`…YYYYMMDD…`) or 15 (`…YYMMDD…`, born in the 1900s); the last
    /// digit of the serial is odd for men.
    Chinese,
}

/// What is wanted of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The day of birth.
    BirthDate,
    /// `male` or `female`.
    Gender,
}

/// Reads a number; `None` when it has another shape or its date does not exist.
#[must_use]
pub fn decode(scheme: Scheme, text: &str, pivot: u32) -> Option<(Date, &'static str)> {
    match scheme {
        Scheme::Czech => czech(text, pivot),
        Scheme::Chinese => chinese(text),
    }
}

fn czech(text: &str, pivot: u32) -> Option<(Date, &'static str)> {
    let month = digits(text, 2, 2)?;
    let (month, gender) = match month {
        1..=12 => (month, "male"),
        21..=32 => (month - 20, "male"),
        51..=62 => (month - 50, "female"),
        71..=82 => (month - 70, "female"),
        _ => return None,
    };
    let year = full_year(digits(text, 0, 2)?, pivot);
    Some((Date::new(i32::try_from(year).ok()?, month, digits(text, 4, 2)?)?, gender))
}

fn chinese(text: &str) -> Option<(Date, &'static str)> {
    let (year, rest, serial) = match text.len() {
        18 => (digits(text, 6, 4)?, 10, digits(text, 16, 1)?),
        15 => (1900 + digits(text, 6, 2)?, 8, digits(text, 14, 1)?),
        _ => return None,
    };
    let date = Date::new(i32::try_from(year).ok()?, digits(text, rest, 2)?, digits(text, rest + 2, 2)?)?;
    Some((date, if serial % 2 == 1 { "male" } else { "female" }))
}

fn digits(text: &str, from: usize, length: usize) -> Option<u32> {
    let part = text.get(from..from + length)?;
    if part.bytes().all(|b| b.is_ascii_digit()) { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(scheme: Scheme, text: &str) -> Option<(String, &'static str)> {
        decode(scheme, text, 1900).map(|(date, gender)| (date.to_string(), gender))
    }

    #[test]
    fn czech_months_tell_women() {
        assert_eq!(decoded(Scheme::Czech, "706213"), Some(("1970-12-13".into(), "female")));
        assert_eq!(decoded(Scheme::Czech, "450204"), Some(("1945-02-04".into(), "male")));
        assert_eq!(decoded(Scheme::Czech, "450230"), None);
        assert_eq!(decoded(Scheme::Czech, "451304"), None);
        assert_eq!(decoded(Scheme::Czech, "45é204"), None);
    }

    #[test]
    fn chinese_numbers_of_both_lengths() {
        assert_eq!(decoded(Scheme::Chinese, "11010519491231002X"), Some(("1949-12-31".into(), "female")));
        assert_eq!(decoded(Scheme::Chinese, "110105491231001"), Some(("1949-12-31".into(), "male")));
        assert_eq!(decoded(Scheme::Chinese, "1101054912310"), None);
    }
}
