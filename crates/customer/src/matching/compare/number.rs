//! Numbers of documents, phones, houses and codes, and e-mail addresses.

use super::{
    super::kind::{EXACT, email as mail, plain::*},
    text::{edits, jaro, likeness},
};

pub(super) fn identity(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        return EXACT;
    }
    let shorter = left.len().min(right.len());
    match edits(left, right, 2) {
        Some(1) if shorter >= 5 => ONE_ERROR,
        Some(2) if shorter >= 6 => TWO_ERRORS,
        _ if shorter >= 6 && ends_alike(left, right, shorter.div_ceil(2) + 1) => ALIKE,
        _ => DIFFERENT,
    }
}

pub(super) fn phone(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        return EXACT;
    }
    let (short, long) = if left.len() < right.len() { (left, right) } else { (right, left) };
    if short.len() >= 7 && long.ends_with(short) {
        return EXACT;
    }
    match edits(left, right, 2) {
        Some(1) if short.len() >= 7 => ONE_ERROR,
        Some(2) if short.len() >= 7 => TWO_ERRORS,
        _ if short.len() >= 6 && ends_alike(left, right, 6) => ALIKE,
        _ => DIFFERENT,
    }
}

fn ends_alike(left: &[u8], right: &[u8], length: usize) -> bool {
    let begin = left.iter().zip(right).take_while(|(one, other)| one == other).count();
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(one, other)| one == other).count();
    begin >= length || end >= length
}

/// Postcodes and house numbers.
pub(super) fn code(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        return EXACT;
    }
    let shorter = left.len().min(right.len());
    match edits(left, right, 2) {
        Some(1) if shorter >= 2 => ONE_ERROR,
        Some(2) if shorter >= 4 => TWO_ERRORS,
        _ if shorter >= 4 && left.get(..2) == right.get(..2) => ALIKE,
        _ => DIFFERENT,
    }
}

pub(super) fn email(left: &[u8], right: &[u8]) -> u8 {
    if left == right {
        return EXACT;
    }
    if likeness(left, right, 0.8) > 0.0 {
        let (one, other) = (split(left), split(right));
        if one.1 != other.1 || likeness(one.0, other.0, 0.7) > 0.0 {
            return if one.0 == other.0 && one.1 != other.1 && likeness(one.1, other.1, 0.7) == 0.0 {
                mail::LOCAL
            } else {
                mail::NEAR
            };
        }
    }
    let (one, other) = (split(left), split(right));
    if one.0 == other.0 && one.0.len() >= 3 {
        mail::LOCAL
    } else if one.0.len().min(other.0.len()) >= 4 && jaro(one.0, other.0, 0.92) > 0.0 {
        mail::LOCAL_NEAR
    } else if one.1 == other.1 && !one.1.is_empty() {
        mail::DOMAIN
    } else {
        mail::DIFFERENT
    }
}

/// What stands before and after the @.
fn split(address: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = address.rsplitn(2, |byte| *byte == b'@');
    let last = parts.next().unwrap_or_default();
    parts.next().map_or((last, &[]), |first| (first, last))
}
