//! Range requests (RFC 9110, section 14): one range of bytes, or everything.

/// What of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range was asked for, or one that cannot be told.
    Whole,
    /// From the first of these bytes to before the second.
    Part(u64, u64),
    /// Bytes that it does not have: 416.
    Nothing,
}

/// What a request wants of a file of so many bytes. `if_range` has to be the present entity tag, or the range is not meant.
/// Several ranges are answered by the whole, as the standard allows.
#[must_use]
pub fn wanted(range: Option<&str>, if_range: Option<&str>, tag: &str, size: u64) -> Wanted {
    let Some(range) = range.filter(|_| if_range.is_none_or(|seen| seen.trim() == tag)) else { return Wanted::Whole };
    let Some((unit, ranges)) = range.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || ranges.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = ranges.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Given::Number(first), Given::Number(last)) if first <= last => within(first, last.saturating_add(1), size),
        (Given::Number(first), Given::Empty) => within(first, size, size),
        (Given::Empty, Given::Number(last)) => within(size.saturating_sub(last), size, size),
        _ => Wanted::Whole,
    }
}

const fn within(first: u64, end: u64, size: u64) -> Wanted {
    let end = if end < size { end } else { size };
    if first < end { Wanted::Part(first, end) } else { Wanted::Nothing }
}

enum Given {
    Empty,
    Number(u64),
    Garbage,
}

fn number(text: &str) -> Given {
    match text.trim() {
        "" => Given::Empty,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Given::Number(digits.parse().unwrap_or(u64::MAX)),
        _ => Given::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let of = |range: &str| wanted(Some(range), None, "\"a\"", 100);
        for (range, expected) in [
            ("bytes=0-0", Wanted::Part(0, 1)),
            ("bytes=0-99", Wanted::Part(0, 100)),
            ("bytes=90-", Wanted::Part(90, 100)),
            ("bytes=90-1000", Wanted::Part(90, 100)),
            ("bytes=-10", Wanted::Part(90, 100)),
            ("bytes=-1000", Wanted::Part(0, 100)),
            ("Bytes = 5-6", Wanted::Part(5, 7)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=100-200", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("rows=1-2", Wanted::Whole),
            ("bytes", Wanted::Whole),
        ] {
            assert_eq!(of(range), expected, "{range}");
        }
        assert_eq!(wanted(None, None, "\"a\"", 100), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=1-2"), Some("\"a\""), "\"a\"", 100), Wanted::Part(1, 3));
        assert_eq!(wanted(Some("bytes=1-2"), Some("\"b\""), "\"a\"", 100), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), None, "\"a\"", 0), Wanted::Nothing);
    }
}
