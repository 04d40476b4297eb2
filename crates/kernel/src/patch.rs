//! Fields of a JSON Merge Patch (RFC 7396): absent, null, or a value.

use serde::{Deserialize, Deserializer};

/// `#[serde(default, deserialize_with = "patch::nullable")]` on `Option<Option<T>>`: absent stays
/// `None` (keep), null becomes `Some(None)` (clear), a value `Some(Some(value))`.
///
/// # Errors
/// What reading the value says.
pub fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// `#[serde(default, deserialize_with = "patch::required")]` on `Option<T>`: absent stays `None`
/// (keep), a value `Some(value)`, and null is refused because the field cannot be cleared.
///
/// # Errors
/// What reading the value says, null included.
pub fn required<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
