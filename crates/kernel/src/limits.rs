//! Texts of a known length, for the document: items of lists and keys and values of maps have no field of their own on
//! which a limit could stand, so they take it from one of these, as in `#[schema(value_type = Vec<Word>)]`.
//!
//! The checks of the same limits stand beside them.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};
use validator::ValidationError;

use crate::AnyId;

macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident: $min:literal to $max:literal;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).min_length(Some($min)).max_length(Some($max)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

texts! {
    /// A word or a code, 1 to 64 characters.
    Word: 1 to 64;
    /// A short text, 1 to 100 characters.
    ShortText: 1 to 100;
    /// An e-mail address, at most 254 characters.
    Mailbox: 1 to 254;
    /// A line, 1 to 200 characters.
    Line: 1 to 200;
    /// A remark, at most 500 characters; it may be empty.
    Remark: 0 to 500;
    /// What is told in an answer, at most 4000 characters.
    Told: 0 to 4000;
}

macro_rules! maps {
    ($($(#[doc = $doc:literal])+ $name:ident: $most:literal of $value:ty;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let map = ObjectBuilder::new().schema_type(Type::Object).property_names(Some(Word::schema()));
                map.additional_properties(Some(<$value>::schema())).max_properties(Some($most)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

maps! {
    /// Remarks by words, at most 50; as `#[schema(inline, value_type = Remarks)]`.
    Remarks: 50 of Remark;
    /// Whole numbers by words, at most 50.
    Weights: 50 of Weight;
    /// Records by words, at most 64.
    RecordsByName: 64 of AnyId;
}

/// How much something counts, 0 to 1000.
struct Weight;

impl PartialSchema for Weight {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Int32);
        ObjectBuilder::new().schema_type(Type::Integer).format(Some(format)).minimum(Some(0)).maximum(Some(1000)).into()
    }
}

/// Checks the items of a list of [`Word`]s.
///
/// # Errors
/// `length` when one is empty or has more than 64 characters.
pub fn words(list: &[String]) -> Result<(), ValidationError> {
    each(list, 64)
}

/// Checks the items of a list of [`Mailbox`]es.
///
/// # Errors
/// `length` when one is empty or has more than 254 characters.
pub fn mailboxes(list: &[String]) -> Result<(), ValidationError> {
    each(list, 254)
}

/// Checks the items of a list of [`Line`]s.
///
/// # Errors
/// `length` when one is empty or has more than 200 characters.
pub fn lines(list: &[String]) -> Result<(), ValidationError> {
    each(list, 200)
}

fn each(list: &[String], most: usize) -> Result<(), ValidationError> {
    if list.iter().all(|text| (1..=most).contains(&text.chars().count())) {
        Ok(())
    } else {
        Err(ValidationError::new("length").with_message(format!("Each has 1 to {most} characters.").into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_counted_in_characters() {
        let of = |length: usize| vec!["客".repeat(length)];
        assert!(words(&of(1)).is_ok() && words(&of(64)).is_ok());
        assert!(words(&of(0)).is_err() && words(&of(65)).is_err());
        assert!(lines(&of(200)).is_ok() && lines(&of(201)).is_err());
    }
}
