//! Customer numbers: made of the id, so they are unique without a sequence that everybody waits for.

use kehu_kernel::AnyId;

use crate::CustomerId;

/// Digits and letters that nobody mistakes for each other (Crockford's base 32).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The number of the customer with this id: `C`, then the id's time (42 bits of milliseconds) and the
/// counter that follows it (42 bits) in 17 characters, in groups of six. The two together differ
/// between any two ids of one process, and between processes by the counter's random start.
#[must_use]
pub fn of(id: CustomerId) -> String {
    lettered('C', id.cast())
}

/// As [`of`], for other records: another letter before the same 17 characters.
#[must_use]
pub fn lettered(letter: char, id: AnyId) -> String {
    let bits = id.uuid().as_u128();
    let millis = bits >> 80 & ((1 << 42) - 1);
    let high = bits >> 64 & 0xfff;
    let low = bits >> 32 & ((1 << 30) - 1);
    let value = millis << 42 | high << 30 | low;
    let digit = |place: u32| {
        let index = usize::try_from(value >> (5 * place) & 31).unwrap_or(0);
        char::from(ALPHABET.get(index).copied().unwrap_or(b'0'))
    };
    let mut number = String::from(letter);
    for place in (0..17).rev() {
        if place == 11 || place == 5 {
            number.push('-');
        }
        number.push(digit(place));
    }
    number
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_differ_and_have_one_shape() {
        let numbers: HashSet<String> = (0..20_000).map(|_| of(CustomerId::new())).collect();
        assert_eq!(numbers.len(), 20_000);
        let number = numbers.iter().next().unwrap();
        assert!(number.starts_with('C') && number.split('-').map(str::len).eq([6, 6, 6]), "{number}");
    }
}
