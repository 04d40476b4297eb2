//! Values of tags and of custom attributes: how sensitive they are, and the one spelling that each type has.
//! What is stored and compared is that spelling.

use kehu_kernel::{
    Actor, Date, Error, FieldError, Result,
    access::{ActorKind, FieldClass},
    text_enum,
};
use validator::ValidationError;

use crate::rules;

text_enum! {
    /// How sensitive a fact is that the bank defines itself.
    pub enum DataClass {
        /// Everybody who sees the customer sees it; the customer itself too.
        Public = "public",
        /// For the bank's own people.
        Internal = "internal",
        /// Shown only to roles with sensitive fields, for a purpose; recorded.
        Sensitive = "sensitive",
    }
}

impl DataClass {
    /// The class of fields that a role must show.
    #[must_use]
    pub const fn field_class(self) -> FieldClass {
        match self {
            Self::Public => FieldClass::Public,
            Self::Internal => FieldClass::Internal,
            Self::Sensitive => FieldClass::Sensitive,
        }
    }

    /// Refuses to lower the class of a definition to somebody who does not see what it hides: all customers' values would
    /// be in the open, for that person, too.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub(crate) fn check_change(self, actor: &Actor, to: Option<Self>) -> Result<()> {
        if to.is_some_and(|to| to < self) && !actor.sees(self.field_class()) {
            return Err(Error::Forbidden(format!("Only who is shown {self} fields may make them less so.")));
        }
        Ok(())
    }
}

/// The classes of facts that an actor is shown; customers are shown what is public.
pub(crate) fn shown_classes(actor: &Actor, sensitive: bool) -> Vec<DataClass> {
    let itself = actor.kind == ActorKind::Customer;
    let shown = |class: &DataClass| match class {
        DataClass::Public => actor.sees(FieldClass::Public),
        DataClass::Internal => !itself && actor.sees(FieldClass::Internal),
        DataClass::Sensitive => !itself && sensitive,
    };
    DataClass::ALL.iter().copied().filter(shown).collect()
}

/// The longest value of any type.
pub(crate) const LONGEST: usize = 2_000;

/// What a value has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form<'a> {
    /// Text with a greatest length in characters.
    Text { longest: usize },
    /// A whole number.
    Integer(Bounds),
    /// A number with at most six decimals.
    Decimal(Bounds),
    /// `true` or `false`.
    Boolean,
    /// A calendar date.
    Date,
    /// One of these.
    Choice(&'a [String]),
}

/// The least and the greatest number that is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
}

/// Why a text is no value of a form: a code and a sentence.
type Refusal = (&'static str, String);

/// Decimals of a number.
const DECIMALS: usize = 6;
/// Ten to the power of [`DECIMALS`].
const UNIT: i128 = 1_000_000;
/// Digits before the point; all of them and the decimals fit what JSON and spreadsheets carry as text.
const DIGITS: usize = 15;

impl Form<'_> {
    /// The stored spelling of a value.
    ///
    /// # Errors
    /// A broken rule at the pointer.
    pub fn spell(&self, text: &str, pointer: &str) -> Result<String, FieldError> {
        self.read(text).map_err(|(code, message)| FieldError::new(pointer, code, message))
    }

    fn read(&self, text: &str) -> Result<String, Refusal> {
        match self {
            Self::Text { longest } => {
                let text = text.trim();
                if text.is_empty() || rules::text(text).is_err() {
                    return Err(("not_a_text", "Expected a text of more than blanks, without control characters.".into()));
                }
                let longest = (*longest).min(LONGEST);
                if text.chars().count() > longest {
                    return Err(("too_long", format!("The length may be at most {longest}.")));
                }
                Ok(text.to_owned())
            }
            Self::Integer(bounds) => number(text, 0, *bounds).ok_or(("not_an_integer", "Expected a whole number.".into()))?,
            Self::Decimal(bounds) => {
                let message = "Expected a number such as 12.5, with at most 15 digits before the point and 6 after it.";
                number(text, DECIMALS, *bounds).ok_or(("not_a_number", message.into()))?
            }
            Self::Boolean => match rules::folded(text).as_str() {
                truth @ ("true" | "false") => Ok(truth.to_owned()),
                _ => Err(("not_a_boolean", "Expected true or false.".into())),
            },
            Self::Date => match rules::folded(text).parse::<Date>() {
                Ok(date) => Ok(date.to_string()),
                Err(()) => Err(("not_a_date", "Expected a calendar date such as 2026-01-31.".into())),
            },
            Self::Choice(choices) => match choices.iter().find(|choice| *choice == text) {
                Some(choice) => Ok(choice.clone()),
                None => Err(("unknown_choice", format!("Expected one of: {}.", choices.join(", ")))),
            },
        }
    }
}

