//! The named transforms: each takes a text and gives a value, or says what is wrong with the text.

use chrono::{NaiveDate, TimeZone};
use kehu_kernel::Instant;
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::{
    birth_number::{self, Part, Scheme},
    date_pattern::DatePattern,
    document::CodeTables,
    number::{Decimal, DecimalFormat},
};

/// One step from a column's text to a field's value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// Takes white space away at both ends; nothing left is null.
    Trim,
    /// To upper case.
    Upper,
    /// To lower case.
    Lower,
    /// Full-width and other compatibility forms to plain ones (NFKC).
    Plain,
    /// Keeps the digits `0` to `9` only.
    Digits,
    /// A date by its pattern.
    Date(DateFormat),
    /// A date with a time, in a time zone.
    DateTime(DateTimeFormat),
    /// Day of birth or gender out of a number of persons.
    BirthNumber(BirthNumber),
    /// The value that a code stands for, by the name of a code table.
    Code(String),
    /// A decimal number in the bank's own writing.
    Decimal(DecimalFormat),
    /// A decimal number times ten to the power of this.
    Shift(i32),
    /// A decimal number with the sign that another column tells.
    Sign(SignRule),
    /// A decimal number without its sign.
    Abs,
    /// A word by the sign of a decimal number.
    BySign(BySign),
    /// An integer.
    Integer,
    /// A percentage as basis points: `4.75` is 475.
    BasisPoints,
    /// True or false by word.
    Boolean(Words),
    /// A part of the text, in characters.
    Substring(Substring),
    /// Filled up on the left to a length.
    PadLeft(PadLeft),
    /// One text for another wherever it occurs.
    Replace(Replace),
    /// A text before it.
    Prefix(String),
    /// A text after it.
    Suffix(String),
}

/// How a file writes dates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateFormat {
    /// The pattern, for example `YYMMDD`.
    pub pattern: DatePattern,
    /// First of the hundred years into which two-digit years fall; 1950 unless given.
    #[serde(default = "pivot")]
    pub pivot: u32,
}

/// How a file writes points in time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DateTimeFormat {
    /// The pattern, for example `YYYYMMDD hh:mm:ss`.
    pub pattern: DatePattern,
    /// First of the hundred years into which two-digit years fall; 1950 unless given.
    #[serde(default = "pivot")]
    pub pivot: u32,
    /// The time zone that the file means; an hour that does not exist there becomes the next that does.
    #[serde(deserialize_with = "zone")]
    pub time_zone: chrono_tz::Tz,
}

/// How a number tells birth date and gender.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BirthNumber {
    /// Whose numbers they are.
    pub scheme: Scheme,
    /// What is wanted.
    pub part: Part,
    /// First of the hundred years into which two-digit years fall; 1900 unless given.
    #[serde(default = "birth_pivot")]
    pub pivot: u32,
}

/// Which values of another column make a number negative; all others make it positive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignRule {
    /// The other column.
    pub column: String,
    /// Its values for negative numbers.
    pub negative: Vec<String>,
}

/// Words for the signs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BySign {
    /// Below zero.
    pub negative: String,
    /// Zero and above.
    pub positive: String,
}

/// Words for yes and no.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// What counts as true.
    pub yes: Vec<String>,
    /// What counts as false.
    pub no: Vec<String>,
}

/// Which part of a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Substring {
    /// How many characters to skip.
    #[serde(default)]
    pub from: usize,
    /// How many to take; all that follow unless given.
    pub length: Option<usize>,
}

/// How to fill up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadLeft {
    /// How long the text becomes, at most 200.
    pub length: u8,
    /// With what.
    pub with: char,
}

/// What to replace.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// What is looked for.
    pub from: String,
    /// What comes instead.
    pub to: String,
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<chrono_tz::Tz, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(|_| de::Error::custom("expected a name of the IANA time zone database"))
}

const fn pivot() -> u32 {
    1950
}

const fn birth_pivot() -> u32 {
    1900
}

