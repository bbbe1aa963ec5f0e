//! How a save leaves the node to its checks: it works for a moment and rests for several.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long a save works at a time.
const SPELL: Duration = Duration::from_micros(500);
/// It rests as many times as long as it worked, so that it takes a tenth of a core. What it waited for a core or the disk
/// counts as work: on a busy machine it stands back further.
const REST: u32 = 9;

/// Shared by all saves of a node, and by whoever cannot wait for one.
#[derive(Default)]
pub(super) struct Pace {
    is_hurried: Mutex<bool>,
    hurried: Condvar,
}

impl Pace {
    /// From now on nobody rests, and who does gets up.
    pub(super) fn hurry(&self) {
        *self.is_hurried.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.hurried.notify_all();
    }

    /// Begins work at this pace.
    pub(super) fn begin(&self) -> Paced<'_> {
        Paced {
            pace: self,
            began: Instant::now(),
        }
    }

    fn rest(&self, time: Duration) {
        let is_hurried = self.is_hurried.lock().unwrap_or_else(PoisonError::into_inner);
        // A lock that somebody poisoned costs a rest and nothing else.
        drop(
            self.hurried
                .wait_timeout_while(is_hurried, time, |is_hurried| !*is_hurried),
        );
    }
}

/// Work that rests.
pub(super) struct Paced<'a> {
    pace: &'a Pace,
    began: Instant,
}

impl Paced<'_> {
    /// To be called between small pieces of work.
    pub(super) fn breathe(&mut self) {
        let worked = self.began.elapsed();
        if worked >= SPELL {
            self.pace.rest(worked * REST);
            self.began = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_hurried_gets_up() {
        let pace = Pace::default();
        std::thread::scope(|scope| {
            let resting = scope.spawn(|| pace.rest(Duration::MAX));
            pace.hurry();
            resting.join().unwrap();
            // And does not lie down again.
            pace.rest(Duration::MAX);
        });
    }
}
