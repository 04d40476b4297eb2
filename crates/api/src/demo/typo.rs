//! How people mistype: the duplicates of the demonstration bank.

use super::random::Chance;

/// The text with one mistake: two neighbours swapped, one left out, one doubled, or one mistaken.
pub(super) fn mistype(chance: &mut Chance, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() < 2 {
        return text.to_owned();
    }
    let last = i64::try_from(letters.len() - 1).unwrap_or(1);
    let at = usize::try_from(chance.between(0, last)).unwrap_or(0);
    match chance.weighted(&[3, 2, 1, 3]) {
        0 => letters.swap(at, at + 1),
        1 => drop(letters.remove(at)),
        2 => letters.insert(at, letters.get(at).copied().unwrap_or(' ')),
        _ => {
            if let Some(letter) = letters.get_mut(at) {
                *letter = mistaken(chance, *letter);
            }
        }
    }
    letters.into_iter().collect()
}

/// Characters that are taken for one another: the same sound, a similar shape, or the key beside.
fn mistaken(chance: &mut Chance, letter: char) -> char {
    const ALIKE: &[&str] =
        &["张章", "王汪", "李黎", "刘柳", "陈程", "杨羊", "徐许", "伟玮", "静靖", "丽莉", "芳方", "强墙", "军君", "明铭", "婷亭"];
    if let Some(pair) = ALIKE.iter().find(|pair| pair.contains(letter)) {
        return pair.chars().find(|other| *other != letter).unwrap_or(letter);
    }
    if letter.is_ascii_digit() {
        return char::from(b'0' + u8::try_from(chance.between(0, 10)).unwrap_or(0));
    }
    if letter.is_ascii_alphabetic() {
        return char::from(b'a' + u8::try_from(chance.between(0, 26)).unwrap_or(0));
    }
    letter
}
