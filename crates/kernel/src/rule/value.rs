//! The values of conditions, as callers write them.

use chrono::Months;

use super::FieldType;
use crate::{AnyId, Currency, Date, Instant, Money};

/// How days begin that are counted from the present one.
pub(super) const TODAY: &str = "today";

/// A value of a condition or of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A word, a text, or the code of a node.
    Text(String),
    /// A number.
    Number(i64),
    /// An amount.
    Money(Money),
    /// A day.
    Date(Date),
    /// An instant.
    Instant(Instant),
    /// Yes or no.
    Flag(bool),
    /// An id.
    Id(AnyId),
    /// The codes of a node and of all above it: only a field's value.
    Path(Vec<String>),
}

/// Reads a value for a field of this type.
///
/// # Errors
/// The code of the broken rule, and the rule in words.
pub(super) fn read(kind: FieldType, text: &str, now: Instant) -> Result<Operand, (&'static str, String)> {
    if text.is_empty() || text.chars().count() > 200 {
        return Err(("length", "The length must be 1 to 200.".to_owned()));
    }
    let read = match kind {
        FieldType::Word(words) => return word(words, text),
        FieldType::Text | FieldType::Tree(_) => Some(Operand::Text(text.to_owned())),
        FieldType::Number => text.parse().ok().map(Operand::Number),
        FieldType::Money(_) => return money(text),
        FieldType::Date => date(text, now.date()).map(Operand::Date),
        FieldType::Instant => instant(text, now).map(Operand::Instant),
        FieldType::Flag => text.parse().ok().map(Operand::Flag),
        FieldType::Id => text.parse().ok().map(Operand::Id),
    };
    read.ok_or_else(|| ("invalid", format!("This is no value for a field of the type {}.", kind.name())))
}

fn word(words: &[&str], text: &str) -> Result<Operand, (&'static str, String)> {
    if words.contains(&text) {
        return Ok(Operand::Text(text.to_owned()));
    }
    Err(("unknown_value", format!("The field has one of these values: {}.", words.join(", "))))
}

fn money(text: &str) -> Result<Operand, (&'static str, String)> {
    let read = text.rsplit_once(' ').and_then(|(amount, currency)| Some((amount, currency.parse::<Currency>().ok()?)));
    let Some((amount, currency)) = read else {
        return Err(("invalid", "An amount is written with its currency: 1000.00 CNY.".to_owned()));
    };
    Money::parse(amount, currency).map(Operand::Money).map_err(|fault| ("invalid", fault))
}

/// A day, or one counted from today.
fn date(text: &str, today: Date) -> Option<Date> {
    let Some(distance) = text.strip_prefix(TODAY) else { return text.parse().ok() };
    if distance.is_empty() {
        return Some(today);
    }
    let back = match distance.as_bytes().first()? {
        b'-' => true,
        b'+' => false,
        _ => return None,
    };
    let (number, unit) = distance.get(1..)?.split_at_checked(distance.len().checked_sub(2)?)?;
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number: u32 = number.parse().ok()?;
    let moved = |months: u32| {
        let months = Months::new(months);
        let day = today.naive();
        Date::try_from(if back { day.checked_sub_months(months)? } else { day.checked_add_months(months)? }).ok()
    };
    let days = |days: u64| {
        let days = chrono::Days::new(days);
        let day = today.naive();
        Date::try_from(if back { day.checked_sub_days(days)? } else { day.checked_add_days(days)? }).ok()
    };
    match unit {
        "d" => days(number.into()),
        "w" => days(u64::from(number) * 7),
        "m" => moved(number),
        "y" => moved(number.checked_mul(12)?),
        _ => None,
    }
}

fn instant(text: &str, now: Instant) -> Option<Instant> {
    date(text, now.date()).map(Date::start).or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(text: &str) -> Option<String> {
        date(text, "2024-02-29".parse().unwrap()).map(|date| date.to_string())
    }

    #[test]
    fn days_are_counted_from_today() {
        for (text, wanted) in [
            ("today", Some("2024-02-29")),
            ("today-18y", Some("2006-02-28")),
            ("today+4y", Some("2028-02-29")),
            ("today-1m", Some("2024-01-29")),
            ("today+2w", Some("2024-03-14")),
            ("today-30d", Some("2024-01-30")),
            ("2024-01-31", Some("2024-01-31")),
            ("today-", None),
            ("today-d", None),
            ("today5d", None),
            ("today-+5d", None),
            ("today-5x", None),
            ("today-99999y", None),
            ("today-4294967295y", None),
            ("today+99999999999d", None),
            ("today-５d", None),
            ("tomorrow", None),
            ("2024-2-1", None),
        ] {
            assert_eq!(on(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn amounts_name_their_currency() {
        let read = |text| read(FieldType::Money("currency"), text, Instant::from_seconds(0));
        assert_eq!(read("1000.50 CNY"), Ok(Operand::Money(Money::new(100_050, "CNY".parse().unwrap()))));
        assert_eq!(read("-7 JPY"), Ok(Operand::Money(Money::new(-7, "JPY".parse().unwrap()))));
        for text in ["1000.50", "CNY", "1 2 CNY", "1.005 CNY", "1 cny", "1  CNY", "99999999999999999999 CNY"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
