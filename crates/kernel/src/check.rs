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
