//! Numbers of identity documents: their one spelling, their checks and their mask.

use kehu_kernel::{Date, FieldError};

use super::{credit_code, credit_code::Verdict, folded, lei, resident_id};
use crate::identity::IdentityType;

/// A number that passed its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Its one spelling: folded, upper case, without separators; resident ids in 18 characters.
    pub normalised: String,
    /// As given, folded, in upper case and without separators.
    pub written: String,
    /// What is doubtful about it, as stable codes.
    pub warnings: Vec<String>,
}

/// Checks a number by the rules of its type. What only hints at a mistake becomes a warning.
///
/// # Errors
/// The broken rule, on `/number`.
pub fn check(kind: IdentityType, number: &str, today: Date) -> Result<Checked, FieldError> {
    let written = compact(number);
    let refuse = |code: &str, message: &str| Err(FieldError::new("/number", code, message));
    let mut warnings = Vec::new();
    match kind {
        IdentityType::ResidentId => {
            if let Err(fault) = resident_id::check(&written, today) {
                let (code, message) = fault.told();
                return refuse(code, message);
            }
            if resident_id::region_is_doubtful(&written) {
                warnings.push("unknown_region".to_owned());
            }
        }
        IdentityType::UnifiedSocialCreditCode => match credit_code::judge(&written) {
            Verdict::Right => {}
            Verdict::ChecksumBroken => warnings.push("checksum".to_owned()),
            Verdict::ShapeBroken => return refuse("shape", "A unified social credit code has 18 characters."),
        },
        IdentityType::Lei if !lei::holds(&written) => {
            return refuse("checksum", "A legal entity identifier has 20 characters that end in their checksum.");
        }
        _ if !(4..=32).contains(&written.len()) => return refuse("shape", "A number has 4 to 32 letters and digits."),
        _ if !written.chars().all(char::is_alphanumeric) => return refuse("shape", "Only letters and digits."),
        _ => {}
    }
    let normalised =
        resident_id::lengthened(&written).filter(|_| kind == IdentityType::ResidentId).unwrap_or_else(|| written.clone());
    Ok(Checked { normalised, written, warnings })
}

/// The spellings under which a number of unknown type may have been indexed.
#[must_use]
pub fn candidates(number: &str) -> Vec<String> {
    let compact = compact(number);
    let longer = resident_id::lengthened(&compact);
    std::iter::once(compact).chain(longer).collect()
}

/// What is shown of a number: its ends. `310101199003071234` becomes `3101**********1234`.
#[must_use]
pub fn mask(number: &str) -> String {
    let length = number.chars().count();
    let shown = match length {
        0..=4 => 0,
        5..=8 => 1,
        9..=14 => 2,
        _ => 4,
    };
    let hidden = shown..length - shown;
    number.chars().enumerate().map(|(place, c)| if hidden.contains(&place) { '*' } else { c }).collect()
}

fn compact(number: &str) -> String {
    folded(number).chars().filter(|c| !c.is_whitespace() && !"-/.".contains(*c)).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_now(kind: IdentityType, number: &str) -> Result<Checked, FieldError> {
        check(kind, number, Date::new(2026, 1, 31).unwrap())
    }

    #[test]
    fn spellings_meet() {
        let old = check_now(IdentityType::ResidentId, "110105 491231 002").unwrap();
        let new = check_now(IdentityType::ResidentId, "11010519491231002x").unwrap();
        assert_eq!(old.normalised, new.normalised);
        assert!(candidates("110105491231002").contains(&new.normalised));
        assert_eq!(check_now(IdentityType::Passport, "ｅ１２-345 678").unwrap().normalised, "E12345678");
    }

    #[test]
    fn doubts_and_refusals() {
        let pilot = check_now(IdentityType::UnifiedSocialCreditCode, "91110000600037342L").unwrap();
        assert_eq!(pilot.warnings, ["checksum"]);
        assert_eq!(check_now(IdentityType::UnifiedSocialCreditCode, "123").unwrap_err().code, "shape");
        assert_eq!(check_now(IdentityType::ResidentId, "110105194912310021").unwrap_err().code, "checksum");
        assert_eq!(check_now(IdentityType::Passport, "E1").unwrap_err().code, "shape");
    }

    #[test]
    fn masks_show_the_ends() {
        assert_eq!(mask("310101199003071234"), "3101**********1234");
        assert_eq!(mask("E12345678"), "E1*****78");
        assert_eq!(mask("AB12"), "****");
    }
}
