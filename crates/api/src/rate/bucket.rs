//! A token bucket that is refilled evenly, as one number: the instant at which it is full again (the generic cell rate
//! algorithm). Taking tokens moves that instant on; nothing else ever changes it.

use crate::settings::Rate;

const SECOND: i64 = 1_000_000;

/// How large a bucket is and how fast it is refilled, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    /// How long one token takes to come back.
    token: i64,
    /// How long all of them take.
    window: i64,
}

/// What became of a wish for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// How many tokens were taken.
    pub granted: u32,
    /// When the bucket is full again.
    pub full_at: i64,
    /// How many tokens are left.
    pub left: u32,
    /// After how many seconds there is a token again, when there is none left.
    pub wait: u32,
}

impl Bucket {
    /// None for a rate without a limit.
    pub fn new(rate: Rate) -> Option<Self> {
        let window = i64::from(rate.seconds) * SECOND;
        let token = window.checked_div(i64::from(rate.requests))?.max(1);
        Some(Self { token, window: token * i64::from(rate.requests) })
    }

    /// How long an empty bucket takes until it is full, in microseconds.
    pub const fn window(&self) -> i64 {
        self.window
    }

    /// Takes as many of the wanted tokens as there are.
    pub fn take(&self, full_at: i64, now: i64, wanted: u32) -> Taken {
        // A clock that was set back must not lock anybody out for longer than an empty bucket does.
        let from = full_at.clamp(now, now + self.window);
        let room = (now + self.window - from) / self.token;
        let granted = room.min(i64::from(wanted));
        let full_at = from + granted * self.token;
        let lacks = (full_at + self.token - now - self.window).max(0);
        let whole = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let wait = whole((lacks + SECOND - 1) / SECOND).max(1);
        Taken { granted: whole(granted), full_at, left: whole(room - granted), wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(requests: u32, seconds: u32) -> Bucket {
        Bucket::new(Rate { requests, seconds }).unwrap()
    }

    #[test]
    fn a_bucket_gives_what_it_holds_and_then_what_comes_back() {
        let of_five = bucket(5, 10);
        let first = of_five.take(0, 100 * SECOND, 3);
        assert_eq!((first.granted, first.left, first.full_at), (3, 2, 106 * SECOND));
        let second = of_five.take(first.full_at, 100 * SECOND, 3);
        assert_eq!((second.granted, second.left, second.wait), (2, 0, 2));
        let refused = of_five.take(second.full_at, 101 * SECOND, 1);
        assert_eq!((refused.granted, refused.full_at, refused.wait), (0, second.full_at, 1));
        assert_eq!(of_five.take(second.full_at, 102 * SECOND, 9).granted, 1);
        assert_eq!(of_five.take(second.full_at, 500 * SECOND, 9).granted, 5, "never more than it holds");
        assert_eq!(of_five.take(999 * SECOND, 0, 9).wait, 2, "after a clock was set back");
        assert!(Bucket::new(Rate { requests: 0, seconds: 1 }).is_none());
    }

    #[test]
    fn in_no_stretch_of_time_is_more_given_than_the_rate_allows() {
        for (requests, seconds, step) in [(1, 1, 90_000), (7, 3, 10_001), (2_000, 10, 1_234), (1_000_000, 1, 3)] {
            let of = bucket(requests, seconds);
            let (mut full_at, mut given) = (0, 0_i64);
            for turn in 0..3_000_i64 {
                let now = SECOND + turn * step;
                let taken = of.take(full_at, now, 1 + u32::try_from(turn % 5).unwrap());
                full_at = taken.full_at;
                given += i64::from(taken.granted);
                assert!(given <= i64::from(requests) + (now - SECOND) / of.token, "{requests}/{seconds} at {now}");
            }
        }
    }
}
