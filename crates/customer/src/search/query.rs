//! What is asked for: the words of a search as ranges of tokens, in the order in which finds are ranked.

use super::token::{INITIALS, INNER, INNER_SOUND, LENGTH, SOUND, START, Unit, joined, token, units};

/// Stands before a customer's number, as a class of tokens does; numbers are no tokens, but found as if they were.
pub(super) const NUMBER: char = '0';

/// The tokens from `from` up to, but without, `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: String,
    pub(super) to: String,
}

impl Range {
    /// The tokens of a class that begin with this text.
    fn of(class: char, text: &str) -> Self {
        let from = token(class, text);
        let to = format!("{from}\u{10ffff}");
        Self { from, to }
    }

    fn holds(&self, token: &str) -> bool {
        self.from.as_str() <= token && token < self.to.as_str()
    }
}

/// One way to fit: a token within a range, and for each of the other words a token within one of its ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    pub(super) range: Range,
    pub(super) also: Vec<Vec<Range>>,
}

/// A search, as the ways to fit it, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) stages: Vec<Stage>,
    /// How many different words were typed.
    pub(super) words: usize,
}

impl Query {
    /// Understands what somebody typed; without a letter or digit there is nothing to be found.
    pub(super) fn parse(text: &str) -> Self {
        let units = units(text);
        let mut stages: Vec<Stage> = Vec::new();
        if units.is_empty() {
            return Self { stages, words: 0 };
        }
        let alone = |class: char, text: &str| Stage { range: Range::of(class, text), also: Vec::new() };
        stages.extend(number(text).map(|number| alone(NUMBER, &number)));
        let words = words(text);
        let phrase = joined(&units);
        // What a token cannot hold is asked for word by word.
        let rest = if phrase.chars().count() > LENGTH { ranges_of(&words) } else { Vec::new() };
        for class in [START, INNER] {
            stages.push(Stage { range: Range::of(class, &phrase), also: rest.clone() });
        }
        let sound = sound(&units);
        for class in [SOUND, INNER_SOUND] {
            stages.extend(sound.as_deref().map(|sound| Stage { range: Range::of(class, sound), also: rest.clone() }));
        }
        stages.extend(any_order(&words));
        let initials = sound.filter(|sound| sound.bytes().all(|b| b.is_ascii_lowercase()));
        stages.extend(initials.map(|initials| alone(INITIALS, &initials)));
        Self { stages, words: words.len() }
    }

    /// The best way in which a customer with these tokens fits: its number, and the token by which it does.
    pub(super) fn place<'a>(&self, tokens: &'a [String]) -> Option<(usize, &'a str)> {
        self.stages.iter().enumerate().find_map(|(number, stage)| {
            let least = tokens.iter().filter(|token| stage.range.holds(token)).min()?;
            let has = |ranges: &Vec<Range>| ranges.iter().any(|range| tokens.iter().any(|token| range.holds(token)));
            stage.also.iter().all(has).then_some((number, least.as_str()))
        })
    }
}

/// The words of a text, each once: what stands together without a blank, characters apart from letters.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for piece in text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation() && !matches!(c, '\'' | '`')) {
        let mut run = String::new();
        for unit in units(piece) {
            match unit {
                // What a token cannot hold are several words.
                Unit::Character(c) if run.chars().count() < LENGTH => run.push(c),
                Unit::Character(c) => words.push(std::mem::replace(&mut run, c.to_string())),
                Unit::Word(word) => {
                    words.extend((!run.is_empty()).then(|| std::mem::take(&mut run)));
                    words.push(word);
                }
            }
        }
        words.extend((!run.is_empty()).then_some(run));
    }
    let mut seen = std::collections::HashSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words
}

/// Where a word may stand: in a name, or in what a name sounds like.
fn ranges(word: &str) -> Vec<Range> {
    let mut ranges: Vec<Range> = [START, INNER].iter().map(|class| Range::of(*class, word)).collect();
    if word.is_ascii() {
        ranges.extend([SOUND, INNER_SOUND].iter().map(|class| Range::of(*class, &as_sound(word))));
    }
    ranges
}

