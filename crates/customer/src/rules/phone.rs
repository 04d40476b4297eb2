//! Phone numbers in E.164, however people write them.

use phonenumber::{Mode, country::Id};

/// Where a number without a country code belongs, unless the caller says otherwise.
pub const DEFAULT_COUNTRY: &str = "CN";

/// The E.164 form of a phone number, or what is wrong with it. Spaces, hyphens, slashes, brackets and
/// full-width digits are understood; `country` (ISO 3166-1 alpha-2) completes national numbers. An extension
/// (`ext. 12`, `x12`, `#12`, `转12`, `分机12`) is no part of the number.
///
/// # Errors
/// A sentence for the field's problem.
pub fn e164(text: &str, country: Option<&str>) -> Result<String, &'static str> {
    const WRONG: &str = "Expected a phone number, with its country code or national in the given country.";
    let country: Id = country.unwrap_or(DEFAULT_COUNTRY).parse().map_err(|_| "Expected a country code of ISO 3166-1 alpha-2.")?;
    let cleaned: String = super::folded(text).chars().map(|c| if "/\\.·_".contains(c) { ' ' } else { c }).collect();
    let cleaned = without_extension(&cleaned);
    // An international call from China starts with 00, which the library takes for a national number.
    let dialled = cleaned.strip_prefix("00").map_or_else(|| cleaned.to_owned(), |rest| format!("+{rest}"));
    let number = phonenumber::parse(Some(country), dialled).map_err(|_| WRONG)?;
    if number.is_valid() { Ok(number.format().mode(Mode::E164).to_string()) } else { Err(WRONG) }
}

/// What stands before the mark of an extension, when nothing but its digits follow.
fn without_extension(text: &str) -> &str {
    const MARKS: &[&str] = &["extension", "ext", "x", "#", "转", "轉", "分机", "分機", ";"];
    let place = |mark: &&str| text.to_ascii_lowercase().find(mark);
    let Some((before, rest)) = MARKS.iter().filter_map(place).min().and_then(|place| text.split_at_checked(place)) else {
        return text;
    };
    let is_extension = rest.chars().any(|c| c.is_ascii_digit())
        && rest.chars().filter(char::is_ascii_digit).count() <= 8
        && rest
            .chars()
            .all(|c| !c.is_alphanumeric() || c.is_ascii_digit() || "extensionx转轉分机機".contains(c.to_ascii_lowercase()));
    if is_extension { before.trim_end() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_no_part_of_the_number() {
        for spelling in [
            "021-68881234 ext. 5",
            "021-68881234x5",
            "021-68881234 转 5",
            "(021) 6888 1234 分机 12",
            "021-68881234#5",
            "02168881234转8001",
        ] {
            assert_eq!(e164(spelling, None).as_deref(), Ok("+862168881234"), "{spelling}");
        }
        assert!(e164("021-68881234 or another", None).is_err());
    }

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
