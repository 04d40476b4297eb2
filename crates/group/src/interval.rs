//! Stretches of days, and when two of them have a day in common.

use kehu_kernel::Date;

/// A stretch of days: from its first day until before `to`; open when there is no `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first day.
    pub from: Date,
    /// The first day after it.
    pub to: Option<Date>,
}

impl Span {
    /// Whether it has any day at all: what ended on its first day never held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.to.is_none_or(|to| self.from < to)
    }

    /// Whether a day lies within.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from <= day && self.to.is_none_or(|to| day < to)
    }

    /// Whether two have a day in common.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        let begins_before = |one: &Self, end: Option<Date>| end.is_none_or(|end| one.from < end);
        self.holds() && other.holds() && begins_before(self, other.to) && begins_before(other, self.to)
    }

    /// What is left of it beside others, in the order of days.
    #[must_use]
    pub fn without(&self, others: &[Self]) -> Vec<Self> {
        let mut taken: Vec<Self> = others.iter().copied().filter(|other| other.meets(self)).collect();
        taken.sort_unstable_by_key(|span| span.from);
        let mut left = Vec::new();
        let mut from = Some(self.from);
        for other in taken {
            let Some(begin) = from else { break };
            left.push(Self { from: begin, to: Some(other.from) });
            from = other.to.map(|to| to.max(begin));
        }
        left.extend(from.map(|from| Self { from, to: self.to }));
        left.retain(Self::holds);
        left
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(n: i64) -> Date {
        Date::new(2024, 1, 1).unwrap().plus_days(n)
    }

    fn span() -> impl Strategy<Value = Span> {
        (0..40i64, prop::option::of(0..20i64))
            .prop_map(|(from, length)| Span { from: day(from), to: length.map(|length| day(from + length)) })
    }

    proptest! {
        #[test]
        fn two_meet_exactly_when_they_share_a_day(one in span(), other in span()) {
            let shared = (0..100).any(|n| one.contains(day(n)) && other.contains(day(n)));
            prop_assert_eq!(one.meets(&other), shared);
            prop_assert_eq!(other.meets(&one), shared);
        }

        #[test]
        fn what_is_left_is_what_nobody_else_has(one in span(), others in prop::collection::vec(span(), 0..6)) {
            let left = one.without(&others);
            for n in 0..100 {
                let wanted = one.contains(day(n)) && !others.iter().any(|other| other.contains(day(n)));
                prop_assert_eq!(left.iter().filter(|span| span.contains(day(n))).count(), usize::from(wanted), "day {}", n);
            }
        }
    }
}
