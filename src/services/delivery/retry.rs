//! Waits between attempts to deliver an item.

use std::time::Duration;

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bounds of the waits between attempts. Waits are spread, so that receivers that got an item together do not get it
/// again together. They are the same on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryWaits {
    pub first: Duration,
    pub longest: Duration,
}

impl RetryWaits {
    /// Returns the wait after a number of attempts. It doubles each time.
    pub(in crate::services) fn after(self, item: Uuid, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        let wait = self.first.saturating_mul(1 << doublings).min(self.longest);
        spread(wait, xxh3_64_with_seed(item.as_bytes(), u64::from(attempts)))
    }

    /// Returns the wait after an attempt at an age of the item: the age, within the bounds. The waits grow, whichever
    /// node makes the attempt.
    pub(in crate::services) fn at_age(self, age: Duration, item: Uuid, receiver: &str) -> Duration {
        let wait = age.min(self.longest).max(self.first);
        let seed = xxh3_64_with_seed(item.as_bytes(), age.as_secs());
        spread(wait, xxh3_64_with_seed(receiver.as_bytes(), seed))
    }
}

/// Varies a wait by up to a quarter in either direction, as determined by `random`.
pub(in crate::services) fn spread(wait: Duration, random: u64) -> Duration {
    let share = u32::try_from(random % 1_001).unwrap_or_default();
    wait * 3 / 4 + wait / 2 * share / 1_000
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random;

    const WAITS: RetryWaits = RetryWaits {
        first: Duration::from_secs(15),
        longest: Duration::from_mins(5),
    };

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_by_a_quarter() {
        for (attempts, seconds) in [
            (1, 15),
            (2, 30),
            (3, 60),
            (4, 120),
            (5, 240),
            (6, 300),
            (1_000, 300),
        ] {
            let whole = Duration::from_secs(seconds);
            let waits: Vec<_> = (0..200).map(|_| WAITS.after(random::uuid(), attempts)).collect();
            let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(
                *least >= whole * 3 / 4 && *most <= whole * 5 / 4,
                "{attempts}: {least:?} {most:?}"
            );
            assert!(
                *least < whole * 4 / 5 && *most > whole * 6 / 5,
                "{attempts}: {least:?} {most:?}"
            );
        }
    }

    #[test]
    fn the_older_an_item_is_the_more_rarely_it_is_sent() {
        for (age_s, wait_s) in [(0, 15), (15, 15), (40, 40), (300, 300), (86_400, 300)] {
            for receiver in ["A", "B", "C"] {
                let age = Duration::from_secs(age_s);
                let wait = WAITS.at_age(age, random::uuid(), receiver).as_secs_f64();
                let share = wait / f64::from(wait_s);
                assert!((0.75..=1.25).contains(&share), "{age_s}: {wait}");
            }
        }
    }

    #[test]
    fn the_receivers_of_an_item_are_spread() {
        let item = random::uuid();
        let wait = |number: u32| WAITS.at_age(Duration::ZERO, item, &number.to_string());
        let distinct: HashSet<_> = (0..100).map(wait).collect();
        assert!(distinct.len() > 50, "{}", distinct.len());
    }
}
