//! Decimal numbers of at most four decimals, exact.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// One, in the unit in which a [`Decimal`] counts.
pub const ONE: i64 = 10_000;
/// A decimal number stays below this.
const LIMIT: i64 = 1_000_000_000_000 * ONE;

/// A decimal number: so many ten-thousandths. Written as a text such as `"1234.50"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(i64);

impl Decimal {
    /// So many ten-thousandths; nothing from a million million on.
    #[must_use]
    pub fn from_ten_thousandths(number: i64) -> Option<Self> {
        (number.unsigned_abs() < LIMIT.unsigned_abs()).then_some(Self(number))
    }

    /// How many ten-thousandths it is.
    #[must_use]
    pub const fn ten_thousandths(self) -> i64 {
        self.0
    }

    /// So many minor units of a currency with so many digits.
    #[must_use]
    pub fn from_minor(minor: i64, digits: u32) -> Option<Self> {
        let scaled = i128::from(minor) * i128::from(ONE) / 10_i128.checked_pow(digits)?;
        Self::from_ten_thousandths(i64::try_from(scaled).ok()?)
    }

    /// What it is worth in minor units of a currency with so many digits, if one unit of it is worth so much of the major
    /// unit: rounded once, half away from zero.
    #[must_use]
    pub fn worth(self, per_unit: Self, digits: u32) -> Option<i64> {
        let product = i128::from(self.0).checked_mul(i128::from(per_unit.0))?.checked_mul(10_i128.checked_pow(digits)?)?;
        let unit = i128::from(ONE) * i128::from(ONE);
        i64::try_from((product + product.signum() * unit / 2) / unit).ok()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (self.0.unsigned_abs() / ONE.unsigned_abs(), self.0.unsigned_abs() % ONE.unsigned_abs());
        let decimals = format!("{rest:04}");
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{sign}{whole}"),
            some => write!(f, "{sign}{whole}.{some}"),
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = unsigned.split_once('.').map_or((unsigned, None), |(whole, rest)| (whole, Some(rest)));
        let digits = |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 12) || !fraction.is_none_or(|part| digits(part, 4)) {
            return Err(());
        }
        let number: i64 = format!("{whole}{:0<4}", fraction.unwrap_or("")).parse().map_err(|_| ())?;
        Self::from_ten_thousandths(if negative { -number } else { number }).ok_or(())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| serde::de::Error::custom("expected a decimal number such as \"1234.50\", at most four decimals"))
    }
}

impl PartialSchema for Decimal {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^-?[0-9]{1,12}(\.[0-9]{1,4})?$"))
            .min_length(Some(1))
            .max_length(Some(18))
            .description(Some("A decimal number as a text, exact, with at most four decimals."))
            .examples([serde_json::json!("1234.50")])
            .into()
    }
}

impl ToSchema for Decimal {
    fn name() -> Cow<'static, str> {
        "Decimal".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn has_one_shape() {
        for wrong in ["", "-", ".5", "5.", "1e3", "+1", "1,5", "1.23456", "1234567890123", "１", "0x1", " 1"] {
            assert!(wrong.parse::<Decimal>().is_err(), "{wrong}");
        }
        for (text, shown) in [("1234.50", "1234.5"), ("-0.0001", "-0.0001"), ("007", "7"), ("-0", "0"), ("0.1", "0.1")] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn is_worth_what_it_says_to_the_minor_unit() {
        let of = |text: &str| text.parse::<Decimal>().unwrap();
        assert_eq!(of("3").worth(of("0.005"), 2), Some(2), "half a cent goes away from zero");
        assert_eq!(of("-3").worth(of("0.005"), 2), Some(-2));
        assert_eq!(of("1234.50").worth(of("1"), 2), Some(123_450));
        assert_eq!(of("1234.50").worth(of("1"), 0), Some(1_235));
        assert_eq!(of("999999999999.9999").worth(of("999999999999.9999"), 3), None);
    }

    proptest! {
        #[test]
        fn comes_back_as_it_was(number in -9_999_999_999_999_999i64..=9_999_999_999_999_999) {
            let decimal = Decimal::from_ten_thousandths(number).unwrap();
            prop_assert_eq!(decimal.to_string().parse::<Decimal>(), Ok(decimal));
        }
    }
}
