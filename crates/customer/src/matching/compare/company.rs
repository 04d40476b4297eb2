//! Names of companies, without their legal form.

use super::{
    super::{
        kind::{EXACT, company::*},
        record::Value,
    },
    text::{edits, likeness, same_letters, words},
};

pub(super) fn level(left: Value<'_>, right: Value<'_>) -> u8 {
    if !left.native.is_empty() && !right.native.is_empty() {
        return native(left, right);
    }
    let (left, right) = (left.latin, right.latin);
    if left == right || same_letters(left, right) {
        return EXACT;
    }
    let (unmatched_left, unmatched_right, matched) = aligned(left, right);
    if (unmatched_left == 0 && unmatched_right == 0 && matched > 0) || likeness(left, right, 0.9) > 0.0 {
        NEAR
    } else if (unmatched_left == 0 || unmatched_right == 0) && matched > 0 {
        SUBSET
    } else if acronym(left, right) || acronym(right, left) {
        ACRONYM
    } else if matched > 0 && matched >= unmatched_left.min(unmatched_right) {
        ALIKE
    } else {
        DIFFERENT
    }
}

fn native(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.native == right.native {
        return EXACT;
    }
    let text = |value: Value<'_>| String::from_utf8_lossy(value.native).chars().map(u32::from).collect::<Vec<_>>();
    let (one, other) = (text(left), text(right));
    let shorter = one.len().min(other.len());
    let (short, long) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    if left.latin == right.latin || shorter >= 4 && rapidfuzz::distance::osa::distance(one.iter(), other.iter()) == 1 {
        NEAR
    } else if long.windows(short.len()).any(|window| window == short.as_slice()) {
        SUBSET
    } else if shorter >= 2 && short.iter().all(|c| long.contains(c)) {
        ACRONYM
    } else if short.iter().filter(|c| long.contains(c)).count() * 2 > shorter {
        ALIKE
    } else {
        DIFFERENT
    }
}

/// Words without their like on the left, on the right, and with their like.
fn aligned(left: &[u8], right: &[u8]) -> (usize, usize, usize) {
    let mut rest: Vec<&[u8]> = words(right).collect();
    let (mut alone, mut matched) = (0, 0);
    for word in words(left) {
        let like = |other: &&[u8]| {
            word == *other || word.len().min(other.len()) >= 4 && edits(word, other, 1 + word.len() / 8).is_some()
        };
        if let Some(at) = rest.iter().position(|other| word == *other).or_else(|| rest.iter().position(like)) {
            rest.swap_remove(at);
            matched += 1;
        } else {
            alone += 1;
        }
    }
    (alone, rest.len(), matched)
}

/// Whether one is made of the initials of the other.
fn acronym(short: &[u8], long: &[u8]) -> bool {
    let initials: Vec<u8> = words(long).filter_map(|word| word.first().copied()).collect();
    let without_small =
        words(long).filter(|word| !matches!(*word, b"of" | b"and" | b"for" | b"the")).filter_map(|word| word.first().copied());
    short.len() >= 2 && (short == initials.as_slice() || short.iter().copied().eq(without_small))
}
