//! Polling: brings the state of a task up to date at intervals, and earlier when a hint says that it is worthwhile.
//!
//! Every task that follows a table of the database is a [`PollingTask`]. A lost hint is harmless, because the next
//! poll finds the change.

use std::error::Error;
use std::future::{pending, ready};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::random;
use crate::timer;

/// Part of the interval by which polls vary, so that nodes that started together do not poll in step.
const SPREAD: f64 = 0.1;

/// State that is brought up to date by polling.
pub(crate) trait PollingTask: Send {
    /// Reason to poll before the interval is over.
    type Hint: Send;
    type Error: Error + Send + 'static;

    /// Waits for the next hint. May be cancelled at any await without losing one. By default there are none.
    fn hint(&mut self) -> impl Future<Output = Self::Hint> + Send {
        pending()
    }

    /// Polls once: because of a hint, or because the interval is over (`None`).
    fn poll(&mut self, hint: Option<Self::Hint>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Prepares the next poll after a failure and the wait that follows it. Hints may have been lost meanwhile.
    fn recover(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// Interval, backoff and metrics of a polling task.
pub(crate) struct Poller {
    name: &'static str,
    interval: Duration,
    due: Instant,
    backoff: Backoff,
    succeeded: Counter,
    failed: Counter,
}

impl Poller {
    /// Creates a poller whose first poll is due immediately. `name` labels its metrics and log lines.
    pub(crate) fn new(name: &'static str, interval: Duration) -> Self {
        let polls =
            |outcome: &'static str| counter!("slipway_polls_total", "poller" => name, "outcome" => outcome);
        Self {
            name,
            interval,
            due: timer::runtime_now(),
            backoff: Backoff::default(),
            succeeded: polls("succeeded"),
            failed: polls("failed"),
        }
    }

    /// Polls until the caller's task is dropped.
    pub(crate) async fn run(self, task: &mut impl PollingTask) {
        self.run_until(pending(), task).await;
    }

    /// Polls until `stop` returns. A poll in progress is finished first.
    pub(crate) async fn run_until(mut self, stop: impl Future<Output = ()>, task: &mut impl PollingTask) {
        tokio::pin!(stop);
        loop {
            let hint = tokio::select! {
                biased;
                () = &mut stop => return,
                hint = self.next(task) => hint,
            };
            if let Err(error) = task.poll(hint).await {
                self.report(&error);
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    () = sleep(self.backoff.next()) => {}
                }
                task.recover().await;
            } else {
                self.succeeded.increment(1);
                self.backoff.reset();
            }
        }
    }

    /// Waits for a hint or the end of the interval. Hints do not postpone the poll at its end.
    async fn next<T: PollingTask>(&mut self, task: &mut T) -> Option<T::Hint> {
        tokio::select! {
            hint = task.hint() => Some(hint),
            () = sleep_until(self.due) => {
                let wait = self.interval.mul_f64(SPREAD.mul_add(-random::fraction(), 1.0));
                self.due = timer::runtime_now() + wait;
                None
            }
        }
    }

    /// Counts a failure. Only the first of an outage is logged as a warning.
    fn report(&self, error: &(dyn Error + 'static)) {
        self.failed.increment(1);
        let (poller, error) = (self.name, error_chain(error));
        if self.backoff.is_first() {
            tracing::warn!(poller, error, "polling failed; retrying");
        } else {
            tracing::debug!(poller, error, "polling failed again; retrying");
        }
    }
}
