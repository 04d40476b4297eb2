//! Checks of single fields that `validator` calls.

use validator::ValidationError;

/// Codes that stand in paths and URLs: letters, digits, `-` and `_`.
///
/// # Errors
/// `code` when another character occurs.
pub fn code(text: &str) -> Result<(), ValidationError> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if plain { Ok(()) } else { Err(ValidationError::new("code").with_message("Only letters, digits, - and _.".into())) }
}

/// Names of the IANA time zone database.
///
/// # Errors
/// `time_zone` when there is no such zone.
pub fn time_zone(name: &str) -> Result<(), ValidationError> {
    match name.parse::<chrono_tz::Tz>() {
        Ok(_) => Ok(()),
        Err(_) => Err(ValidationError::new("time_zone").with_message("No time zone of the IANA database.".into())),
    }
}
