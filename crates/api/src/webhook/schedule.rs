//! When a delivery that failed is tried again: the schedule that Standard Webhooks recommends, over three days.

use std::time::Duration;

/// Seconds between the attempts; after the last one a delivery is a dead letter.
const PAUSES: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// The longest pause that a receiver may ask for by `Retry-After`.
const LONGEST_WISH: Duration = Duration::from_secs(3_600);
/// How long an endpoint rests that says that it has too much to do, and not for how long.
const RELIEF: Duration = Duration::from_secs(30);

/// The pause after so many failed attempts, up to a fifth longer by chance, so that what failed together is not tried again
/// together; nothing after the last attempt.
pub(super) fn pause(attempts: i32) -> Option<Duration> {
    let passed = usize::try_from(attempts).ok()?.checked_sub(1)?;
    let base = PAUSES.get(passed)? * 1_000;
    Some(Duration::from_millis(base + rand::random_range(0..=base / 5)))
}

/// How long an endpoint rests after an answer that asks for it.
pub(super) fn rest(status: u16, retry_after: Option<Duration>) -> Option<Duration> {
    match (status, retry_after) {
        (429 | 502..=504, wish) => Some(wish.unwrap_or(RELIEF).min(LONGEST_WISH)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_some_chance_and_end() {
        let mut least = Duration::ZERO;
        for (attempts, seconds) in (1..).zip(PAUSES) {
            let pauses: Vec<Duration> = (0..50).map(|_| pause(attempts).unwrap()).collect();
            let (low, high) = (Duration::from_secs(seconds), Duration::from_millis(seconds * 1_200));
            assert!(pauses.iter().all(|pause| (low..=high).contains(pause)), "{attempts}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "no chance in {attempts}");
            least += low;
        }
        assert_eq!(least, Duration::from_secs(75 * 3_600 + 35 * 60 + 5));
        assert_eq!((pause(10), pause(0), pause(-1)), (None, None, None));
    }

    #[test]
    fn an_endpoint_rests_as_it_asks_but_not_for_ever() {
        assert_eq!(rest(429, None), Some(RELIEF));
        assert_eq!(rest(503, Some(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(rest(503, Some(Duration::from_secs(1_000_000))), Some(LONGEST_WISH));
        assert_eq!(rest(500, Some(Duration::from_secs(7))), None);
    }
}
