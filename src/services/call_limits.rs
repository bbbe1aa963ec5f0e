//! A limit on calls of the gateway, by key and device. Kept by each node for itself; off unless configured.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

pub struct CallLimits {
    /// `None`: no limit.
    by_key_and_device: Option<DefaultKeyedRateLimiter<(String, String)>>,
    clock: DefaultClock,
}

impl CallLimits {
    /// Allows so many calls a minute; 0 is no limit.
    pub fn new(calls_per_minute: u32) -> Self {
        let quota = NonZeroU32::new(calls_per_minute).map(Quota::per_minute);
        Self {
            by_key_and_device: quota.map(RateLimiter::keyed),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a call; the error is how many seconds to wait.
    pub fn count(&self, app_key: &str, device_id: &str) -> Result<(), u64> {
        let Some(limiter) = &self.by_key_and_device else {
            return Ok(());
        };
        // A longer text is no device id, and must not be kept as one.
        let device_id = device_id.chars().take(128).collect();
        limiter
            .check_key(&(app_key.to_owned(), device_id))
            .map_err(|until| until.wait_time_from(self.clock.now()).as_secs() + 1)
    }

    /// Forgets devices that have been quiet.
    pub(super) fn forget_quiet(&self) {
        if let Some(limiter) = &self.by_key_and_device {
            limiter.retain_recent();
        }
    }
}
