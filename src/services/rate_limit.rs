//! Rate limits by key, and sets of recent keys, in tables of a fixed size, because untrusted clients choose the keys.
//!
//! Each node has its own tables. A key is stored as a hash under a random secret.
//!
//! A full row evicts its least used key, so that a flood of new keys does not reset a key that is over its limit.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use metrics::counter;

use crate::timer;

/// Keys per row.
const ROW: usize = 8;
/// Rows per table, which then takes 1 MiB.
const ROWS: usize = 8_192;

/// Number per key; 0 for absent keys.
struct Table {
    rows: Box<[Mutex<[Cell; ROW]>]>,
    hasher: RandomState,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    key: u64,
    value: u64,
}

impl Table {
    fn new(rows: usize) -> Self {
        Self {
            rows: (0..rows.max(1)).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Replaces the number of a key by the one that `next` returns, if any. A full row evicts its smallest number.
    fn update<R>(&self, key: impl Hash, next: impl FnOnce(u64) -> (Option<u64>, R)) -> R {
        let key = self.hasher.hash_one(key);
        let row = usize::try_from(key % self.rows.len() as u64).unwrap_or_default();
        let mut row = self.rows[row].lock().unwrap_or_else(PoisonError::into_inner);
        let known = row.iter().position(|cell| cell.key == key && cell.value > 0);
        let (value, outcome) = next(known.map_or(0, |index| row[index].value));
        if let Some(value) = value {
            let least = || (0..ROW).min_by_key(|index| row[*index].value).unwrap_or_default();
            let index = known.unwrap_or_else(least);
            row[index] = Cell { key, value };
        }
        outcome
    }
}

/// Rate limit per key: a burst, then one more per interval (generic cell rate algorithm).
pub(super) struct RateLimit {
    /// Time at which the whole allowance of a key is restored, in nanoseconds since `began`.
    restored_at: Table,
    began: Instant,
    interval: u64,
    allowance: u64,
    name: &'static str,
}

impl RateLimit {
    /// Creates a limit. `name` is its label in the metrics.
    pub(super) fn new(name: &'static str, burst: u32, interval: Duration) -> Self {
        let interval = nanoseconds(interval).max(1);
        Self {
            restored_at: Table::new(ROWS),
            began: timer::now(),
            interval,
            allowance: interval.saturating_mul(u64::from(burst.max(1))),
            name,
        }
    }

    /// Allows `burst` events per period.
    pub(super) fn in_period(name: &'static str, burst: u32, period: Duration) -> Self {
        Self::new(name, burst, period / burst.max(1))
    }

    /// Enlarges the table by `factor`.
    pub(super) fn with_room(mut self, factor: usize) -> Self {
        self.restored_at = Table::new(ROWS * factor);
        self
    }

    /// Counts an event. The error is the wait for the next one.
    pub(super) fn count(&self, key: impl Hash) -> Result<(), Duration> {
        let now = self.now();
        let counted = self
            .restored_at
            .update(key, |restored_at| match self.next_restore(restored_at, now) {
                Ok(next) => (Some(next), Ok(())),
                Err(wait) => (None, Err(wait)),
            });
        self.refused(counted)
    }

    /// Checks whether an event would be allowed, without counting it. The error is the wait.
    pub(super) fn probe(&self, key: impl Hash) -> Result<(), Duration> {
        let now = self.now();
        let probed = self.restored_at.update(key, |restored_at| {
            (None, self.next_restore(restored_at, now).map(|_| ()))
        });
        self.refused(probed)
    }

    /// Returns the time at which the whole allowance is restored after one more event. The error is the wait.
    fn next_restore(&self, restored_at: u64, now: u64) -> Result<u64, Duration> {
        let next = restored_at.max(now) + self.interval;
        match next.saturating_sub(now).checked_sub(self.allowance) {
            None | Some(0) => Ok(next),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    fn refused(&self, outcome: Result<(), Duration>) -> Result<(), Duration> {
        outcome.inspect_err(|_| counter!("slipway_rate_limited_total", "limit" => self.name).increment(1))
    }

    fn now(&self) -> u64 {
        nanoseconds(self.began.elapsed())
    }
}

/// Set of recently used keys.
pub(super) struct RecentKeys {
    /// Time of the last use of a key, in nanoseconds since `began`.
    seen_at: Table,
    began: Instant,
    lifetime: u64,
}

impl RecentKeys {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            seen_at: Table::new(ROWS),
            began: timer::now(),
            lifetime: nanoseconds(lifetime),
        }
    }

    pub(super) fn insert(&self, key: impl Hash) {
        let now = self.now();
        self.seen_at.update(key, |_| (Some(now), ()));
    }

    pub(super) fn remove(&self, key: impl Hash) {
        self.seen_at
            .update(key, |seen_at| ((seen_at > 0).then_some(0), ()));
    }

    pub(super) fn contains(&self, key: impl Hash) -> bool {
        let now = self.now();
        let lifetime = self.lifetime;
        self.seen_at.update(key, |seen_at| {
            (None, seen_at > 0 && now - seen_at.min(now) < lifetime)
        })
    }

    /// Returns the current time, never 0: absent keys are 0.
    fn now(&self) -> u64 {
        nanoseconds(self.began.elapsed()) + 1
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}

/// Converts a wait to the seconds of `Retry-After`.
pub(super) const fn retry_after_s(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_allowance() {
        let limit = RateLimit::in_period("test", 3, Duration::from_mins(5));
        for _ in 0..3 {
            assert!(limit.probe("a").is_ok());
            assert!(limit.count("a").is_ok());
        }
        let wait = limit.count("a").unwrap_err();
        assert!(
            wait <= Duration::from_secs(100) && wait > Duration::from_secs(90),
            "{wait:?}"
        );
        assert!(limit.probe("a").is_err());
        assert!(limit.count("b").is_ok());
    }

    #[test]
    fn an_allowance_comes_back() {
        let limit = RateLimit::new("test", 2, Duration::from_nanos(1));
        for _ in 0..1_000 {
            assert!(limit.count("a").is_ok());
        }
    }

    #[test]
    fn a_flood_of_new_keys_relieves_nobody_and_takes_no_more_room() {
        let mut limit = RateLimit::in_period("test", 10, Duration::from_hours(1));
        limit.restored_at = Table::new(4);
        while limit.count("guesser").is_ok() {}
        for number in 0..10_000 {
            assert!(limit.count(number).is_ok());
        }
        assert!(limit.count("guesser").is_err());
        assert_eq!(limit.restored_at.rows.len(), 4);
    }

    #[test]
    fn keys_are_remembered_and_forgotten() {
        let keys = RecentKeys::new(Duration::from_hours(1));
        assert!(!keys.contains("a"));
        keys.insert("a");
        assert!(keys.contains("a") && !keys.contains("b"));
        keys.remove("a");
        assert!(!keys.contains("a"));
        let none = RecentKeys::new(Duration::ZERO);
        none.insert("a");
        assert!(!none.contains("a"));
    }
}
