//! Polling: brings the state of a task up to date at intervals, and earlier when a hint says that it is worthwhile.
//!
//! A lost hint is harmless, because the next poll finds the change.

use std::error::Error;
use std::future::{pending, ready};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::random;
use crate::storage::StorageError;
use crate::timer;

/// Part of the interval by which polls vary, so that nodes that started together do not poll in step.
const JITTER: f64 = 0.1;
/// Bounds of the wait after a failure. A task with a shorter interval is retried after its interval at the latest.
const FIRST_RETRY_AFTER: Duration = Duration::from_millis(100);
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(5);

/// State that is brought up to date by polling.
pub(crate) trait PollingTask: Send {
    /// Reason to poll before the interval is over.
    type Hint: Send;
    type Error: PollError;

    /// Waits for the next hint. May be cancelled at any await without losing one. By default there are none.
    fn next_hint(&mut self) -> impl Future<Output = Self::Hint> + Send {
        pending()
    }

    /// Polls once: because of a hint, or because the interval is over (`None`).
    fn poll(
        &mut self,
        hint: Option<Self::Hint>,
    ) -> impl Future<Output = Result<PollOutcome, Self::Error>> + Send;

    /// Prepares the next poll after a failure and the wait that follows it. Hints may have been lost meanwhile. A stop
    /// may cancel it at any await.
    fn recover(&mut self) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// Outcome of a poll without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PollOutcome {
    /// The poll accessed the database.
    Polled,
    /// The database was not accessed, because the task has nothing to do now.
    Skipped,
}

/// Error of a poll.
pub(crate) trait PollError: Error + Send + 'static {
    /// Returns `true` if the same poll may succeed later without a change by anybody.
    fn is_transient(&self) -> bool;
}

impl PollError for StorageError {
    fn is_transient(&self) -> bool {
        Self::is_transient(self)
    }
}

/// Interval, backoff and metrics of a polling task.
pub(crate) struct Poller {
    name: &'static str,
    interval: Duration,
    due: Instant,
    backoff: Backoff,
    succeeded: Counter,
    skipped: Counter,
    failed: Counter,
}

impl Poller {
    /// Creates a poller whose first poll is due immediately. `name` is the name of the task. It labels metrics and log
    /// lines.
    pub(crate) fn new(name: &'static str, interval: Duration) -> Self {
        let polls =
            |outcome: &'static str| counter!("slipway_polls_total", "poller" => name, "outcome" => outcome);
        Self {
            name,
            interval,
            due: timer::runtime_now(),
            backoff: Backoff::between(FIRST_RETRY_AFTER.min(interval), LONGEST_RETRY_AFTER.min(interval)),
            succeeded: polls("succeeded"),
            skipped: polls("skipped"),
            failed: polls("failed"),
        }
    }

    /// Sets the longest wait after a failure, for a task whose polls are expensive.
    pub(crate) fn with_longest_retry(mut self, longest: Duration) -> Self {
        self.backoff = Backoff::between(FIRST_RETRY_AFTER.min(longest), longest);
        self
    }

    /// Polls until the caller's task is dropped.
    pub(crate) async fn run(self, task: &mut impl PollingTask) {
        self.run_until(pending(), task).await;
    }

    /// Polls until `stop` returns. A poll in progress is finished first; waits and recoveries are not.
    pub(crate) async fn run_until(mut self, stop: impl Future<Output = ()>, task: &mut impl PollingTask) {
        tokio::pin!(stop);
        loop {
            let hint = tokio::select! {
                biased;
                () = &mut stop => return,
                hint = self.wait(task) => hint,
            };
            match task.poll(hint).await {
                Ok(PollOutcome::Polled) => {
                    self.succeeded.increment(1);
                    self.backoff.reset();
                }
                Ok(PollOutcome::Skipped) => self.skipped.increment(1),
                Err(error) => {
                    self.report(&error);
                    tokio::select! {
                        biased;
                        () = &mut stop => return,
                        () = self.prepare_retry(task) => {}
                    }
                }
            }
        }
    }

    /// Waits for a hint or the end of the interval. Hints do not postpone the poll at its end.
    async fn wait<T: PollingTask>(&mut self, task: &mut T) -> Option<T::Hint> {
        tokio::select! {
            hint = task.next_hint() => Some(hint),
            () = sleep_until(self.due) => {
                let wait = self.interval.mul_f64(JITTER.mul_add(-random::fraction(), 1.0));
                self.due = timer::runtime_now() + wait;
                None
            }
        }
    }

    /// Waits and recovers. The next poll is due afterwards. Hints wait meanwhile.
    async fn prepare_retry(&mut self, task: &mut impl PollingTask) {
        sleep(self.backoff.next()).await;
        self.due = timer::runtime_now();
        task.recover().await;
    }

