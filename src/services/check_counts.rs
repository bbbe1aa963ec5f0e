//! Counts of checks by outcome, in the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use metrics::{Counter, counter};

use crate::timer;
use slipway_resolver::Offer;

/// Counters of checks by outcome.
pub struct CheckCounts {
    offer: Counter,
    up_to_date: Counter,
    app_unknown: Counter,
    refused: Counter,
    rate: CheckRate,
}

/// Rate of checks, measured between two readings that are a minute apart or more.
struct CheckRate {
    total: AtomicU64,
    measured: Mutex<Measurement>,
}

#[derive(Clone, Copy)]
struct Measurement {
    began: Instant,
    total: u64,
    /// `None` before the first minute is over.
    per_minute: Option<u64>,
}

impl CheckRate {
    fn new() -> Self {
        Self {
            total: AtomicU64::new(0),
            measured: Mutex::new(Measurement {
                began: timer::now(),
                total: 0,
                per_minute: None,
            }),
        }
    }

    fn count(&self) {
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    fn per_minute(&self, now: Instant) -> u64 {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that it is not less than the measured total.
        let total = self.total.load(Ordering::Relaxed);
        let seconds = now.duration_since(measured.began).as_secs();
        let rate = (total - measured.total).saturating_mul(60) / seconds.max(1);
        if seconds < 60 {
            return measured.per_minute.unwrap_or(rate);
        }
        *measured = Measurement {
            began: now,
            total,
            per_minute: Some(rate),
        };
        rate
    }
}

impl CheckCounts {
    /// Registers the counters once. A lookup in the metrics recorder at each check would cost more than the decision.
    pub fn new() -> Self {
        let of = |outcome: &'static str| counter!("slipway_checks_total", "outcome" => outcome);
        Self {
            offer: of("offer"),
            up_to_date: of("up_to_date"),
            app_unknown: of("app_unknown"),
            refused: of("refused"),
            rate: CheckRate::new(),
        }
    }

    /// Counts a check that was refused.
    pub fn refused(&self) {
        self.refused.increment(1);
        self.rate.count();
    }

    /// Returns the checks per minute of this node, since an earlier call a minute ago or more.
    pub fn per_minute(&self) -> u64 {
        self.rate.per_minute(timer::now())
    }

    pub(super) fn answered(&self, offers: &[Offer<'_>], is_app_known: bool) {
        let counter = if !offers.is_empty() {
            &self.offer
        } else if is_app_known {
            &self.up_to_date
        } else {
            &self.app_unknown
        };
        counter.increment(1);
        self.rate.count();
    }
}

impl Default for CheckCounts {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_measured_over_a_minute_or_more() {
        let rate = CheckRate::new();
        let began = timer::now();
        (0..30).for_each(|_| rate.count());
        assert_eq!(rate.per_minute(began + Duration::from_secs(119)), 15);
        (0..600).for_each(|_| rate.count());
        assert_eq!(
            rate.per_minute(began + Duration::from_secs(130)),
            15,
            "a minute is not over"
        );
        assert_eq!(rate.per_minute(began + Duration::from_secs(239)), 300);
    }
}
