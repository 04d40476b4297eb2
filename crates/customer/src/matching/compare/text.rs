//! Distances of texts.

use rapidfuzz::distance::{jaro_winkler, osa};

/// Edits between two texts (insertions, deletions, replacements, exchanges of neighbours), up to a limit.
pub(super) fn edits(left: &[u8], right: &[u8], limit: usize) -> Option<usize> {
    if left.len().max(right.len()) - common(left, right) > limit {
        return None;
    }
    let arguments = osa::Args::default().score_cutoff(limit);
    osa::distance_with_args(left.iter().copied(), right.iter().copied(), &arguments)
}

/// How alike two texts are by their edits, 0 to 1; 0 below the limit.
pub(super) fn likeness(left: &[u8], right: &[u8], limit: f64) -> f64 {
    let longer = left.len().max(right.len());
    if count(common(left, right)) < limit * count(longer) {
        return 0.0;
    }
    let arguments = osa::Args::default().score_cutoff(limit);
    osa::normalized_similarity_with_args(left.iter().copied(), right.iter().copied(), &arguments).unwrap_or(0.0)
}

/// How alike two words are, 0 to 1, with weight on how they begin; 0 below the limit.
pub(super) fn jaro(left: &[u8], right: &[u8], limit: f64) -> f64 {
    let begin = left.iter().zip(right).take(4).take_while(|(one, other)| one == other).count();
    let same = count(common(left, right));
    let most = (same / count(left.len()) + same / count(right.len()) + 1.0) / 3.0;
    if most + count(begin) * 0.1 * (1.0 - most) < limit {
        return 0.0;
    }
    let found = jaro_winkler::similarity(left.iter().copied(), right.iter().copied());
    if found >= limit { found } else { 0.0 }
}

/// How many letters two texts have in common, wherever they stand: quick, and never less than distances find.
fn common(left: &[u8], right: &[u8]) -> usize {
    let mut counts = [0_u8; 64];
    for byte in left {
        if let Some(count) = counts.get_mut(usize::from(byte & 63)) {
            *count = count.saturating_add(1);
        }
    }
    let mut found = 0;
    for byte in right {
        if let Some(count) = counts.get_mut(usize::from(byte & 63)).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    found
}

/// As a number to reckon with.
pub(super) fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// Whether the same letters stand in another order.
pub(super) fn shuffled(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() || common(left, right) < left.len() {
        return false;
    }
    let sorted = |text: &[u8]| {
        let mut letters = text.to_vec();
        letters.sort_unstable();
        letters
    };
    sorted(left) == sorted(right)
}

/// The words of a text.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

/// Whether two texts are the same but for blanks.
pub(super) fn same_letters(left: &[u8], right: &[u8]) -> bool {
    left.iter().filter(|byte| **byte != b' ').eq(right.iter().filter(|byte| **byte != b' '))
}
