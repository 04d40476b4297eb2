//! Checks of the fields of records: all broken rules of a record at once.

use kehu_kernel::{Currency, Date, FieldError, Money, feed::Outcome};

/// Broken rules found so far.
#[derive(Debug, Default)]
pub(crate) struct Check(Vec<FieldError>);

impl Check {
    /// Names a broken rule.
    pub fn broken(&mut self, pointer: &str, code: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(pointer, code, message));
    }

    /// Names a rule unless it holds.
    pub fn must(&mut self, holds: bool, pointer: &str, code: &str, message: &str) {
        if !holds {
            self.broken(pointer, code, message);
        }
    }

    /// A text of 1 to `max` characters.
    pub fn text(&mut self, text: &str, max: usize, pointer: &str) {
        let length = text.chars().count();
        if !(1..=max).contains(&length) {
            self.broken(pointer, "length", format!("The length must be 1 to {max}."));
        }
    }

    /// A text of 1 to `max` characters, or none.
    pub fn optional(&mut self, text: Option<&String>, max: usize, pointer: &str) {
        if let Some(text) = text {
            self.text(text, max, pointer);
        }
    }

    /// A decimal amount in minor units.
    pub fn amount(&mut self, text: &str, currency: Currency, pointer: &str) -> i64 {
        Money::parse(text, currency).map_or_else(
            |message| {
                self.broken(pointer, "amount", message);
                0
            },
            |money| money.amount_minor,
        )
    }

    /// A decimal amount in minor units, or none.
    pub fn optional_amount(&mut self, text: Option<&String>, currency: Currency, pointer: &str) -> Option<i64> {
        text.map(|text| self.amount(text, currency, pointer))
    }

    /// A day that may not lie before another one.
    pub fn not_before(&mut self, day: Option<Date>, start: Option<Date>, pointer: &str, message: &str) {
        self.must(day.zip(start).is_none_or(|(day, start)| day >= start), pointer, "before_start", message);
    }

    /// The rejection, if any rule is broken.
    pub fn verdict(self) -> Option<Outcome> {
        if self.0.is_empty() { None } else { Some(Outcome::Rejected(self.0)) }
    }
}
