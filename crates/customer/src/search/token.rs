//! The tokens of a customer's names.
//!
//! A name is a row of units: each character of scripts without blanks (Chinese characters, kana, hangul), and
//! each word of the others. For each unit there is the name from this unit on, so whatever stands in a name is
//! the beginning of a token, and the search for it is a range of the index. Chinese names also have what they
//! sound like, in the same way, and their initials. Before each token stands its class, in the order in which
//! finds are ranked.

use std::collections::BTreeSet;

use crate::{
    facts::Facts,
    rules::{
        reading,
        script::{is_han, plain, stands_alone},
    },
};

/// A name from its beginning.
pub(super) const START: char = '1';
/// A name from a later unit on.
pub(super) const INNER: char = '2';
/// The sound of a name from its beginning, without blanks.
pub(super) const SOUND: char = '3';
/// The sound of a name from a later unit on.
pub(super) const INNER_SOUND: char = '4';
/// The initials of a Chinese name.
pub(super) const INITIALS: char = '5';

/// How many characters of a name a token keeps, its class not counted.
pub(super) const LENGTH: usize = 24;
/// From how many units of a name tokens begin.
const UNITS: usize = 24;
/// From how many units of a name sounds begin: whole names of people, the front of firms' names.
const SOUNDS: usize = 5;
/// How many tokens one customer has at most.
const MOST: usize = 96;

/// Ends of names that say no more than what form an organisation has: no token begins with them.
const FORMS: &[&str] =
    &["有限责任公司", "股份有限公司", "有限公司", "责任公司", "集团公司", "分公司", "总公司", "公司", "合伙企业"];
const WORDS_OF_FORM: &[&str] = &[
    "ltd",
    "limited",
    "inc",
    "incorporated",
    "gmbh",
    "ag",
    "co",
    "company",
    "corp",
    "corporation",
    "llc",
    "llp",
    "plc",
    "sa",
    "bv",
    "nv",
    "kg",
    "oy",
    "ab",
    "srl",
    "spa",
    "sro",
    "as",
    "ooo",
    "pte",
    "pty",
];

/// A part of a name that tokens begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// A character of a script without blanks.
    Character(char),
    /// A word or number.
    Word(String),
}

/// The units of a text, folded; what is neither letter nor digit only parts them.
pub(super) fn units(text: &str) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut word = String::new();
    let close = |word: &mut String, units: &mut Vec<Unit>| {
        if !word.is_empty() {
            units.push(Unit::Word(std::mem::take(word)));
        }
    };
    for c in plain(text).chars() {
        if stands_alone(c) {
            close(&mut word, &mut units);
            units.push(Unit::Character(c));
        } else if c.is_alphanumeric() {
            word.push(c);
        } else if !matches!(c, '\'' | '’' | 'ʼ' | '`') {
            close(&mut word, &mut units);
        }
    }
    close(&mut word, &mut units);
    units
}

/// Units written one after the other: words apart, characters together.
pub(super) fn joined(units: &[Unit]) -> String {
    let mut text = String::new();
    let mut after_word = false;
    for unit in units {
        match unit {
            Unit::Character(c) => {
                if after_word {
                    text.push(' ');
                }
                text.push(*c);
                after_word = false;
            }
            Unit::Word(word) => {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(word);
                after_word = true;
            }
        }
    }
    text
}

/// A token: its class and the beginning of the text.
pub(super) fn token(class: char, text: &str) -> String {
    std::iter::once(class).chain(text.chars().take(LENGTH)).collect()
}

/// The tokens of a customer.
pub(crate) fn of(facts: &Facts<'_>) -> BTreeSet<String> {
    let mut tokens = BTreeSet::new();
    let person = facts.personal.is_some();
    let mut names = vec![facts.customer.display_name.as_str()];
    names.extend(facts.personal.map(|profile| profile.full_name.as_str()));
    if let Some(organisation) = facts.organisation {
        names.push(&organisation.legal_name);
        names.extend(organisation.short_name.as_deref());
    }
    let mut seen: Vec<Vec<Unit>> = Vec::new();
    for name in names {
        let units = units(name);
        if !seen.contains(&units) {
            add_name(&units, &mut tokens);
            add_sounds(&units, person, &mut tokens);
            seen.push(units);
        }
    }
    tokens.into_iter().take(MOST).collect()
}

fn add_name(units: &[Unit], tokens: &mut BTreeSet<String>) {
    if !units.is_empty() {
        tokens.insert(token(START, &joined(units)));
    }
    for place in 1..units.len().min(UNITS) {
        let rest = units.get(place..).unwrap_or_default();
        if !says_only_a_form(rest) {
            tokens.insert(token(INNER, &joined(rest)));
        }
    }
}

