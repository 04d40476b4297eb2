//! How sure a match is, in words.

use kehu_kernel::{BasisPoints, text_enum};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

text_enum! {
    /// How sure it is that two records tell of one and the same customer. The limits are the same for ever;
    /// what changes with the parameters is the score.
    pub enum MatchBand {
        /// From 9,900 basis points: as good as certain.
        Same = "same",
        /// From 9,500 basis points.
        Close = "close",
        /// From 8,000 basis points: probable enough to stop whoever would create the second record.
        Likely = "likely",
        /// From 5,000 basis points: probable enough for the work queue.
        Plausible = "plausible",
        /// Below that.
        Unlikely = "unlikely",
    }
}

/// The least score of each band but the last, best first.
const LIMITS: [(i32, MatchBand); 4] =
    [(9_900, MatchBand::Same), (9_500, MatchBand::Close), (8_000, MatchBand::Likely), (5_000, MatchBand::Plausible)];

impl MatchBand {
    /// The least score that is worth a place in the work queue.
    pub(crate) const LEAST_QUEUED: BasisPoints = BasisPoints(5_000);

    /// The band of a score.
    #[must_use]
    pub fn of(score: BasisPoints) -> Self {
        LIMITS.into_iter().find(|(least, _)| score.0 >= *least).map_or(Self::Unlikely, |(_, band)| band)
    }

    /// Whether whoever would create such a record is stopped.
    #[must_use]
    pub fn stops_creation(self) -> bool {
        self <= Self::Likely
    }

    /// Whether the pair belongs into the work queue.
    #[must_use]
    pub fn is_queued(self) -> bool {
        self <= Self::Plausible
    }
}

/// One comparison and what it says about the pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MatchReason {
    /// What was compared.
    #[schema(example = "birth_date", max_length = 64)]
    pub field: String,
    /// How well it agrees: a level of the field's comparison.
    #[schema(example = "exact", max_length = 64)]
    pub level: String,
    /// Evidence in bits, the binary logarithm of the Bayes factor: positive speaks for one customer, negative for two.
    #[schema(example = 9.41, minimum = -1000, maximum = 1000)]
    pub weight: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_begin_where_they_say() {
        let of = |score| MatchBand::of(BasisPoints(score));
        for (least, band) in LIMITS {
            assert_eq!(of(least), band);
            assert!(of(least - 1) > band);
        }
        assert_eq!((of(10_000), of(0)), (MatchBand::Same, MatchBand::Unlikely));
        assert!(of(8_000).stops_creation() && !of(7_999).stops_creation());
        assert!(of(5_000).is_queued() && !of(4_999).is_queued());
    }
}
