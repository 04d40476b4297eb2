//! A record, written alike and packed for comparison.

use super::{Kind, Model, model::MAX_FIELDS, normal};

/// The most values of one field that are kept.
const MAX_VALUES: usize = 12;
/// The longest value that is kept, in bytes.
const MAX_LENGTH: usize = 200;

/// A value in its one spelling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Value<'a> {
    /// In plain Latin letters and digits.
    pub latin: &'a [u8],
    /// In Chinese characters (UTF-8), if it is a Chinese name; else empty.
    pub native: &'a [u8],
}

/// A record, ready to be compared with others of the same [`Model`]: all values in one piece of memory, by
/// field the length of its values (two bytes), then each value as two texts with their lengths.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record(Box<[u8]>);

impl Record {
    /// A record of these values: for each field of the model, in its order, any number of values as people wrote
    /// them. Empty values and values that mean nothing for their kind are left out.
    #[must_use]
    pub fn prepare<S: AsRef<str>>(model: &Model, values: &[Vec<S>]) -> Self {
        let mut bytes = Vec::with_capacity(160);
        for (index, field) in model.fields().iter().enumerate() {
            let mut packed = Vec::new();
            let mut seen = Vec::new();
            for value in values.get(index).into_iter().flatten() {
                let Some(value) = normalise(field.kind, value.as_ref()) else { continue };
                if seen.len() < MAX_VALUES && !seen.contains(&value) {
                    pack(&mut packed, &value.0);
                    pack(&mut packed, &value.1);
                    seen.push(value);
                }
            }
            let length = u16::try_from(packed.len()).unwrap_or(0);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(&packed);
        }
        Self(bytes.into_boxed_slice())
    }

    /// The values of each field, in the model's order.
    pub fn fields(&self) -> impl Iterator<Item = Values<'_>> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (values, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = after;
            Some(Values(values))
        })
    }

    /// The values of all fields, for who needs them by number.
    pub(super) fn unpacked(&self) -> Fields<'_> {
        let mut fields = [Values(&[]); MAX_FIELDS];
        fields.iter_mut().zip(self.fields()).for_each(|(slot, values)| *slot = values);
        fields
    }

    /// The values of one field.
    #[must_use]
    pub fn values(&self, field: usize) -> Values<'_> {
        self.fields().nth(field).unwrap_or(Values(&[]))
    }

    /// How many bytes the values take.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.0.len()
    }
}

/// The values of every field of a record, in the model's order.
pub(super) type Fields<'a> = [Values<'a>; MAX_FIELDS];

/// The values of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Values<'a>(&'a [u8]);

impl Values<'_> {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (latin, rest) = unpack(self.0)?;
        let (native, rest) = unpack(rest)?;
        self.0 = rest;
        Some(Value { latin, native })
    }
}

fn pack(out: &mut Vec<u8>, text: &str) {
    let end = (0..=text.len().min(MAX_LENGTH)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let kept = text.get(..end).unwrap_or_default();
    out.push(u8::try_from(kept.len()).unwrap_or(0));
    out.extend_from_slice(kept.as_bytes());
}

fn unpack(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// The one spelling of a value, if it says anything.
pub(super) fn normalise(kind: Kind, text: &str) -> Option<(String, String)> {
    if text.trim().is_empty() {
        return None;
    }
    let plain = |text: String| (text, String::new());
    let value = match kind {
        Kind::FullName => normal::whole_name(text),
        Kind::GivenName | Kind::FamilyName => normal::name_part(text, kind == Kind::FamilyName),
        Kind::CompanyName => normal::company_name(text),
        Kind::Date => plain(normal::date(text)?),
        Kind::Phone => plain(normal::phone(text)),
        Kind::Email => plain(normal::email(text)),
        Kind::IdentityNumber | Kind::Postcode | Kind::HouseNumber => plain(normal::dense(text)),
        Kind::Street | Kind::Locality | Kind::Region | Kind::Category | Kind::Text => plain(normal::latin(&normal::folded(text))),
    };
    if value.0.is_empty() { None } else { Some(value) }
}

/// A value that is not packed yet.
pub(super) const fn value((latin, native): &(String, String)) -> Value<'_> {
    Value { latin: latin.as_bytes(), native: native.as_bytes() }
}