/// What a text did wrong: a stable code and a sentence.
pub type Fault = (&'static str, String);

impl Transform {
    /// Another column that it looks at.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Sign(rule) => Some(&rule.column),
            _ => None,
        }
    }

    /// Does it; `Null` when nothing is left. `cell` gives the text of another column.
    ///
    /// # Errors
    /// What is wrong with the text. The sentence never repeats the text, which may be personal.
    pub fn apply(&self, text: &str, tables: &CodeTables, cell: impl Fn(&str) -> Option<String>) -> Result<Value, Fault> {
        let value = match self {
            Self::Trim => return Ok(Some(text.trim()).filter(|rest| !rest.is_empty()).map_or(Value::Null, Value::from)),
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::Plain => text.nfkc().collect(),
            Self::Digits => text.chars().filter(char::is_ascii_digit).collect(),
            Self::Date(format) => format.read(text)?,
            Self::DateTime(format) => format.read(text)?,
            Self::BirthNumber(number) => number.read(text)?,
            Self::Code(table) => return tables.get(table).map_or(Ok(Value::Null), |table| table.look_up(text)),
            Self::Decimal(format) => format.read(text).ok_or_else(not_a_number)?.text(),
            Self::Shift(places) => decimal(text)?.shifted(*places).text(),
            Self::Sign(rule) => {
                let told = cell(&rule.column).unwrap_or_default();
                decimal(text)?.with_sign(rule.negative.contains(&told)).text()
            }
            Self::Abs => decimal(text)?.with_sign(false).text(),
            Self::BySign(words) => if decimal(text)?.is_negative() { &words.negative } else { &words.positive }.clone(),
            Self::Integer => return decimal(text)?.integer().map(Value::from).ok_or_else(not_an_integer),
            Self::BasisPoints => return decimal(text)?.shifted(2).integer().map(Value::from).ok_or_else(not_an_integer),
            Self::Boolean(words) => return words.read(text),
            Self::Substring(part) => text.chars().skip(part.from).take(part.length.unwrap_or(usize::MAX)).collect(),
            Self::PadLeft(pad) => {
                let missing = usize::from(pad.length.min(200)).saturating_sub(text.chars().count());
                std::iter::repeat_n(pad.with, missing).chain(text.chars()).collect()
            }
            Self::Replace(replace) => text.replace(&replace.from, &replace.to),
            Self::Prefix(prefix) => format!("{prefix}{text}"),
            Self::Suffix(suffix) => format!("{text}{suffix}"),
        };
        Ok(Value::String(value))
    }
}

impl DateFormat {
    fn read(&self, text: &str) -> Result<String, Fault> {
        let reading = self.pattern.read(text, self.pivot).ok_or_else(not_a_date)?;
        reading.date().map(|date| date.to_string()).ok_or_else(impossible_date)
    }
}

impl DateTimeFormat {
    fn read(&self, text: &str) -> Result<String, Fault> {
        let reading = self.pattern.read(text, self.pivot).ok_or_else(not_a_date)?;
        let date: NaiveDate = reading.date().ok_or_else(impossible_date)?.naive();
        let (hour, minute, second) = reading.time;
        let local = date.and_hms_opt(hour, minute, second).ok_or_else(impossible_date)?;
        let in_zone = |local| self.time_zone.from_local_datetime(&local).earliest();
        // A clock that is put forward skips an hour; the bank's system then meant the hour after.
        let at = in_zone(local).or_else(|| in_zone(local + chrono::TimeDelta::hours(1))).ok_or_else(impossible_date)?;
        Ok(Instant::from(at.to_utc()).to_string())
    }
}

impl BirthNumber {
    fn read(&self, text: &str) -> Result<String, Fault> {
        let (date, gender) = birth_number::decode(self.scheme, text, self.pivot)
            .ok_or_else(|| ("invalid_birth_number", "This is no number that tells a day of birth.".to_owned()))?;
        Ok(match self.part {
            Part::BirthDate => date.to_string(),
            Part::Gender => gender.to_owned(),
        })
    }
}

impl Words {
    fn read(&self, text: &str) -> Result<Value, Fault> {
        let among = |words: &[String]| words.iter().any(|word| word == text);
        match (among(&self.yes), among(&self.no)) {
            (true, _) => Ok(true.into()),
            (_, true) => Ok(false.into()),
            _ => Err(("unknown_code", "The mapping knows this word neither as yes nor as no.".into())),
        }
    }
}

fn decimal(text: &str) -> Result<Decimal, Fault> {
    Decimal::parse(text).ok_or_else(not_a_number)
}

fn not_a_number() -> Fault {
    ("invalid_number", "Expected a decimal number.".into())
}

fn not_an_integer() -> Fault {
    ("invalid_integer", "Expected a number without (further) decimals.".into())
}

fn not_a_date() -> Fault {
    ("invalid_date", "The text does not have the shape of the mapping's date pattern.".into())
}

