//! Account and card numbers: one spelling, masked, sealed, and found by their blind index.

use kehu_kernel::{
    crypto::{BlindIndex, Keyring},
    rotation::SealedColumn,
};

/// Column label of sealed account numbers.
pub const ACCOUNT: &str = "accounts.number";
/// Column label of sealed card numbers.
pub const CARD: &str = "cards.pan";
/// The sealed columns of this crate, for key rotation.
pub const SEALED: &[SealedColumn] = &[
    SealedColumn { table: "accounts", id: "id", column: "number_sealed", label: ACCOUNT },
    SealedColumn { table: "cards", id: "account_id", column: "pan_sealed", label: CARD },
];
/// Label of hashes of counterparties; never opened again.
pub const COUNTERPARTY: &str = "transactions.counterparty";

/// One spelling of a number however people write it: full-width characters become plain, spaces, hyphens
/// and full stops go, letters become capitals.
#[must_use]
pub fn normalise(text: &str) -> String {
    text.chars()
        .map(narrow)
        .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '.' | '\u{2010}'..='\u{2015}'))
        .flat_map(char::to_uppercase)
        .collect()
}

fn narrow(c: char) -> char {
    match u32::from(c) {
        code @ 0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

/// What is shown of a number: its end, at most four characters and at most half of it.
#[must_use]
pub fn mask(number: &str) -> String {
    let length = number.chars().count();
    let shown = (length / 2).min(4);
    let tail: String = number.chars().skip(length - shown).collect();
    format!("****{tail}")
}

/// The blind index of a number however it is written.
#[must_use]
pub fn index(keys: &Keyring, number: &str) -> BlindIndex {
    keys.blind_index(ACCOUNT, &normalise(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_spelling() {
        for written in ["6222 0212-3456", "６２２２０２１２３４５６", "6222.0212.3456 "] {
            assert_eq!(normalise(written), "622202123456");
        }
        assert_eq!(normalise("de89 3704"), "DE893704");
    }

    #[test]
    fn a_mask_never_shows_more_than_half() {
        assert_eq!(mask("622202123456"), "****3456");
        assert_eq!(mask("576"), "****6");
        assert_eq!(mask("7"), "****");
    }
}
