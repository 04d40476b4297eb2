//! Distances of texts.

use rapidfuzz::distance::{jaro_winkler, osa};

/// Edits between two texts (insertions, deletions, replacements, exchanges of neighbours), up to a limit.
pub(super) fn edits(left: &[u8], right: &[u8], limit: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let arguments = osa::Args::default().score_cutoff(limit);
    osa::distance_with_args(left.iter().copied(), right.iter().copied(), &arguments)
}

/// How alike two texts are by their edits, 0 to 1; 0 below the limit.
pub(super) fn likeness(left: &[u8], right: &[u8], limit: f64) -> f64 {
    let arguments = osa::Args::default().score_cutoff(limit);
    osa::normalized_similarity_with_args(left.iter().copied(), right.iter().copied(), &arguments).unwrap_or(0.0)
}

/// How alike two words are, 0 to 1, with weight on how they begin.
pub(super) fn jaro(left: &[u8], right: &[u8]) -> f64 {
    jaro_winkler::similarity(left.iter().copied(), right.iter().copied())
}

/// Whether the same letters stand in another order.
pub(super) fn shuffled(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
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
    let letters = |text: &'_ [u8]| text.iter().copied().filter(|byte| *byte != b' ').collect::<Vec<_>>();
    letters(left) == letters(right)
}