/// The shortest spelling of a number; `None` when it is none. The bounds are checked on the exact value.
fn number(text: &str, decimals: usize, bounds: Bounds) -> Option<Result<String, Refusal>> {
    let text = rules::folded(text);
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || fraction.is_some_and(|part| !plain(part)) {
        return None;
    }
    let fraction = fraction.unwrap_or("").trim_end_matches('0');
    let whole = whole.trim_start_matches('0');
    if whole.len() > DIGITS || fraction.len() > decimals {
        return None;
    }
    let exact: i128 = sign * format!("0{whole}{fraction:0<DECIMALS$}").parse::<i128>().ok()?;
    let below = bounds.minimum.filter(|minimum| exact < i128::from(*minimum) * UNIT);
    let above = bounds.maximum.filter(|maximum| exact > i128::from(*maximum) * UNIT);
    if let Some(limit) = below {
        return Some(Err(("out_of_range", format!("The value must be at least {limit}."))));
    }
    if let Some(limit) = above {
        return Some(Err(("out_of_range", format!("The value may be at most {limit}."))));
    }
    let sign = if exact < 0 { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(Ok(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }))
}

/// Choices of a definition: each of 1 to 100 characters, and each once.
///
/// # Errors
/// `choices`.
pub(crate) fn choices(choices: &[String]) -> Result<(), ValidationError> {
    let mut each: Vec<&str> = choices.iter().map(String::as_str).collect();
    each.sort_unstable();
    each.dedup();
    let sound =
        |choice: &&str| (1..=100).contains(&choice.chars().count()) && choice.trim() == *choice && rules::text(choice).is_ok();
    if each.len() == choices.len() && each.iter().all(sound) {
        return Ok(());
    }
    let message = "Each choice has 1 to 100 characters without blanks around them, and stands here once.";
    Err(ValidationError::new("choices").with_message(message.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FREE: Bounds = Bounds { minimum: None, maximum: None };

    fn spelled(form: Form<'_>, text: &str) -> Result<String, String> {
        form.spell(text, "/value").map_err(|fault| fault.code)
    }

    #[test]
    fn every_type_has_one_spelling() {
        let choices = ["gold".to_owned(), "silver".to_owned()];
        for (form, text, expected) in [
            (Form::Integer(FREE), "007", Ok("7")),
            (Form::Integer(FREE), "-0", Ok("0")),
            (Form::Integer(FREE), "１２", Ok("12")),
            (Form::Integer(FREE), "1.0", Ok("1")),
            (Form::Integer(FREE), "1.5", Err("not_an_integer")),
            (Form::Integer(FREE), "1e3", Err("not_an_integer")),
            (Form::Integer(FREE), "1234567890123456", Err("not_an_integer")),
            (Form::Decimal(FREE), "-00.50", Ok("-0.5")),
            (Form::Decimal(FREE), ".5", Err("not_a_number")),
            (Form::Decimal(FREE), "0.1234567", Err("not_a_number")),
            (Form::Decimal(Bounds { minimum: Some(-1), maximum: Some(1) }), "1.000001", Err("out_of_range")),
            (Form::Decimal(Bounds { minimum: Some(-1), maximum: Some(1) }), "-1.000", Ok("-1")),
            (Form::Boolean, "true", Ok("true")),
            (Form::Boolean, "yes", Err("not_a_boolean")),
            (Form::Date, "2024-02-29", Ok("2024-02-29")),
            (Form::Date, "2023-02-29", Err("not_a_date")),
            (Form::Choice(&choices), "gold", Ok("gold")),
            (Form::Choice(&choices), "Gold", Err("unknown_choice")),
            (Form::Text { longest: 3 }, " abc ", Ok("abc")),
            (Form::Text { longest: 3 }, "abcd", Err("too_long")),
            (Form::Text { longest: 3 }, "\u{7}", Err("not_a_text")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(spelled(form, text), expected, "{form:?} {text:?}");
        }
    }

    #[test]
    fn choices_are_told_apart() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert!(choices(&list(&["a", "b"])).is_ok());
        for wrong in [&["a", "a"][..], &[""], &[" a"], &["a\u{1}"]] {
            assert!(choices(&list(wrong)).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        /// A spelling is its own spelling, and equal numbers have equal ones.
        #[test]
        fn spelling_twice_changes_nothing(whole in -999_999_999_i64..999_999_999, fraction in 0_u32..1_000_000, zeros in 0_usize..4) {
            let text = format!("{whole}.{fraction:06}");
            let once = spelled(Form::Decimal(FREE), &text).unwrap();
            prop_assert_eq!(spelled(Form::Decimal(FREE), &once).unwrap(), once.clone());
            let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
            let padded = format!("{sign}{}{digits}", "0".repeat(zeros));
            prop_assert_eq!(spelled(Form::Decimal(FREE), &padded).unwrap(), once);
        }
    }
}
