//! Pure rules of numbers, phones and addresses: what is right, what is doubtful, and the one spelling of each.

pub mod credit_code;
pub mod identity_number;
pub mod lei;
pub mod phone;
pub mod reading;
pub mod resident_id;
pub mod script;

use kehu_kernel::BasisPoints;
pub use kehu_kernel::check::text;
use unicode_normalization::UnicodeNormalization;
use validator::ValidationError;

/// Folds compatibility forms (full-width digits and letters) and trims.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().trim().to_owned()
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
