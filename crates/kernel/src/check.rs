//! Checks of single fields that `validator` calls, and what it found as field errors.

use validator::{ValidationError, ValidationErrors, ValidationErrorsKind};

use crate::FieldError;

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

/// Texts of people: not only blanks, without control characters other than line breaks and tabs, and without
/// marks that turn the direction of what follows, by which a text can show as another one than it is. Whether
/// they may be empty is told by their length.
///
/// # Errors
/// `blank` or `control_character`.
pub fn text(text: &str) -> Result<(), ValidationError> {
    if !text.is_empty() && text.trim().is_empty() {
        return Err(ValidationError::new("blank").with_message("More than blanks is needed.".into()));
    }
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(|c| c.is_control() && !"\n\r\t".contains(c) || turns(c)) {
        return Err(ValidationError::new("control_character").with_message("Control characters are not taken.".into()));
    }
    Ok(())
}

/// What `validator` found, as errors with JSON pointers, in the order of the pointers.
#[must_use]
pub fn faults(errors: &ValidationErrors) -> Vec<FieldError> {
    let mut found = Vec::new();
    collect(errors, "", &mut found);
    found.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    found
}

/// Turns validator's tree into flat pointers.
fn collect(errors: &ValidationErrors, prefix: &str, found: &mut Vec<FieldError>) {
    for (field, kind) in errors.errors() {
        // A field named by a keyword of Rust is spelled r#type there.
        let path = format!("{prefix}/{}", field.trim_start_matches("r#"));
        match kind {
            ValidationErrorsKind::Struct(inner) => collect(inner, &path, found),
            ValidationErrorsKind::List(items) => {
                items.iter().for_each(|(index, inner)| collect(inner, &format!("{path}/{index}"), found));
            }
            ValidationErrorsKind::Field(broken) => found.extend(broken.iter().map(|error| {
                let message = error.message.clone().map_or_else(|| rule(error), |message| message.into_owned());
                FieldError::new(path.clone(), &error.code, message)
            })),
        }
    }
}

/// Says a rule of validator in words.
fn rule(error: &ValidationError) -> String {
    let parameter = |name: &str| error.params.get(name).map(ToString::to_string);
    match (error.code.as_ref(), parameter("min"), parameter("max")) {
        ("length", Some(min), Some(max)) => format!("The length must be {min} to {max}."),
        ("length", None, Some(max)) => format!("The length may be at most {max}."),
        ("length", Some(min), None) => format!("The length must be at least {min}."),
        ("range", Some(min), Some(max)) => format!("The value must be {min} to {max}."),
        ("range", None, Some(max)) => format!("The value may be at most {max}."),
        ("range", Some(min), None) => format!("The value must be at least {min}."),
        (code, ..) => format!("The value breaks the rule {code}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_show_as_what_they_are() {
        for sound in ["", "张伟", "line\nline\ttab", "שלום\u{200f}", "e\u{301}"] {
            assert!(text(sound).is_ok(), "{sound:?}");
        }
        for wrong in [" ", "\0", "a\u{1}", "\u{7f}", "\u{85}", "a\u{202e}b", "\u{2066}a\u{2069}"] {
            assert!(text(wrong).is_err(), "{wrong:?}");
        }
    }
}
