//! Instants (UTC, microseconds), calendar dates, and the clock as a seam for tests.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Datelike, Months, NaiveDate, SecondsFormat, TimeDelta, Utc};
use diesel::{deserialize::FromSqlRow, expression::AsExpression};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

use crate::store::sql;

/// A point in time: microseconds since 1970-01-01T00:00:00Z, written as RFC 3339 with `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromSqlRow, AsExpression)]
#[diesel(sql_type = sql::Instant)]
pub struct Instant(i64);

impl Instant {
    /// The greatest length of its text.
    const LONGEST: usize = 35;

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From seconds since the Unix epoch, as JWT claims carry them.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The UTC calendar date of this instant.
    #[must_use]
    pub fn date(self) -> Date {
        Date(self.datetime().date_naive())
    }

    /// As chrono's type, for arithmetic in a time zone. Instants outside chrono's range become the epoch.
    #[must_use]
    pub fn datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }

    /// The same instant moved forward; saturates at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The same instant moved back; saturates at the beginning of time.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl From<DateTime<Utc>> for Instant {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.datetime().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Instant {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // More than nanoseconds is nothing that can be meant.
        let text = if text.len() <= Self::LONGEST { text } else { "" };
        DateTime::parse_from_rfc3339(text).map(|at| at.to_utc().into())
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom("expected a date-time such as 2026-01-31T09:30:00Z"))
    }
}

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .min_length(Some(20))
            .max_length(Some(Self::LONGEST))
            .pattern(Some(
                r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$",
            ))
            .description(Some("A point in time, RFC 3339; answers are always in UTC with `Z`."))
            .examples([serde_json::json!("2026-01-31T09:30:00Z")])
            .into()
    }
}

impl ToSchema for Instant {
    fn name() -> std::borrow::Cow<'static, str> {
        "Instant".into()
    }
}

/// A calendar date without a time zone, written `YYYY-MM-DD`; years 0001 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromSqlRow, AsExpression)]
#[diesel(sql_type = diesel::sql_types::Date)]
pub struct Date(NaiveDate);

impl Date {
    /// The date of these numbers, if there is one.
    #[must_use]
    pub fn new(year: i32, month: u32, day: u32) -> Option<Self> {
        NaiveDate::from_ymd_opt(year, month, day).and_then(|date| Self::try_from(date).ok())
    }

    /// As chrono's type, for arithmetic.
    #[must_use]
    pub const fn naive(self) -> NaiveDate {
        self.0
    }

    pub(crate) const fn naive_ref(&self) -> &NaiveDate {
        &self.0
    }

    /// The first day of this date's month.
    #[must_use]
    pub fn month_start(self) -> Self {
        Self(self.0.with_day(1).unwrap_or(self.0))
    }

    /// The last day of this date's month.
    #[must_use]
    pub fn month_end(self) -> Self {
        let next = self.month_start().0.checked_add_months(Months::new(1));
        Self(next.and_then(|first| first.pred_opt()).unwrap_or(self.0))
    }

    /// The day after; the last representable day stays itself.
    #[must_use]
    pub fn next(self) -> Self {
        self.plus_days(1)
    }

    /// This many days later (or earlier); stays itself where the calendar ends.
    #[must_use]
    pub fn plus_days(self, days: i64) -> Self {
        let moved = TimeDelta::try_days(days).and_then(|by| self.0.checked_add_signed(by));
        moved.and_then(|date| Self::try_from(date).ok()).unwrap_or(self)
    }

    /// Completed years from this date (a birth date) to `today`; 0 when it lies in the future.
    #[must_use]
    pub fn years_until(self, today: Self) -> u32 {
        today.0.years_since(self.0).unwrap_or(0)
    }

    /// Midnight UTC at the beginning of this date.
    #[must_use]
    pub fn start(self) -> Instant {
        self.0.and_time(chrono::NaiveTime::MIN).and_utc().into()
    }
}

impl TryFrom<NaiveDate> for Date {
    type Error = ();

    fn try_from(date: NaiveDate) -> Result<Self, ()> {
        if (1..=9999).contains(&date.year()) { Ok(Self(date)) } else { Err(()) }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Date {
    type Err = ();

    /// Exactly `YYYY-MM-DD` in ASCII digits; chrono alone would also take `2026-1-3`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let shape = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        if !shape {
            return Err(());
        }
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| ()).and_then(Self::try_from)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("expected a calendar date such as 2026-01-31"))
    }
}

impl PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
            .min_length(Some(10))
            .max_length(Some(10))
            .pattern(Some("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))
            .description(Some("A calendar date, `YYYY-MM-DD`."))
            .examples([serde_json::json!("2026-01-31")])
            .into()
    }
}

impl ToSchema for Date {
    fn name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }
}

/// The source of "now". Everything that needs the time asks a clock, so tests can move it.
#[derive(Clone, Debug)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The wall clock of the machine.
    #[must_use]
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until it is moved; clones share it.
    #[must_use]
    pub fn fixed(at: Instant) -> Self {
        Self(Some(Arc::new(AtomicI64::new(at.micros()))))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Some(micros) => Instant(micros.load(Ordering::SeqCst)),
            None => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
                let now = Utc::now();
                now.into()
            }
        }
    }

    /// Moves a fixed clock forward; the wall clock ignores it.
    pub fn advance(&self, by: Duration) {
        if let Some(micros) = &self.0 {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_one_spelling() {
        assert!("2024-02-29".parse::<Date>().is_ok());
        for wrong in ["2023-02-29", "2024-1-03", "20240103", "+2024-01-03", "0000-01-01", "２０２４-01-01"] {
            assert!(wrong.parse::<Date>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn month_bounds() {
        let date: Date = "2024-02-11".parse().unwrap();
        assert_eq!((date.month_start().to_string(), date.month_end().to_string()), ("2024-02-01".into(), "2024-02-29".into()));
    }

    #[test]
    fn instants_are_written_in_utc() {
        let at: Instant = "2026-01-31T17:30:00.5+08:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-01-31T09:30:00.500Z");
    }
}
