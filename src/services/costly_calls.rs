//! Permits for calls that cost much more than a check: logins, writes, uploads. Beyond them a node says so at once
//! instead of letting them queue, so that checks go on.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ServiceError;

/// Between these many seconds callers are told to come back, spread so that they do not come together.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=8;

pub struct CostlyCalls {
    permits: Arc<Semaphore>,
}

/// Leave for one call, until it is dropped.
#[derive(Debug)]
pub struct CostlyCall {
    _permit: OwnedSemaphorePermit,
}

impl CostlyCalls {
    /// Allows so many at a time.
    pub fn new(at_once: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
        }
    }

    /// `random` spreads what callers are told who have to come back.
    pub fn begin(&self, random: u64) -> Result<CostlyCall, ServiceError> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(CostlyCall { _permit: permit });
        }
        metrics::counter!("slipway_costly_calls_refused_total").increment(1);
        let range = RETRY_AFTER_S.end() - RETRY_AFTER_S.start() + 1;
        Err(ServiceError::Busy {
            retry_after_s: RETRY_AFTER_S.start() + random % range,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_permits_callers_are_told_when_to_come_back() {
        let calls = CostlyCalls::new(1);
        let first = calls.begin(0).unwrap();
        let told: Vec<_> = (0..20)
            .map(|random| match calls.begin(random) {
                Err(ServiceError::Busy { retry_after_s }) => retry_after_s,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told.iter().min().zip(told.iter().max()), Some((&1, &8)));
        drop(first);
        assert!(calls.begin(0).is_ok());
    }
}
