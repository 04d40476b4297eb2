//! Pure rules of numbers, phones and addresses: what is right, what is doubtful, and the one spelling of each.

pub mod credit_code;
pub mod identity_number;
pub mod lei;
pub mod phone;
pub mod reading;
pub mod resident_id;
pub mod script;

use kehu_kernel::BasisPoints;
use unicode_normalization::UnicodeNormalization;
use validator::ValidationError;

/// Folds compatibility forms (full-width digits and letters) and trims.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().trim().to_owned()
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

/// Two capital letters, as ISO 3166-1 names countries.
///
/// # Errors
/// `country`.
pub fn country(code: &str) -> Result<(), ValidationError> {
    let holds = code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    if holds {
        Ok(())
    } else {
        Err(ValidationError::new("country").with_message("Expected two capital letters of ISO 3166-1.".into()))
    }
}

/// Decimal digits only.
///
/// # Errors
/// `digits`.
pub fn digits(text: &str) -> Result<(), ValidationError> {
    let holds = text.bytes().all(|b| b.is_ascii_digit());
    if holds { Ok(()) } else { Err(ValidationError::new("digits").with_message("Only digits.".into())) }
}

/// A share of a whole.
///
/// # Errors
/// `range`.
pub fn share(share: &BasisPoints) -> Result<(), ValidationError> {
    if (0..=10_000).contains(&share.0) {
        Ok(())
    } else {
        Err(ValidationError::new("range").with_message("A share is 0 to 10000 basis points.".into()))
    }
}

/// The comparable form of an e-mail address, or what is wrong with it.
///
/// # Errors
/// A sentence for the field's problem.
pub fn email(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "Expected an e-mail address such as li.na@example.com.";
    let address = folded(text).to_lowercase();
    let (local, domain) = address.rsplit_once('@').ok_or(WRONG)?;
    let labels_hold = domain.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    let local_holds = !local.is_empty()
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c));
    if labels_hold && local_holds && domain.contains('.') && address.len() <= 254 { Ok(address) } else { Err(WRONG) }
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

    #[test]
    fn e_mail_addresses_have_one_spelling() {
        assert_eq!(email(" Li.Na@Example.COM ").unwrap(), "li.na@example.com");
        assert_eq!(email("ｌｉ＠ｅｘａｍｐｌｅ．ｃｏｍ").unwrap(), "li@example.com");
        for wrong in
            ["", "li", "@example.com", "li@", "li@example", "li@@example.com", "l i@example.com", "li@-x.com", "a..b@x.cn"]
        {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