fn ranges_of(words: &[String]) -> Vec<Vec<Range>> {
    words.iter().map(|word| ranges(word)).collect()
}

/// All words, wherever they stand. The longest leads, because the fewest customers have it; a Chinese character
/// tells as much as some letters.
fn any_order(words: &[String]) -> Vec<Stage> {
    if words.len() < 2 {
        return Vec::new();
    }
    let mut others = words.to_vec();
    // Of several that are equally long, the first.
    let longest = others.iter().enumerate().max_by_key(|(place, word)| (word.len(), usize::MAX - place));
    let lead = longest.map(|(place, _)| place).unwrap_or_default();
    let lead = others.remove(lead);
    let also = ranges_of(&others);
    ranges(&lead).into_iter().map(|range| Stage { range, also: also.clone() }).collect()
}

/// The text as a sound: its words without blanks. Only of letters and digits that keyboards for pinyin have.
fn sound(units: &[Unit]) -> Option<String> {
    let words: Option<Vec<String>> = units
        .iter()
        .map(|unit| match unit {
            Unit::Word(word) if word.is_ascii() => Some(as_sound(word)),
            _ => None,
        })
        .collect();
    words.map(|words| words.concat())
}

/// `lv` and `nv` are how `lü` and `nü` are typed; no syllable of pinyin has a v.
fn as_sound(word: &str) -> String {
    word.replace("lv", "lu").replace("nv", "nu")
}

/// The text as the beginning of a customer's number, however its groups are parted: at least four characters with a
/// digit among them.
fn number(text: &str) -> Option<String> {
    let folded = crate::rules::folded(text).to_uppercase();
    let plain: String = folded
        .chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .map(|c| match c {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let shape = (4..=18).contains(&plain.len())
        && plain.starts_with('C')
        && plain.chars().any(|c| c.is_ascii_digit())
        && plain.chars().all(|c| c.is_ascii_alphanumeric() && c != 'U');
    let groups: Vec<String> = plain.as_bytes().chunks(6).map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    shape.then(|| groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(text: &str) -> Vec<String> {
        Query::parse(text).stages.into_iter().map(|stage| stage.range.from).collect()
    }

    fn fit(text: &str, tokens: &[&str]) -> Option<usize> {
        let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
        Query::parse(text).place(&tokens).map(|(stage, _)| stage)
    }

    #[test]
    fn one_word_is_looked_for_in_names_then_in_sounds() {
        assert_eq!(starts("張"), ["1张", "2张"]);
        assert_eq!(
            starts(" Zhang Wei "),
            ["1zhang wei", "2zhang wei", "3zhangwei", "4zhangwei", "1zhang", "2zhang", "3zhang", "4zhang", "5zhangwei"]
        );
        assert_eq!(starts("Lv"), ["1lv", "2lv", "3lu", "4lu", "5lu"]);
        assert_eq!(starts("c36n4s7"), ["0C36N4S-7", "1c36n4s7", "2c36n4s7", "3c36n4s7", "4c36n4s7"]);
        assert_eq!(starts("C36N4S-7F20H8 0qkxw3").first().unwrap(), "0C36N4S-7F20H8-0QKXW3");
        for nothing in ["", "  ", "!?", "🙂", "--", "%_"] {
            assert_eq!(starts(nothing), Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn a_customer_has_one_place() {
        let wei = ["1张伟", "2伟", "3zhangwei", "4wei", "5zw"];
        assert_eq!(fit("张伟", &wei), Some(0));
        assert_eq!(fit("伟", &wei), Some(1));
        assert_eq!(fit("zhangwei", &wei), Some(2));
        assert_eq!(fit("wei", &wei), Some(3));
        assert_eq!(fit("wei zhang", &wei), Some(6));
        assert_eq!(fit("zw", &wei), Some(4));
        assert_eq!(fit("张 伟", &wei), Some(0));
        assert_eq!(fit("张wei", &wei), Some(2));
        assert_eq!(fit("李伟", &wei), None);
        assert_eq!(fit("伟 李", &wei), None);
    }
}
