//! Legal entity identifiers (ISO 17442): twenty letters and digits, the last two an ISO 7064 MOD 97-10 check.

/// Whether a folded, upper-case text is a legal entity identifier.
#[must_use]
pub fn holds(lei: &str) -> bool {
    let shape = lei.len() == 20
        && lei.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        && lei.bytes().skip(18).all(|b| b.is_ascii_digit());
    let remainder = lei.chars().filter_map(|c| c.to_digit(36)).fold(0, |remainder, value| {
        let shift = if value > 9 { 100 } else { 10 };
        (remainder * shift + value) % 97
    });
    shape && remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_of_real_entities() {
        for lei in ["5493001KJTIIGC8Y1R12", "549300GKFG0RYRRQ1414", "213800WSGIIZCXF1P572"] {
            assert!(holds(lei), "{lei}");
        }
        for wrong in ["", "5493001KJTIIGC8Y1R13", "5493001KJTIIGC8Y1R1", "5493001kjtiigc8y1r12", "5493001KJTIIGC8Y1RAB"] {
            assert!(!holds(wrong), "{wrong}");
        }
    }
}
