//! Patterns of dates and times in files: `YYMMDD`, `D.M.YYYY`, `YYYY-MM-DD hh:mm:ss`.

use kehu_kernel::Date;
use serde::Deserialize;

/// A pattern of `YYYY`, `YY`, `MM`, `DD`, `hh`, `mm`, `ss`, the unpadded `M`, `D`, `h`, and literal characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatePattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// Unpadded forms take one or two digits.
    MonthLoose,
    DayLoose,
    HourLoose,
    Literal(char),
}

/// Longer tokens first, so that `MM` is not read as two `M`.
const TOKENS: [(&str, Part); 10] = [
    ("YYYY", Part::Year),
    ("YY", Part::ShortYear),
    ("MM", Part::Month),
    ("DD", Part::Day),
    ("hh", Part::Hour),
    ("mm", Part::Minute),
    ("ss", Part::Second),
    ("M", Part::MonthLoose),
    ("D", Part::DayLoose),
    ("h", Part::HourLoose),
];

/// The numbers that a text held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    year: u32,
    month: u32,
    day: u32,
    /// Hour, minute and second; midnight where the pattern has none.
    pub time: (u32, u32, u32),
}

impl Reading {
    /// The date, if the calendar has it.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        Date::new(i32::try_from(self.year).ok()?, self.month, self.day)
    }
}

impl TryFrom<String> for DatePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let token = TOKENS.iter().find_map(|(token, part)| rest.strip_prefix(token).map(|after| (after, *part)));
            let (after, part) = token.unwrap_or_else(|| (rest.get(first.len_utf8()..).unwrap_or_default(), Part::Literal(first)));
            parts.push(part);
            rest = after;
        }
        let has = |wanted: &[Part]| parts.iter().any(|part| wanted.contains(part));
        let complete =
            has(&[Part::Year, Part::ShortYear]) && has(&[Part::Month, Part::MonthLoose]) && has(&[Part::Day, Part::DayLoose]);
        if complete {
            Ok(Self(parts))
        } else {
            Err(format!("{text:?} is no date pattern: it needs a year (YYYY or YY), a month (MM or M) and a day (DD or D)"))
        }
    }
}

impl DatePattern {
    /// Reads a text by the pattern; two-digit years fall into the hundred years that begin with `pivot`.
    /// `None` when the text has another shape.
    #[must_use]
    pub fn read(&self, text: &str, pivot: u32) -> Option<Reading> {
        let mut reading = Reading::default();
        let mut rest = text;
        for part in &self.0 {
            rest = match part {
                Part::Literal(wanted) => rest.strip_prefix(*wanted)?,
                Part::Year => number(rest, 4, 4, &mut reading.year)?,
                Part::ShortYear => {
                    let after = number(rest, 2, 2, &mut reading.year)?;
                    reading.year = full_year(reading.year, pivot);
                    after
                }
                Part::Month => number(rest, 2, 2, &mut reading.month)?,
                Part::Day => number(rest, 2, 2, &mut reading.day)?,
                Part::Hour => number(rest, 2, 2, &mut reading.time.0)?,
                Part::Minute => number(rest, 2, 2, &mut reading.time.1)?,
                Part::Second => number(rest, 2, 2, &mut reading.time.2)?,
                Part::MonthLoose => number(rest, 1, 2, &mut reading.month)?,
                Part::DayLoose => number(rest, 1, 2, &mut reading.day)?,
                Part::HourLoose => number(rest, 1, 2, &mut reading.time.0)?,
            };
        }
        rest.is_empty().then_some(reading)
    }
}

/// The year of the hundred years from `pivot` that ends in these two digits.
#[must_use]
pub const fn full_year(short: u32, pivot: u32) -> u32 {
    let year = pivot - pivot % 100 + short;
    if year < pivot { year + 100 } else { year }
}

/// Takes `least` to `most` leading digits; hands back the rest of the text.
fn number<'a>(text: &'a str, least: usize, most: usize, into: &mut u32) -> Option<&'a str> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (head, rest) = text.split_at_checked(digits)?;
    *into = head.parse().ok()?;
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, text: &str, pivot: u32) -> Option<String> {
        let pattern = DatePattern::try_from(pattern.to_owned()).unwrap();
        pattern.read(text, pivot)?.date().map(|date| date.to_string())
    }

    #[test]
    fn reads_the_dates_of_many_systems() {
        for (pattern, text, date) in [
            ("YYMMDD", "930105", "1993-01-05"),
            ("YYYYMMDD", "20240229", "2024-02-29"),
            ("DD.MM.YYYY", "31.12.1999", "1999-12-31"),
            ("D.M.YYYY", "3.1.1999", "1999-01-03"),
            ("YYYY年M月D日", "2024年2月9日", "2024-02-09"),
            ("YYMMDD hh:mm:ss", "931107 00:00:00", "1993-11-07"),
        ] {
            assert_eq!(read(pattern, text, 1950).as_deref(), Some(date), "{pattern} {text}");
        }
    }

    #[test]
    fn refuses_what_the_calendar_or_the_pattern_does_not_have() {
        for (pattern, text) in [
            ("YYYYMMDD", "20230229"),
            ("YYMMDD", "9301"),
            ("YYMMDD", "930105x"),
            ("YYMMDD", "93O105"),
            ("DD.MM.YYYY", "1-1-1999"),
        ] {
            assert_eq!(read(pattern, text, 1950), None, "{pattern} {text}");
        }
        assert!(DatePattern::try_from("YYYY-MM".to_owned()).is_err());
    }

    #[test]
    fn the_pivot_is_the_first_of_a_hundred_years() {
        assert_eq!((full_year(49, 1950), full_year(50, 1950), full_year(7, 1900), full_year(99, 2000)), (2049, 1950, 1907, 2099));
    }
}
