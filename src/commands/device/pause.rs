//! How long a device waits before it tries again.

use std::time::Duration;

use uuid::Uuid;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// More than this a server cannot mean.
const LONGEST_ASKED: Duration = Duration::from_hours(1);

/// Counts failures in a row: each makes the next wait twice as long.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
}

impl Pause {
    /// Something worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait: at least what the server asked for, and spread by a half, so that devices which lost their server
    /// at the same time do not come back together.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_never_shorter_than_asked() {
        let mut pause = Pause::default();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = pause.next(None).as_secs_f64();
            let least = f64::from(seconds);
            assert!((least..=least * 1.5).contains(&wait), "{seconds}: {wait}");
        }
        assert!(pause.next(Some(Duration::from_secs(90))) >= Duration::from_secs(90));
        assert!(pause.next(Some(Duration::MAX)) <= LONGEST_ASKED.mul_f64(1.5));
        pause.reset();
        assert!(pause.next(None) <= Duration::from_millis(1_500));
    }
}
