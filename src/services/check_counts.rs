//! Counts of checks by outcome, in the metrics.

use metrics::{Counter, counter};

use slipway_resolver::Offer;

/// Counters of checks by outcome.
pub struct CheckCounts {
    offer: Counter,
    up_to_date: Counter,
    app_unknown: Counter,
    refused: Counter,
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
        }
    }

    /// Counts a check that was refused.
    pub fn refused(&self) {
        self.refused.increment(1);
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
    }
}

impl Default for CheckCounts {
    fn default() -> Self {
        Self::new()
    }
}
