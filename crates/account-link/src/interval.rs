//! The invariants of ownership, as pure functions over stretches of days.

use kehu_kernel::{BasisPoints, Date, Error};

/// A stretch of days: from its first day until before `to`; open when there is no `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub from: Date,
    /// The first day after it.
    pub to: Option<Date>,
}

impl Span {
    /// Whether a day lies within.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|to| day < to)
    }
}

/// What one owner holds in an account during a stretch of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stake {
    /// When.
    pub span: Span,
    /// The owner's share; zero when none is named.
    pub share: BasisPoints,
    /// Whether this is the primary owner.
    pub primary: bool,
}

/// Which invariant a new stake would break, and on which day first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// There would be two primary owners.
    SecondPrimary(Date),
    /// The shares would come to more than the whole: to this much.
    SharesExceeded(Date, i64),
}

/// Whether a new stake fits beside the existing ones at every moment of its stretch.
#[must_use]
pub fn clash(existing: &[Stake], new: &Stake) -> Option<Clash> {
    // Both sums only ever rise on the first day of some stake, so those days are the only ones to look at.
    let starts = existing.iter().map(|stake| stake.span.from).filter(|day| new.span.contains(*day));
    let mut days: Vec<Date> = starts.chain([new.span.from]).filter(|day| new.span.contains(*day)).collect();
    days.sort_unstable();
    days.into_iter().find_map(|day| clash_on(day, existing, new))
}

fn clash_on(day: Date, existing: &[Stake], new: &Stake) -> Option<Clash> {
    let active = || existing.iter().filter(|stake| stake.span.contains(day));
    if new.primary && active().any(|stake| stake.primary) {
        return Some(Clash::SecondPrimary(day));
    }
    let sum = active().map(|stake| i64::from(stake.share.0)).sum::<i64>() + i64::from(new.share.0);
    (new.share.0 > 0 && sum > i64::from(BasisPoints::WHOLE.0)).then_some(Clash::SharesExceeded(day, sum))
}

impl Clash {
    /// Stable code of the broken invariant.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SecondPrimary(_) => "primary_owner_exists",
            Self::SharesExceeded(..) => "shares_exceeded",
        }
    }

    /// The field that is to blame.
    #[must_use]
    pub const fn pointer(&self) -> &'static str {
        match self {
            Self::SecondPrimary(_) => "/primary",
            Self::SharesExceeded(..) => "/share_bp",
        }
    }

    /// What stands in the way and what to do about it.
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::SecondPrimary(day) => {
                format!("On {day} the account has another primary owner; end that link or make it not primary first.")
            }
            Self::SharesExceeded(day, sum) => {
                format!("On {day} the ownership shares would come to {sum} basis points; the whole is 10000.")
            }
        }
    }
}

impl From<Clash> for Error {
    fn from(clash: Clash) -> Self {
        Self::conflict(clash.code(), clash.message())
    }
}

/// Splits an amount by shares so that the parts add up exactly to the share of their sum: each part is
/// rounded down, and what is left goes, unit by unit, to the parts that lost most.
///
/// Owners without a share of their own divide among themselves what the others leave.
#[must_use]
pub fn split(amount_minor: i64, shares: &[Option<BasisPoints>]) -> Vec<i64> {
    // In units of a ten-thousandth of the whole, times the number of those who share the rest.
    let silent = i128::try_from(shares.iter().filter(|share| share.is_none()).count()).unwrap_or(0).max(1);
    let whole = i128::from(BasisPoints::WHOLE.0) * silent;
    let named: i128 = shares.iter().flatten().map(|share| i128::from(share.0)).sum();
    let rest = (i128::from(BasisPoints::WHOLE.0) - named).max(0);
    let weights: Vec<i128> = shares.iter().map(|share| share.map_or(rest, |share| i128::from(share.0) * silent)).collect();
    let amount = i128::from(amount_minor).abs();
    let total = (amount * weights.iter().sum::<i128>() + whole / 2) / whole;
    let mut parts: Vec<(usize, i128, i128)> =
        weights.iter().enumerate().map(|(i, weight)| (i, amount * weight / whole, amount * weight % whole)).collect();
    let left = total - parts.iter().map(|(_, part, _)| part).sum::<i128>();
    parts.sort_by_key(|(i, _, lost)| (std::cmp::Reverse(*lost), *i));
    for (_, part, _) in parts.iter_mut().take(usize::try_from(left).unwrap_or(0)) {
        *part += 1;
    }
    parts.sort_by_key(|(i, ..)| *i);
    parts.into_iter().map(|(_, part, _)| i64::try_from(part).unwrap_or(i64::MAX) * amount_minor.signum()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(n: i64) -> Date {
        Date::new(2024, 1, 1).unwrap().plus_days(n)
    }

    fn stake() -> impl Strategy<Value = Stake> {
        (0..40i64, prop::option::of(0..20i64), 0..=6_000i32, any::<bool>()).prop_map(|(from, length, share, primary)| Stake {
            span: Span { from: day(from), to: length.map(|length| day(from + length)) },
            share: BasisPoints(share),
            primary,
        })
    }

    /// What the invariants say about one day, asked the slow way.
    fn holds(stakes: &[Stake], on: Date) -> bool {
        let active: Vec<&Stake> = stakes.iter().filter(|stake| stake.span.contains(on)).collect();
        active.iter().filter(|stake| stake.primary).count() <= 1
            && active.iter().map(|stake| stake.share.0).sum::<i32>() <= 10_000
    }

    proptest! {
        #[test]
        fn what_is_admitted_holds_on_every_day(stakes in prop::collection::vec(stake(), 0..12)) {
            let mut admitted: Vec<Stake> = Vec::new();
            for new in stakes {
                let with: Vec<Stake> = admitted.iter().copied().chain([new]).collect();
                let fits = (0..100).all(|n| holds(&with, day(n)));
                prop_assert_eq!(clash(&admitted, &new).is_none(), fits);
                if fits {
                    admitted = with;
                }
            }
        }

        #[test]
        fn parts_add_up_to_the_unit(amount in -1_000_000_000i64..1_000_000_000, cuts in prop::collection::vec(0..3_000i32, 0..4), silent in 0..3usize) {
            prop_assume!(cuts.iter().sum::<i32>() <= 10_000);
            let mut shares: Vec<Option<BasisPoints>> = cuts.iter().map(|cut| Some(BasisPoints(*cut))).collect();
            shares.extend(std::iter::repeat_n(None, silent));
            let parts = split(amount, &shares);
            prop_assert_eq!(parts.len(), shares.len());
            if silent > 0 {
                prop_assert_eq!(parts.iter().sum::<i64>(), amount);
            }
            prop_assert!(parts.iter().all(|part| part.signum() * amount.signum() >= 0));
        }
    }

    #[test]
    fn a_cent_is_not_lost_among_three() {
        assert_eq!(split(100, &[None, None, None]), [34, 33, 33]);
        assert_eq!(split(-5, &[Some(BasisPoints(5_000)), None]), [-3, -2]);
        assert_eq!(split(1_000, &[Some(BasisPoints(2_500))]), [250]);
    }
}
