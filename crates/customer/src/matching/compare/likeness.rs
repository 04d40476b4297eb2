//! How alike two names are by themselves, when nothing else is known of who has them.

use super::{
    super::{nickname, record::Value},
    text::{count, edits, likeness, same_letters, shuffled, words},
};

/// A word that only one side has counts so much: parts of names are left out more often than made up.
const LEFT_OUT: f64 = 0.3;
/// Words on both sides that contradict each other take so much of the rest.
const CONTRADICTION: f64 = 0.85;
/// Names that are written together or apart otherwise are compared as one word, if they are at least so alike.
const TOGETHER: f64 = 0.8;

/// From 0 for names that have nothing in common to 1 for the same name in any order of its words.
pub(in super::super) fn names(left: Value<'_>, right: Value<'_>, person: bool) -> f64 {
    let likeness = in_words(left.latin, right.latin, person);
    if left.native.is_empty() || right.native.is_empty() {
        likeness
    } else {
        likeness.min(in_characters(left.native, right.native))
    }
}

/// One character is as much as a word.
fn in_characters(left: &[u8], right: &[u8]) -> f64 {
    let characters = |text: &[u8]| String::from_utf8_lossy(text).chars().map(u32::from).collect::<Vec<_>>();
    rapidfuzz::distance::osa::normalized_similarity(characters(left), characters(right))
}

fn in_words(left: &[u8], right: &[u8], person: bool) -> f64 {
    let (one, other): (Vec<&[u8]>, Vec<&[u8]>) = (words(left).collect(), words(right).collect());
    if same_letters(left, right)
        || one.len() == other.len() && shuffled(left, right) && one.iter().all(|word| other.contains(word))
    {
        return 1.0;
    }
    let mut pairs = Vec::new();
    for (row, word) in one.iter().enumerate() {
        for (column, like) in other.iter().enumerate() {
            let alike = of_words(word, like, person);
            if alike > 0.0 {
                pairs.push((alike, row.abs_diff(column), row, column));
            }
        }
    }
    pairs.sort_by(|one, other| other.0.total_cmp(&one.0).then((one.1, one.2, one.3).cmp(&(other.1, other.2, other.3))));
    let (mut rows, mut columns) = (Words::of(&one), Words::of(&other));
    let (mut matched, mut letters) = (0.0, 0.0);
    for (alike, _, row, column) in pairs {
        if rows.open(row) && columns.open(column) {
            let length = rows.take(row) + columns.take(column);
            matched += alike * length;
            letters += length;
        }
    }
    let (less, more) = (rows.left().min(columns.left()), rows.left().max(columns.left()));
    let contradiction = less >= 3.0;
    let enough = rows.taken() >= if person { 2 } else { 1 };
    let left_out = if enough { LEFT_OUT } else { 1.0 };
    let apart = if letters > 0.0 { matched / (letters + 2.0 * less + (more - less) * left_out) } else { 0.0 };
    let apart = if contradiction { apart * CONTRADICTION } else { apart };
    if contradiction && one.len() == other.len() { apart } else { apart.max(likeness(&one.concat(), &other.concat(), TOGETHER)) }
}

/// How alike two words are: fewer typing errors are forgiven in short ones.
fn of_words(one: &[u8], other: &[u8], person: bool) -> f64 {
    let (shorter, longer) = (one.len().min(other.len()), one.len().max(other.len()));
    if one == other {
        1.0
    } else if person && nickname::same(one, other) {
        0.95
    } else if shorter == 1 {
        if person && one.first() == other.first() { 0.8 } else { 0.0 }
    } else {
        let limit = match longer {
            _ if shorter < 3 => 0,
            ..=5 => 1,
            6..=9 => 2,
            _ => 3,
        };
        edits(one, other, limit).map_or(0.0, |edits| 1.0 - count(edits) / count(longer))
    }
}

/// Words that have found their like or not yet.
struct Words(Vec<(f64, bool)>);

impl Words {
    fn of(words: &[&[u8]]) -> Self {
        Self(words.iter().map(|word| (count(word.len()), true)).collect())
    }

    fn open(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|word| word.1)
    }

    fn take(&mut self, at: usize) -> f64 {
        self.0.get_mut(at).map_or(0.0, |word| {
            word.1 = false;
            word.0
        })
    }

    fn left(&self) -> f64 {
        self.0.iter().filter(|word| word.1).map(|word| word.0).sum()
    }

    fn taken(&self) -> usize {
        self.0.iter().filter(|word| !word.1).count()
    }
}
