//! One spelling of words of any script, for comparing: lower case, without accents, full-width forms made
//! plain, traditional Chinese characters made simplified.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Folds a text character by character: what stands beside a character does not change what it becomes, so
/// the fold of a part is the same part of the fold.
#[must_use]
pub fn plain(text: &str) -> String {
    let lower: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut folded = String::with_capacity(lower.len());
    for c in lower.nfd().filter(|c| !is_combining_mark(*c)).nfc() {
        match letters(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(simplified(c)),
        }
    }
    folded
}

/// Letters that are no other letter with an accent, in the letters that people without them type.
const fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ħ' => "h",
        'ŋ' => "n",
        _ => return None,
    })
}

/// The simplified form of a Chinese character, others as they are.
#[must_use]
pub fn simplified(c: char) -> char {
    if !is_han(c) {
        return c;
    }
    let mut bytes = [0; 4];
    fast2s::convert(c.encode_utf8(&mut bytes)).chars().next().unwrap_or(c)
}

/// Whether it is a Chinese character.
#[must_use]
pub const fn is_han(c: char) -> bool {
    matches!(c, '々' | '〇' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// Whether it is a letter of a script that is written without blanks between words: Chinese characters, kana,
/// hangul. Signs that stand among the kana, like the double hyphen `゠`, only part words.
#[must_use]
pub fn stands_alone(c: char) -> bool {
    let of_script = is_han(c) || matches!(c, '\u{3041}'..='\u{30FF}' | '\u{3105}'..='\u{312F}' | '\u{AC00}'..='\u{D7A3}');
    of_script && c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet() {
        for (one, other) in [
            ("張偉", "张伟"),
            ("劉長孫", "刘长孙"),
            ("Müller", "muller"),
            ("ＤＶＯŘÁＫ", "dvorak"),
            ("Łukasz Ørsted", "lukasz orsted"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("Ёлкин", "елкин"),
            ("ΆΛΦΑ", "αλφα"),
            ("김철수", "김철수"),
            ("Nguyễn", "nguyen"),
        ] {
            assert_eq!(plain(one), plain(other), "{one}");
        }
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,40}") {
            let once = plain(&text);
            proptest::prop_assert_eq!(plain(&once), once);
        }
    }
}
