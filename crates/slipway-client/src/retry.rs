//! Backoff between attempts of a call.

use std::time::Duration;

use uuid::Uuid;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// Maximum delay accepted from a server; a longer one cannot be intended.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Exponential backoff: each consecutive failure doubles the next delay.
#[derive(Debug, Default)]
pub(crate) struct RetryBackoff {
    failures: u32,
}

impl RetryBackoff {
    /// Resets the backoff after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Returns the next delay, which is at least the one that the server requested. Up to half of it is added at
    /// random, so that devices which lost their server at the same time do not return together.
    #[expect(
        clippy::disallowed_methods,
        reason = "the server's source of randomness is not available here"
    )]
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        let random = f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX);
        asked
            .unwrap_or(Duration::ZERO)
            .min(LONGEST_ASKED)
            .max(doubled)
            .mul_f64(1.0 + random / 2.0)
    }
}

/// Returns a random key for the repetitions of a create.
#[expect(
    clippy::disallowed_methods,
    reason = "the server's source of randomness is not available here"
)]
pub(crate) fn idempotency_key() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_never_shorter_than_asked() {
        let mut backoff = RetryBackoff::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = backoff.next(None).as_secs_f64();
            let least = f64::from(seconds);
            assert!((least..=least * 1.5).contains(&wait), "{seconds}: {wait}");
        }
        assert!(backoff.next(Some(Duration::from_secs(90))) >= Duration::from_secs(90));
        assert!(backoff.next(Some(Duration::MAX)) <= LONGEST_ASKED.mul_f64(1.5));
        backoff.reset();
        assert!(backoff.next(None) <= Duration::from_millis(1_500));
    }
}