fn impossible_date() -> Fault {
    ("impossible_date", "The calendar has no such date or time.".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(transform: Value, text: &str) -> Result<Value, &'static str> {
        let transform: Transform = serde_json::from_value(transform).unwrap();
        let tables: CodeTables = serde_json::from_value(json!({
            "status": { "entries": { "A": "repaid" } },
            "kept": { "entries": { "A": "a" }, "unknown": "keep" },
            "loose": { "entries": {}, "unknown": "null" },
        }))
        .unwrap();
        let cell = |name: &str| (name == "type").then(|| "VYDAJ".to_owned());
        transform.apply(text, &tables, cell).map_err(|(code, _)| code)
    }

    #[test]
    fn texts() {
        assert_eq!(run(json!("trim"), "  a b "), Ok(json!("a b")));
        assert_eq!(run(json!("trim"), " \t"), Ok(Value::Null));
        assert_eq!(run(json!("upper"), "straße"), Ok(json!("STRASSE")));
        assert_eq!(run(json!("plain"), "１２３ＡＢ"), Ok(json!("123AB")));
        assert_eq!(run(json!("digits"), "+86 138-0013"), Ok(json!("861380013")));
        assert_eq!(run(json!({ "substring": { "from": 1, "length": 2 } }), "张三丰x"), Ok(json!("三丰")));
        assert_eq!(run(json!({ "pad_left": { "length": 5, "with": "0" } }), "42"), Ok(json!("00042")));
        assert_eq!(run(json!({ "replace": { "from": "/", "to": "-" } }), "1/2/3"), Ok(json!("1-2-3")));
        assert_eq!(run(json!({ "prefix": "loan-" }), "7"), Ok(json!("loan-7")));
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(run(json!({ "date": { "pattern": "YYMMDD" } }), "930101"), Ok(json!("1993-01-01")));
        assert_eq!(run(json!({ "date": { "pattern": "YYMMDD" } }), "930231"), Err("impossible_date"));
        assert_eq!(run(json!({ "date": { "pattern": "YYMMDD" } }), "1993"), Err("invalid_date"));
        let prague = json!({ "date_time": { "pattern": "YYYY-MM-DD hh:mm", "time_zone": "Europe/Prague" } });
        assert_eq!(run(prague.clone(), "2024-07-01 09:30"), Ok(json!("2024-07-01T07:30:00Z")));
        assert_eq!(run(prague.clone(), "2024-03-31 02:30"), Ok(json!("2024-03-31T01:30:00Z")));
        assert_eq!(run(prague, "2024-03-31 25:30"), Err("impossible_date"));
        let gender = json!({ "birth_number": { "scheme": "czech", "part": "gender" } });
        assert_eq!(run(gender.clone(), "706213"), Ok(json!("female")));
        assert_eq!(run(gender, "709913"), Err("invalid_birth_number"));
    }

    #[test]
    fn codes() {
        assert_eq!(run(json!({ "code": "status" }), "A"), Ok(json!("repaid")));
        assert_eq!(run(json!({ "code": "status" }), "Z"), Err("unknown_code"));
        assert_eq!(run(json!({ "code": "kept" }), "Z"), Ok(json!("Z")));
        assert_eq!(run(json!({ "code": "loose" }), "Z"), Ok(Value::Null));
        let words = json!({ "boolean": { "yes": ["Y", "是"], "no": ["N"] } });
        assert_eq!(run(words.clone(), "是"), Ok(json!(true)));
        assert_eq!(run(words, "?"), Err("unknown_code"));
    }

    #[test]
    fn numbers() {
        assert_eq!(run(json!({ "decimal": { "point": ",", "groups": "." } }), "1.234,50"), Ok(json!("1234.50")));
        assert_eq!(run(json!({ "sign": { "column": "type", "negative": ["VYDAJ", "VYBER"] } }), "700.00"), Ok(json!("-700.00")));
        assert_eq!(run(json!({ "sign": { "column": "other", "negative": ["VYDAJ"] } }), "-7"), Ok(json!("7")));
        assert_eq!(run(json!({ "by_sign": { "negative": "debit", "positive": "credit" } }), "-0.01"), Ok(json!("debit")));
        assert_eq!(run(json!({ "shift": -2 }), "70050"), Ok(json!("700.50")));
        assert_eq!(run(json!("abs"), "-7.10"), Ok(json!("7.10")));
        assert_eq!(run(json!("integer"), "12.0"), Ok(json!(12)));
        assert_eq!(run(json!("integer"), "12.5"), Err("invalid_integer"));
        assert_eq!(run(json!("basis_points"), "4.75"), Ok(json!(475)));
        assert_eq!(run(json!("abs"), "abc"), Err("invalid_number"));
    }
}
