//! Throttling of snapshot writes, which leaves the node to its checks: short slices of work with longer pauses between.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::timer;

/// Maximum length of a work slice.
const WORK_SLICE: Duration = Duration::from_micros(500);
/// Length of a pause in multiples of the work before it, so that a save takes a tenth of a core. Waiting for a core or
/// the disk counts as work, so that saves slow down further on a busy machine.
const PAUSE_FACTOR: u32 = 9;

/// Throttle shared by all saves of a node. A caller that cannot wait for them disables it.
#[derive(Default)]
pub(super) struct Throttle {
    is_disabled: Mutex<bool>,
    disabled: Condvar,
}

impl Throttle {
    /// Stops throttling and wakes any sleeping writer.
    pub(super) fn disable(&self) {
        *self.is_disabled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.disabled.notify_all();
    }

    /// Begins throttled work.
    pub(super) fn begin(&self) -> ThrottledWork<'_> {
        ThrottledWork {
            throttle: self,
            began: timer::now(),
        }
    }

    fn pause(&self, time: Duration) {
        let is_disabled = self.is_disabled.lock().unwrap_or_else(PoisonError::into_inner);
        // A poisoned lock affects only this pause.
        drop(
            self.disabled
                .wait_timeout_while(is_disabled, time, |is_disabled| !*is_disabled),
        );
    }
}

/// Throttled work.
pub(super) struct ThrottledWork<'a> {
    throttle: &'a Throttle,
    began: Instant,
}

impl ThrottledWork<'_> {
    /// Pauses if the work slice is used up. Must be called between small pieces of work.
    pub(super) fn checkpoint(&mut self) {
        let worked = self.began.elapsed();
        if worked >= WORK_SLICE {
            self.throttle.pause(worked * PAUSE_FACTOR);
            self.began = timer::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_hurried_gets_up() {
        let throttle = Throttle::default();
        std::thread::scope(|scope| {
            let paused = scope.spawn(|| throttle.pause(Duration::MAX));
            throttle.disable();
            paused.join().unwrap();
            // Later pauses are skipped too.
            throttle.pause(Duration::MAX);
        });
    }
}