    /// Counts and logs a failure. A long outage is logged at intervals.
    fn report(&mut self, error: &impl PollError) {
        self.failed.increment(1);
        let (poller, is_due) = (self.name, self.backoff.is_report_due());
        let is_transient = error.is_transient();
        let error = error_chain(error);
        match (is_due, is_transient) {
            (true, true) => tracing::warn!(poller, error, "polling failed; retrying"),
            (true, false) => tracing::error!(poller, error, "polling failed; retrying"),
            (false, _) => tracing::debug!(poller, error, "polling failed again; retrying"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::sync::{mpsc, oneshot};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);
    /// Longest first wait, because timers are rounded to milliseconds.
    const FIRST_RETRY: Duration = FIRST_RETRY_AFTER.saturating_add(Duration::from_millis(2));

    /// A task whose polls have these results, and then succeed.
    struct Scripted {
        results: VecDeque<Result<PollOutcome, Failure>>,
        always_fails: bool,
        hints: mpsc::UnboundedReceiver<u8>,
        polls: Vec<(Duration, Option<u8>)>,
        recovered: Vec<Duration>,
        /// Duration of a recovery.
        recovery: Option<Duration>,
        began: Instant,
        /// Stops the poller after this number of polls.
        limit: usize,
        stop: Option<oneshot::Sender<()>>,
    }

    #[derive(Debug, Clone, Copy, thiserror::Error)]
    #[error("failed")]
    struct Failure;

    impl PollError for Failure {
        fn is_transient(&self) -> bool {
            true
        }
    }

    impl PollingTask for Scripted {
        type Hint = u8;
        type Error = Failure;

        async fn next_hint(&mut self) -> u8 {
            match self.hints.recv().await {
                Some(hint) => hint,
                None => pending().await,
            }
        }

        async fn poll(&mut self, hint: Option<u8>) -> Result<PollOutcome, Failure> {
            self.polls.push((self.began.elapsed(), hint));
            if self.polls.len() == self.limit {
                // The receiver is gone only if the test has ended.
                let _ = self.stop.take().map(|stop| stop.send(()));
            }
            if self.always_fails {
                return Err(Failure);
            }
            self.results.pop_front().unwrap_or(Ok(PollOutcome::Polled))
        }

        async fn recover(&mut self) {
            self.recovered.push(self.began.elapsed());
            if let Some(recovery) = self.recovery {
                sleep(recovery).await;
            }
        }
    }

    fn scripted() -> Scripted {
        Scripted {
            results: VecDeque::new(),
            always_fails: false,
            hints: mpsc::unbounded_channel().1,
            polls: Vec::new(),
            recovered: Vec::new(),
            recovery: None,
            began: timer::runtime_now(),
            limit: usize::MAX,
            stop: None,
        }
    }

    /// Runs a task until it is stopped in its poll number `limit`.
    async fn run(limit: usize, edit: impl FnOnce(&mut Scripted)) -> Scripted {
        let (stop, stopped) = oneshot::channel();
        let mut task = Scripted {
            limit,
            stop: Some(stop),
            ..scripted()
        };
        edit(&mut task);
        let stopped = async { stopped.await.unwrap() };
        Poller::new("test", INTERVAL).run_until(stopped, &mut task).await;
        task
    }

    /// Returns the time between each poll and the next one.
    fn waits(task: &Scripted) -> Vec<Duration> {
        task.polls
            .windows(2)
            .map(|polls| polls[1].0.saturating_sub(polls[0].0))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_task_that_always_fails() {
        let task = run(20, |task| task.always_fails = true).await;
        assert_eq!((task.polls.len(), task.recovered.len()), (20, 19));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_recovery() {
        let mut task = scripted();
        task.always_fails = true;
        task.recovery = Some(Duration::from_hours(24));
        Poller::new("test", INTERVAL)
            .run_until(sleep(INTERVAL), &mut task)
            .await;
        assert_eq!((task.polls.len(), task.recovered.len()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn retries_back_off_up_to_the_interval() {
        let task = run(12, |task| task.always_fails = true).await;
        let waits = waits(&task);
        assert!(waits[0] <= FIRST_RETRY, "{waits:?}");
        assert!(
            waits.iter().all(|wait| *wait <= INTERVAL + FIRST_RETRY),
            "{waits:?}"
        );
        assert!(waits[8..].iter().all(|wait| *wait >= INTERVAL / 2), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_resets_the_backoff() {
        let task = run(9, |task| {
            task.results.extend([Err(Failure); 6]);
            task.results.extend([Ok(PollOutcome::Polled), Err(Failure)]);
        })
        .await;
        let waits = waits(&task);
        assert!(waits[5] >= INTERVAL / 2, "{waits:?}");
        assert!(waits[7] <= FIRST_RETRY, "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_skipped_poll_does_not_reset_the_backoff() {
        let task = run(9, |task| {
            task.results.extend([Err(Failure); 6]);
            task.results.extend([Ok(PollOutcome::Skipped), Err(Failure)]);
        })
        .await;
        assert!(waits(&task)[7] >= INTERVAL / 2, "{:?}", waits(&task));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_followed_by_a_recovery_and_a_poll() {
        let task = run(2, |task| task.results.push_back(Err(Failure))).await;
        let recovered = task.recovered[0];
        assert!(
            (task.polls[0].0..=task.polls[1].0).contains(&recovered),
            "{recovered:?}"
        );
        assert_eq!((task.polls[1].1, task.recovered.len()), (None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn hints_do_not_postpone_the_poll_at_the_end_of_the_interval() {
        let (sender, hints) = mpsc::unbounded_channel();
        let sending = async {
            for number in 0..50 {
                sleep(INTERVAL / 10).await;
                // The task may have ended.
                let _ = sender.send(number);
            }
        };
        let running = run(40, |task| task.hints = hints);
        let (task, ()) = tokio::join!(running, sending);
        let due: Vec<_> = task.polls.iter().filter(|(_, hint)| hint.is_none()).collect();
        assert!(due.len() >= 4, "{due:?}");
        let gaps = due.windows(2).map(|due| due[1].0.saturating_sub(due[0].0));
        assert!(
            gaps.into_iter().all(|gap| gap <= INTERVAL + INTERVAL / 10),
            "{due:?}"
        );
    }
}
