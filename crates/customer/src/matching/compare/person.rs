//! Names of persons.

use super::{
    super::{
        kind::{EXACT, part::*, whole},
        nickname, normal,
        record::Value,
    },
    text::{edits, jaro, same_letters, shuffled, words},
};

/// A given or a family name.
pub(super) fn part(left: Value<'_>, right: Value<'_>) -> u8 {
    if left.latin == right.latin {
        return if left.native == right.native { EXACT } else { ALIAS };
    }
    if !left.native.is_empty() && !right.native.is_empty() {
        return DIFFERENT;
    }
    if same_letters(left.latin, right.latin) { EXACT } else { words_level(left.latin, right.latin) }
}

fn words_level(left: &[u8], right: &[u8]) -> u8 {
    let shorter = left.len().min(right.len());
    if shorter == 1 {
        return if left.first() == right.first() { INITIAL } else { DIFFERENT };
    }
    if nickname::same(left, right) {
        return ALIAS;
    }
    if shorter >= 3 && edits(left, right, 1).is_some() {
        return NEAR;
    }
    let several = left.contains(&b' ') || right.contains(&b' ');
    if several && words(left).any(|word| word.len() >= 3 && words(right).any(|other| word == other)) {
        return PART;
    }
    let likeness = if shorter >= 3 { jaro(left, right, 0.78) } else { 0.0 };
    if shorter >= 4 && (likeness >= 0.9 || shuffled(left, right)) || shorter >= 5 && edits(left, right, 2).is_some() {
        CLOSE
    } else if several && words(left).any(|word| words(right).any(|other| initial(word, other))) {
        INITIAL
    } else if shorter >= 3 && (left.starts_with(right) || right.starts_with(left)) {
        PART
    } else if likeness >= 0.78 {
        ALIKE
    } else {
        DIFFERENT
    }
}

/// The level of parts that agree across given and family name, if they do.
pub(super) const fn across(level: u8) -> Option<u8> {
    match level {
        EXACT => Some(SWAPPED),
        ALIAS | NEAR | CLOSE => Some(SWAPPED_NEAR),
        _ => None,
    }
}

/// How well two whole names agree.
pub(super) fn whole(left: Value<'_>, right: Value<'_>) -> u8 {
    if left == right {
        return EXACT;
    }
    if !left.native.is_empty() && !right.native.is_empty() {
        return characters(left, right);
    }
    let mixed = left.native.is_empty() != right.native.is_empty();
    if mixed && (sorted(left.latin) == sorted(right.latin) || same_letters(left.latin, right.latin)) {
        return whole::ALIAS;
    }
    if sorted(left.latin) == sorted(right.latin) || same_letters(left.latin, right.latin) {
        return whole::REORDERED;
    }
    if mixed && (initials(left, right) || initials(right, left)) {
        return whole::INITIALS;
    }
    align(left.latin, right.latin).level(left.latin, right.latin)
}

fn sorted(text: &[u8]) -> Vec<&[u8]> {
    let mut sorted: Vec<&[u8]> = words(text).collect();
    sorted.sort_unstable();
    sorted
}

/// Two names in Chinese characters that are not the same.
fn characters(left: Value<'_>, right: Value<'_>) -> u8 {
    let (one, other) = (String::from_utf8_lossy(left.native), String::from_utf8_lossy(right.native));
    let surname = |name: &str| name.chars().take(normal::surname_length(name)).collect::<String>();
    let (length, other_length) = (one.chars().count(), other.chars().count());
    let unlike = one.chars().zip(other.chars()).filter(|(one, other)| one != other).count();
    if left.latin == right.latin {
        whole::ALIAS
    } else if length == other_length && length >= 3 && shuffled_characters(&one, &other) {
        whole::REORDERED
    } else if length == other_length && length >= 3 && unlike == 1 {
        whole::NEAR
    } else if length.min(other_length) >= 2 && (one.starts_with(other.as_ref()) || other.starts_with(one.as_ref())) {
        whole::SUBSET
    } else if surname(&one) == surname(&other) || unlike == 1 {
        whole::PARTIAL
    } else {
        whole::DIFFERENT
    }
}

fn shuffled_characters(one: &str, other: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    sorted(one) == sorted(other)
}

/// Whether the second name is made of the initials of the pinyin of the first.
fn initials(chinese: Value<'_>, latin: Value<'_>) -> bool {
    let letters = normal::pinyin_initials(&String::from_utf8_lossy(chinese.native));
    letters.len() >= 2 && same_letters(letters.as_bytes(), latin.latin)
}

/// How the words of two names find each other.
#[derive(Default)]
struct Alignment {
    same: usize,
    alias: usize,
    near: usize,
    initial: usize,
    alone_left: usize,
    alone_right: usize,
}

fn align(left: &[u8], right: &[u8]) -> Alignment {
    let mut rest: Vec<&[u8]> = words(right).collect();
    let mut open: Vec<&[u8]> = Vec::new();
    let mut found = Alignment::default();
    let take = |rest: &mut Vec<&[u8]>, word: &[u8], like: fn(&[u8], &[u8]) -> bool| {
        rest.iter().position(|other| like(word, other)).map(|at| rest.remove(at)).is_some()
    };
    for word in words(left) {
        if take(&mut rest, word, |one, other| one == other) { found.same += 1 } else { open.push(word) }
    }
    open.retain(|word| {
        !(take(&mut rest, word, nickname::same) && {
            found.alias += 1;
            true
        })
    });
    open.retain(|word| {
        !(take(&mut rest, word, near) && {
            found.near += 1;
            true
        })
    });
    open.retain(|word| {
        !(take(&mut rest, word, initial) && {
            found.initial += 1;
            true
        })
    });
    found.alone_left = open.len();
    found.alone_right = rest.len();
    found
}

fn near(one: &[u8], other: &[u8]) -> bool {
    let shorter = one.len().min(other.len());
    shorter >= 3 && edits(one, other, 1).is_some()
        || shorter >= 6 && edits(one, other, 2).is_some()
        || shorter >= 5 && shuffled(one, other)
}

fn initial(one: &[u8], other: &[u8]) -> bool {
    one.len().min(other.len()) == 1 && one.first() == other.first()
}

impl Alignment {
    fn level(&self, left: &[u8], right: &[u8]) -> u8 {
        let found = self.same + self.alias + self.near;
        let alone = self.alone_left.max(self.alone_right);
        let one_side = self.alone_left.min(self.alone_right);
        if alone == 0 && self.initial == 0 && found > 0 {
            return if self.near > 0 { whole::NEAR } else { whole::ALIAS };
        }
        let letters = |text| words(text).flatten().copied().collect::<Vec<u8>>();
        let (one, other) = (letters(left), letters(right));
        if one.len().min(other.len()) >= 6 && edits(&one, &other, 2).is_some() {
            return whole::NEAR;
        }
        if one_side == 0 && found >= 2 && self.initial == 0 {
            whole::SUBSET
        } else if one_side == 0 && found >= 1 && self.initial > 0 {
            whole::INITIALS
        } else if found > 0 {
            whole::PARTIAL
        } else {
            whole::DIFFERENT
        }
    }
}
