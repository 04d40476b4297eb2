//! Resident identity numbers of China (GB 11643): 18 digits with a check character, the older 15-digit
//! form, residence permits of people from Hong Kong, Macao and Taiwan (81–83), and the permanent
//! residence card of foreigners (9…).

use kehu_kernel::Date;

/// What a resident identity number says about its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The date of birth.
    pub born_on: Date,
    /// Whether the sequence number is even, which means a woman.
    pub female: bool,
}

/// Why a number is no resident identity number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Neither 15 digits nor 17 digits and a check character.
    Shape,
    /// The date of birth is none of the calendar, or lies in the future.
    Date,
    /// The check character does not fit.
    Checksum,
}

impl Fault {
    /// Stable code of the broken rule, and the rule in words.
    #[must_use]
    pub const fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Shape => ("shape", "A resident identity number has 18 characters, or 15 digits in its old form."),
            Self::Date => ("impossible_date", "The date of birth within the number is none of the calendar."),
            Self::Checksum => ("checksum", "The last character does not fit the others."),
        }
    }
}

/// Province codes of GB/T 2260, and those of residence permits (81–83) and of foreigners (9…).
const REGIONS: [u8; 35] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65,
    71, 81, 82, 83,
];

/// Checks a folded, upper-case number and reads what it says. `today` bounds the date of birth.
///
/// # Errors
/// The first rule that it breaks.
pub fn check(number: &str, today: Date) -> Result<Facts, Fault> {
    match number.len() {
        18 => check_18(number, today),
        15 => check_18(&lengthened(number).ok_or(Fault::Shape)?, today),
        _ => Err(Fault::Shape),
    }
}

/// The 18-character form of a 15-digit number, which always belongs to the twentieth century.
#[must_use]
pub fn lengthened(number: &str) -> Option<String> {
    if number.len() != 15 || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (region, rest) = number.split_at_checked(6)?;
    let stem = format!("{region}19{rest}");
    let check = check_character(&stem)?;
    Some(format!("{stem}{check}"))
}

/// A region that was never one in the catalogue of provinces; codes change over the years, so this only warns.
#[must_use]
pub fn region_is_doubtful(number: &str) -> bool {
    let province = number.get(..2).and_then(|code| code.parse::<u8>().ok());
    let foreign = number.starts_with('9');
    !foreign && province.is_none_or(|code| !REGIONS.contains(&code))
}

fn check_18(number: &str, today: Date) -> Result<Facts, Fault> {
    let stem = number.get(..17).filter(|stem| stem.bytes().all(|b| b.is_ascii_digit())).ok_or(Fault::Shape)?;
    let last = number.chars().last().filter(|c| c.is_ascii_digit() || *c == 'X').ok_or(Fault::Shape)?;
    let part = |range: std::ops::Range<usize>| number.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let year = part(6..10).and_then(|year| i32::try_from(year).ok());
    let born_on = year.zip(part(10..12)).zip(part(12..14)).and_then(|((year, month), day)| Date::new(year, month, day));
    let oldest = Date::new(1800, 1, 1);
    let born_on = born_on.filter(|date| *date <= today && Some(*date) >= oldest).ok_or(Fault::Date)?;
    if check_character(stem) != Some(last) {
        return Err(Fault::Checksum);
    }
    let female = part(16..17).is_some_and(|digit| digit % 2 == 0);
    Ok(Facts { born_on, female })
}

/// The check character over 17 digits: ISO 7064 MOD 11-2.
fn check_character(stem: &str) -> Option<char> {
    let mut remainder = 0;
    for character in stem.chars() {
        remainder = (remainder + character.to_digit(10)?) * 2 % 11;
    }
    char::from_digit((12 - remainder) % 11, 11).map(|c| c.to_ascii_uppercase()).map(|c| if c == 'A' { 'X' } else { c })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> Date {
        Date::new(2026, 1, 31).unwrap()
    }

    #[test]
    fn numbers_of_the_standard() {
        // The two examples of GB 11643-1999.
        let woman = check("11010519491231002X", today()).unwrap();
        assert_eq!((woman.born_on, woman.female), (Date::new(1949, 12, 31).unwrap(), true));
        assert!(!check("440524188001010014", today()).unwrap().female);
        assert_eq!(lengthened("110105491231002").unwrap(), "11010519491231002X");
        assert_eq!(check("110105491231002", today()), check("11010519491231002X", today()));
    }

    #[test]
    fn each_fault_has_its_name() {
        assert_eq!(check("110105194912310021", today()), Err(Fault::Checksum));
        assert_eq!(check("11010519490231002X", today()), Err(Fault::Date));
        assert_eq!(check("11010529491231002X", today()), Err(Fault::Date));
        for shape in ["", "1101051949123100", "A1010519491231002X", "11010519491231002Y", "1101054912310O2", "１１０１０５"]
        {
            assert_eq!(check(shape, today()), Err(Fault::Shape), "{shape}");
        }
    }

    #[test]
    fn regions_only_warn() {
        assert!(!region_is_doubtful("810000199408230021"));
        assert!(!region_is_doubtful("830000199201300022"));
        assert!(!region_is_doubtful("911124198108030024"));
        assert!(region_is_doubtful("190105194912310020"));
    }
}
