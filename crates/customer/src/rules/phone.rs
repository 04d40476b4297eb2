//! Phone numbers in E.164, however people write them.

use phonenumber::{Mode, country::Id};

/// Where a number without a country code belongs, unless the caller says otherwise.
pub const DEFAULT_COUNTRY: &str = "CN";

/// The E.164 form of a phone number, or what is wrong with it. Spaces, hyphens, slashes, brackets and
/// full-width digits are understood; `country` (ISO 3166-1 alpha-2) completes national numbers.
///
/// # Errors
/// A sentence for the field's problem.
pub fn e164(text: &str, country: Option<&str>) -> Result<String, &'static str> {
    const WRONG: &str = "Expected a phone number, with its country code or national in the given country.";
    let country: Id = country.unwrap_or(DEFAULT_COUNTRY).parse().map_err(|_| "Expected a country code of ISO 3166-1 alpha-2.")?;
    let cleaned: String = super::folded(text).chars().map(|c| if "/\\.·_".contains(c) { ' ' } else { c }).collect();
    // An international call from China starts with 00, which the library takes for a national number.
    let dialled = cleaned.strip_prefix("00").map_or_else(|| cleaned.clone(), |rest| format!("+{rest}"));
    let number = phonenumber::parse(Some(country), dialled).map_err(|_| WRONG)?;
    if number.is_valid() { Ok(number.format().mode(Mode::E164).to_string()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number() {
        for spelling in [
            "13800138000",
            "138 0013 8000",
            "138-0013-8000",
            "+86 13800138000",
            "0086 138/0013/8000",
            "１３８００１３８０００",
            "(86) 13800138000",
        ] {
            assert_eq!(e164(spelling, None).as_deref(), Ok("+8613800138000"), "{spelling}");
        }
        assert_eq!(e164("021-6888 1234", None).unwrap(), "+862168881234");
        assert_eq!(e164("605 123 456", Some("CZ")).unwrap(), "+420605123456");
    }

    #[test]
    fn what_is_no_number() {
        for wrong in ["", "12", "abc", "999999999999999999", "+86 1"] {
            assert!(e164(wrong, None).is_err(), "{wrong}");
        }
        assert!(e164("13800138000", Some("XX")).is_err());
    }
}
