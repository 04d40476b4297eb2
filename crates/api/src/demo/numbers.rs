//! Numbers that pass their checks: resident ids, credit codes, phones, cards.

use kehu_kernel::Date;

use super::random::Chance;

/// Codes of districts that exist in GB/T 2260.
const DISTRICTS: &[&str] =
    &["310101", "310115", "110101", "110108", "330102", "320505", "440103", "440305", "510104", "420106", "610102"];
/// Prefixes of mobile phones.
const MOBILES: &[&str] = &["130", "135", "136", "138", "139", "150", "158", "159", "177", "181", "186", "188", "189"];
/// Characters of a unified social credit code, in the order of their values (GB 32100).
const CREDIT_CHARACTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// A resident id of somebody born on that day (GB 11643: weights 2^(17-i) modulo 11).
pub(super) fn resident_id(chance: &mut Chance, born: Date, female: bool) -> String {
    let district = chance.word(DISTRICTS);
    let order = chance.between(0, 499) * 2 + i64::from(!female);
    let head = format!("{district}{}{order:03}", born.to_string().replace('-', ""));
    let sum: u32 =
        head.bytes().zip([7_u32, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]).map(|(b, w)| u32::from(b - b'0') * w).sum();
    let check = "10X98765432".chars().nth(usize::try_from(sum % 11).unwrap_or(0)).unwrap_or('0');
    format!("{head}{check}")
}

/// A unified social credit code: registration authority and kind, district, nine characters, check character.
pub(super) fn credit_code(chance: &mut Chance, government: bool) -> String {
    let district = chance.word(DISTRICTS);
    let body: String = (0..9).filter_map(|_| chance.pick(CREDIT_CHARACTERS).map(|b| char::from(*b))).collect();
    let head = format!("{}{district}{body}", if government { "11" } else { "91" });
    let mut weight = 1;
    let mut sum = 0;
    for byte in head.bytes() {
        sum += CREDIT_CHARACTERS.iter().position(|known| *known == byte).unwrap_or(0) * weight;
        weight = weight * 3 % 31;
    }
    let check = CREDIT_CHARACTERS.get((31 - sum % 31) % 31).copied().unwrap_or(b'0');
    format!("{head}{}", char::from(check))
}

/// A mobile phone as people write it: sometimes with the country code, blanks or dashes.
pub(super) fn mobile(chance: &mut Chance) -> String {
    let (prefix, rest) = (chance.word(MOBILES), chance.digits(8));
    let (middle, end) = rest.split_at(4);
    match chance.weighted(&[7, 1, 1, 1]) {
        0 => format!("{prefix}{rest}"),
        1 => format!("+86 {prefix} {middle} {end}"),
        2 => format!("{prefix}-{middle}-{end}"),
        _ => format!("0086{prefix}{rest}"),
    }
}

/// A card number with a valid check digit (Luhn).
pub(super) fn card_number(chance: &mut Chance) -> String {
    let head = format!("622848{}", chance.digits(12));
    let sum: u32 = head
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, byte)| {
            let digit = u32::from(byte - b'0') * if index % 2 == 0 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    format!("{head}{}", (10 - sum % 10) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_repeat_and_differ() {
        let id = |seed, index| resident_id(&mut Chance::of(seed, 0, index), Date::new(1990, 3, 7).unwrap(), true);
        assert_eq!(id(1, 1), id(1, 1));
        assert_ne!(id(1, 1), id(1, 2));
        assert_ne!(id(1, 1), id(2, 1));
    }

    #[test]
    fn known_check_characters() {
        // Example of GB 11643-1999, Annex.
        let head = "11010519491231002";
        let sum: u32 = head
            .bytes()
            .zip([7_u32, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
            .map(|(b, w)| u32::from(b - b'0') * w)
            .sum();
        assert_eq!("10X98765432".chars().nth(usize::try_from(sum % 11).unwrap()), Some('X'));
    }
}
