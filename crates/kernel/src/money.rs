//! Money in minor units, currencies of ISO 4217, and ratios in basis points.

use std::{fmt, str::FromStr};

use diesel::{deserialize::FromSqlRow, expression::AsExpression};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::store::MultiBackend;

/// A currency of ISO 4217, by its three-letter code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FromSqlRow, AsExpression)]
#[diesel(sql_type = diesel::sql_types::Text)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Chinese yuan, the currency of the demonstration bank.
    pub const CNY: Self = Self(iso_currency::Currency::CNY);

    /// The three-letter code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many digits the minor unit has: 2 for CNY, 0 for JPY, 3 for KWD. Codes without a minor unit have 0.
    #[must_use]
    pub fn digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = ();

    fn from_str(code: &str) -> Result<Self, ()> {
        iso_currency::Currency::from_code(code).map(Self).ok_or(())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom("expected a currency code of ISO 4217 such as CNY"))
    }
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[A-Z]{3}$"))
            .min_length(Some(3))
            .max_length(Some(3))
            .description(Some("Currency code of ISO 4217."))
            .examples([serde_json::json!("CNY")])
            .into()
    }
}

impl ToSchema for Currency {
    fn name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }
}

/// An amount of money, exact: an integer number of the currency's minor unit.
///
/// Written `{"amount": "1234.50", "currency": "CNY"}` with exactly the currency's own number of decimals.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Money {
    /// Number of minor units (cents, fen); negative for debts.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// So many minor units of a currency.
    #[must_use]
    pub const fn new(amount_minor: i64, currency: Currency) -> Self {
        Self { amount_minor, currency }
    }

    /// Reads a decimal amount of a currency: at most the currency's decimals, no exponent, no separators.
    ///
    /// # Errors
    /// A sentence that says what is wrong, for the field's problem.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, String> {
        let digits = currency.digits();
        let (negative, unsigned) = amount.strip_prefix('-').map_or((false, amount), |rest| (true, rest));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let dangling = unsigned.contains('.') && fraction.is_empty();
        if whole.is_empty() || dangling || !all_digits(whole) || !all_digits(fraction) {
            return Err("expected a decimal amount such as \"1234.50\"".into());
        }
        if fraction.len() > usize::try_from(digits).unwrap_or(0) {
            return Err(format!("{currency} has {digits} decimals"));
        }
        let padded = format!("{whole}{fraction:0<width$}", width = usize::try_from(digits).unwrap_or(0));
        let minor: i64 = padded.parse().map_err(|_| "the amount is too large".to_owned())?;
        Ok(Self::new(if negative { -minor } else { minor }, currency))
    }

    /// The amount as a decimal text.
    #[must_use]
    pub fn amount(self) -> String {
        let digits = usize::try_from(self.currency.digits()).unwrap_or(0);
        let sign = if self.amount_minor < 0 { "-" } else { "" };
        let padded = format!("{:0>width$}", self.amount_minor.unsigned_abs(), width = digits + 1);
        match padded.split_at_checked(padded.len() - digits) {
            Some((whole, fraction)) if digits > 0 => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{padded}"),
        }
    }

    /// The share of this amount, rounded half away from zero to the minor unit.
    #[must_use]
    pub fn share(self, share: BasisPoints) -> Self {
        let product = i128::from(self.amount_minor) * i128::from(share.0);
        let rounded = (product + product.signum() * 5_000) / 10_000;
        Self::new(i64::try_from(rounded).unwrap_or(self.amount_minor), self.currency)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

/// How money travels; the decimal is read only once the currency is known.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money, description = "An exact amount of money: a decimal text with the currency's own number of decimals.")]
struct MoneyText {
    /// Decimal amount with exactly the decimals of the currency; negative for debts.
    #[schema(pattern = r"^-?[0-9]{1,16}(\.[0-9]{1,4})?$", max_length = 22, example = "1234.50")]
    amount: String,
    /// Currency of the amount.
    currency: Currency,
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MoneyText { amount: self.amount(), currency: self.currency }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = MoneyText::deserialize(deserializer)?;
        Self::parse(&text.amount, text.currency).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        MoneyText::schema()
    }
}

impl ToSchema for Money {
    fn name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        MoneyText::schemas(schemas);
        schemas.push(("Currency".into(), Currency::schema()));
    }
}

/// Read from a pair of columns `(amount_minor, currency)` by `select_expression`.
impl diesel::Queryable<(diesel::sql_types::BigInt, diesel::sql_types::Text), MultiBackend> for Money {
    type Row = (i64, Currency);

    fn build((amount_minor, currency): Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(Self { amount_minor, currency })
    }
}

/// A ratio in hundredths of a percent: 10,000 is the whole.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, FromSqlRow, AsExpression)]
#[serde(transparent)]
#[diesel(sql_type = diesel::sql_types::Integer)]
pub struct BasisPoints(pub i32);

impl BasisPoints {
    /// The whole: 100 %.
    pub const WHOLE: Self = Self(10_000);
}

impl PartialSchema for BasisPoints {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Int32)))
            .description(Some("A ratio in basis points: 10000 is 100 %."))
            .examples([serde_json::json!(2500)])
            .into()
    }
}

impl ToSchema for BasisPoints {
    fn name() -> std::borrow::Cow<'static, str> {
        "BasisPoints".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn decimals_follow_the_currency() {
        assert_eq!(Money::new(-5, currency("CNY")).amount(), "-0.05");
        assert_eq!(Money::new(1234, currency("JPY")).amount(), "1234");
        assert_eq!(Money::new(1234, currency("KWD")).amount(), "1.234");
        assert_eq!(Money::parse("7.5", currency("CZK")).unwrap().amount_minor, 750);
        for wrong in ["", ".5", "1.", "1e3", "1,000.00", "1.234", "+1", "--1", "１", "99999999999999999999"] {
            assert!(Money::parse(wrong, currency("CNY")).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn writing_and_reading_is_the_identity(minor in i64::MIN + 1..i64::MAX, code in prop::sample::select(vec!["CNY", "JPY", "KWD"])) {
            let money = Money::new(minor, currency(code));
            prop_assert_eq!(Money::parse(&money.amount(), money.currency).unwrap(), money);
        }

        #[test]
        fn a_share_and_its_rest_differ_by_at_most_one_unit(minor in -1_000_000_000_000i64..1_000_000_000_000, bp in 0..=10_000i32) {
            let money = Money::new(minor, Currency::CNY);
            let sum = money.share(BasisPoints(bp)).amount_minor + money.share(BasisPoints(10_000 - bp)).amount_minor;
            prop_assert!((sum - minor).abs() <= 1);
        }
    }
}
