//! Streets, places and categories.

use super::{
    super::kind::{CATEGORY_ALIKE, CATEGORY_DIFFERENT, EXACT, plain::*},
    text::{count, edits, jaro, likeness, same_letters, shuffled, words},
};

/// Streets and whole addresses: numbers count apart from words.
pub(super) fn street(left: &[u8], right: &[u8]) -> u8 {
    if left == right || same_letters(left, right) {
        return EXACT;
    }
    let numbers = |text| words(text).filter(|word: &&[u8]| word.iter().any(u8::is_ascii_digit)).collect::<Vec<_>>();
    let (one, other) = (numbers(left), numbers(right));
    let numbers_agree = one.is_empty() || other.is_empty() || one.iter().any(|number| other.contains(number));
    if numbers_agree && likeness(left, right, 0.8) > 0.0 {
        return ONE_ERROR;
    }
    let share = shared(left, right);
    if share >= 0.75 && numbers_agree {
        TWO_ERRORS
    } else if share >= 0.5 {
        ALIKE
    } else {
        DIFFERENT
    }
}

/// The share of letters in words that have their like on the other side, of the shorter side.
fn shared(left: &[u8], right: &[u8]) -> f64 {
    let length = |text| words(text).map(<[u8]>::len).sum::<usize>();
    let (short, long) = if length(left) <= length(right) { (left, right) } else { (right, left) };
    let alike = |one: &&[u8]| words(long).any(|other| *one == other || one.len() >= 4 && edits(one, other, 1).is_some());
    let found: usize = words(short).filter(alike).map(<[u8]>::len).sum();
    count(found) / count(length(short).max(1))
}

/// Names of places and other short texts.
pub(super) fn place(left: &[u8], right: &[u8]) -> u8 {
    if left == right || same_letters(left, right) {
        return EXACT;
    }
    let shorter = left.len().min(right.len());
    if shorter >= 4 && edits(left, right, 1).is_some() {
        ONE_ERROR
    } else if shorter >= 4 && (likeness(left, right, 0.67) > 0.0 || jaro(left, right, 0.92) > 0.0 || shuffled(left, right)) {
        TWO_ERRORS
    } else if words(left).any(|word| word.len() >= 4 && words(right).any(|other| word == other)) {
        ALIKE
    } else {
        DIFFERENT
    }
}

pub(super) fn category(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        EXACT
    } else if left.len().min(right.len()) >= 3 && edits(left, right, 1).is_some() {
        CATEGORY_ALIKE
    } else {
        CATEGORY_DIFFERENT
    }
}