fn says_only_a_form(rest: &[Unit]) -> bool {
    match rest {
        [Unit::Word(word)] => WORDS_OF_FORM.contains(&word.as_str()),
        [Unit::Word(first), Unit::Word(second)] => {
            WORDS_OF_FORM.contains(&first.as_str()) && WORDS_OF_FORM.contains(&second.as_str())
        }
        [Unit::Character(_), ..] if rest.len() <= 6 => {
            let text = joined(rest);
            // Also what begins within a form: 限公司.
            FORMS.iter().any(|form| form.ends_with(&text))
        }
        _ => false,
    }
}

/// What a name sounds like: pinyin of Chinese characters, words as they are written.
fn add_sounds(units: &[Unit], person: bool, tokens: &mut BTreeSet<String>) {
    let letters: Vec<char> = units.iter().map(|unit| if let Unit::Character(c) = unit { *c } else { ' ' }).collect();
    let read = reading::syllables(&letters, person);
    let sounds: Vec<&str> = units
        .iter()
        .zip(&read)
        .filter_map(|(unit, syllable)| match (unit, syllable) {
            (_, Some(syllable)) => Some(*syllable),
            (Unit::Word(word), None) => Some(word.as_str()),
            (Unit::Character(_), None) => None,
        })
        .collect();
    if sounds.len() > 1 || read.iter().any(Option::is_some) {
        tokens.insert(token(SOUND, &sounds.concat()));
    }
    if !letters.iter().any(|c| is_han(*c)) {
        return;
    }
    for place in 1..sounds.len().min(SOUNDS) {
        tokens.insert(token(INNER_SOUND, &sounds.get(place..).unwrap_or_default().concat()));
    }
    let initials: String = sounds.iter().filter_map(|sound| sound.chars().next()).collect();
    if sounds.len() > 1 {
        tokens.insert(token(INITIALS, &initials));
    }
}

#[cfg(test)]
mod tests {
    use kehu_kernel::time::Clock;

    use super::*;
    use crate::{CustomerKind, CustomerRow};

    fn tokens(name: &str, kind: CustomerKind) -> Vec<String> {
        let customer = CustomerRow::new(kind, name.to_owned(), Clock::system().now());
        let facts = Facts { customer: &customer, personal: None, organisation: None, identities: &[], contact_points: &[] };
        of(&facts).into_iter().collect()
    }

    #[test]
    fn a_name_is_found_from_each_of_its_units_on() {
        assert_eq!(
            tokens("李小明", CustomerKind::Personal),
            ["1李小明", "2小明", "2明", "3lixiaoming", "4ming", "4xiaoming", "5lxm"]
        );
        assert_eq!(
            tokens("José García López", CustomerKind::Personal),
            ["1jose garcia lopez", "2garcia lopez", "2lopez", "3josegarcialopez"]
        );
        assert_eq!(tokens("O'Brien", CustomerKind::Personal), ["1obrien"]);
        assert_eq!(tokens("Acme Ltd.", CustomerKind::Corporate), ["1acme ltd", "3acmeltd"]);
        assert_eq!(tokens("Иван Ёлкин", CustomerKind::Personal), ["1иван елкин", "2елкин", "3иванелкин"]);
        assert_eq!(tokens("🙂 !?", CustomerKind::Personal), Vec::<String>::new());
        assert_eq!(tokens("゠", CustomerKind::Personal), Vec::<String>::new());
    }

    #[test]
    fn forms_of_companies_begin_no_token() {
        let found = tokens("上海華興貿易有限公司", CustomerKind::Corporate);
        assert!(found.contains(&"2华兴贸易有限公司".to_owned()) && found.contains(&"2易有限公司".to_owned()), "{found:?}");
        assert!(!found.iter().any(|token| token.starts_with("2有限") || token == "2司"), "{found:?}");
        assert!(found.contains(&"3shanghaihuaxingmaoyiyouxi".chars().take(25).collect::<String>()), "{found:?}");
    }

    proptest::proptest! {
        #[test]
        fn tokens_are_few_short_and_whole(name in "\\PC{0,200}") {
            let found = tokens(&name, CustomerKind::Corporate);
            proptest::prop_assert!(found.len() <= MOST);
            for token in found {
                let length = token.chars().count();
                proptest::prop_assert!((2..=LENGTH + 1).contains(&length), "{}", token);
                proptest::prop_assert!(token.chars().skip(1).all(|c| c == ' ' || c.is_alphanumeric()), "{}", token);
            }
        }
    }
}
