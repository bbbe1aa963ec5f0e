//! Exponential backoff between retries.

use std::time::Duration;

use crate::random;

/// Wait time that doubles with each failure up to a limit, with jitter so that nodes do not retry in step. The default
/// suits an unavailable database: from 0.1 to 5 seconds.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::between(Duration::from_millis(100), Duration::from_secs(5))
    }
}

impl Backoff {
    /// Creates a backoff whose waits grow from `first` to `longest`.
    pub(crate) const fn between(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            failures: 0,
        }
    }

    /// Returns the next wait: between half of the current length and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let whole = self
            .first
            .saturating_mul(1 << self.failures.min(10))
            .min(self.longest);
        self.failures += 1;
        let fraction = random::fraction();
        whole.mul_f64(fraction.midpoint(1.0))
    }

    /// Returns `true` if nothing failed since the last success.
    pub(crate) const fn is_first(&self) -> bool {
        self.failures == 0
    }

    /// Restarts from the first wait, after a success.
    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_second_half() {
        let mut backoff = Backoff::between(Duration::from_millis(250), Duration::from_secs(1));
        for whole in [250, 500, 1_000, 1_000].map(Duration::from_millis) {
            let wait = backoff.next();
            assert!((whole / 2..=whole).contains(&wait), "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(250));
    }
}
