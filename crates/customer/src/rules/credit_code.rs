//! Unified social credit codes (GB 32100): eighteen characters, the last a check over the others.

/// Digits and capital letters without I, O, S, V and Z; the place is the value.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// What can be told of a text that should be a credit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Shape and checksum hold.
    Right,
    /// The shape holds, the checksum does not; codes from the pilot years are real all the same.
    ChecksumBroken,
    /// No credit code at all.
    ShapeBroken,
}

/// Judges a folded, upper-case code.
#[must_use]
pub fn judge(code: &str) -> Verdict {
    // Two characters of the registering body and kind, six digits of the division, nine of the organisation.
    let division = code.get(2..8).is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let values: Option<Vec<usize>> = code.bytes().map(|b| ALPHABET.iter().position(|known| *known == b)).collect();
    let Some(values) = values.filter(|values| values.len() == 18 && division) else {
        return Verdict::ShapeBroken;
    };
    let mut weight = 1;
    let mut sum = 0;
    for value in values.iter().take(17) {
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    if values.last() == Some(&((31 - sum % 31) % 31)) { Verdict::Right } else { Verdict::ChecksumBroken }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_real_companies() {
        for code in ["91110000600037341L", "91350100M000100Y43", "9144030071526726XG"] {
            assert_eq!(judge(code), Verdict::Right, "{code}");
        }
        assert_eq!(judge("91110000600037342L"), Verdict::ChecksumBroken);
        for shape in ["", "9111000060003734", "91110000600037341I", "9A110000600037341L1", "91AB0000600037341L", "９１１１"] {
            assert_eq!(judge(shape), Verdict::ShapeBroken, "{shape}");
        }
    }
}
