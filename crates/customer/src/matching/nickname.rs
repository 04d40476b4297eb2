//! Short and familiar forms of given names.

use std::{collections::HashMap, sync::LazyLock};

/// One formal name a line, followed by its other forms.
const TABLE: &str = include_str!("nicknames.txt");

static FORMS: LazyLock<HashMap<&'static [u8], Vec<u16>>> = LazyLock::new(|| {
    let mut forms: HashMap<&[u8], Vec<u16>> = HashMap::new();
    for (line, names) in (0_u16..).zip(TABLE.lines().filter(|line| !line.starts_with('#'))) {
        for name in names.split_whitespace() {
            forms.entry(name.as_bytes()).or_default().push(line);
        }
    }
    forms
});

/// Formal names of every line, to block by.
static ROOTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_whitespace().next()).collect()
});

/// Whether both are forms of one name.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let (Some(left), Some(right)) = (FORMS.get(left), FORMS.get(right)) else { return false };
    left.iter().any(|line| right.contains(line))
}

/// The formal name behind a short form, if there is but one.
pub(super) fn root(name: &[u8]) -> Option<&'static str> {
    let [line] = FORMS.get(name)?.as_slice() else { return None };
    ROOTS.get(usize::from(*line)).copied()
}
