//! Deadline of a use case.
//!
//! It bounds the wait for an unresponsive database. The error says whether the write may have been done.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::{CALL_LIMIT, ServiceError};
use crate::storage::{WriteProgress, current_writes, track_writes};
use crate::timer;

tokio::task_local! {
    static CLOCK: Arc<CallClock>;
}

/// Deadline of one call.
struct CallClock {
    limit: Duration,
    /// `None` while the call waits for its caller.
    deadline: Mutex<Option<Instant>>,
}

impl CallClock {
    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    fn restart(&self) {
        self.set(Some(timer::runtime_now() + self.limit));
    }
}

/// Guard that suspends a call's deadline while the call waits for its caller, for example for the rest of a body.
///
/// Dropping it restarts the full time limit.
pub struct DeadlineSuspension(Option<Arc<CallClock>>);

/// Suspends the deadline of the current call, if it has one.
pub fn suspend_deadline() -> DeadlineSuspension {
    let clock = CLOCK.try_with(Clone::clone).ok();
    if let Some(clock) = &clock {
        clock.set(None);
    }
    DeadlineSuspension(clock)
}

impl Drop for DeadlineSuspension {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.restart();
        }
    }
}

/// Deadline and write progress of a call, for use on another thread.
#[derive(Default)]
pub(super) struct CallScope {
    clock: Option<Arc<CallClock>>,
    writes: Option<Arc<WriteProgress>>,
}

impl CallScope {
    /// Returns the scope of the current call.
    pub(super) fn current() -> Self {
        Self {
            clock: CLOCK.try_with(Clone::clone).ok(),
            writes: current_writes(),
        }
    }

    #[cfg(test)]
    pub(super) fn has_deadline(&self) -> bool {
        self.clock.is_some()
    }

    /// Runs a part of the call in this scope.
    pub(super) async fn run<T>(self, part: impl Future<Output = T>) -> T {
        let part = track_writes(self.writes.unwrap_or_default(), part);
        match self.clock {
            Some(clock) => CLOCK.scope(clock, part).await,
            None => part.await,
        }
    }
}

/// Runs a call until it completes or reaches its deadline. A call that reaches it is dropped, with its permits and
/// transactions.
pub async fn within_deadline<T>(call: impl Future<Output = T>) -> Result<T, ServiceError> {
    within(CALL_LIMIT, call).await
}

async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, ServiceError> {
    let writes = Arc::new(WriteProgress::default());
    let clock = Arc::new(CallClock {
        limit,
        deadline: Mutex::new(Some(timer::runtime_now() + limit)),
    });
    let mut call = Box::pin(CLOCK.scope(clock.clone(), track_writes(writes.clone(), call)));
    let mut timer = DeadlineTimer::default();
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(done) = call.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        timer.poll(clock.deadline(), cx).map(|()| {
            metrics::counter!("slipway_calls_given_up_total").increment(1);
            Err(ServiceError::GivenUp {
                is_possibly_committed: writes.is_possibly_committed(),
            })
        })
    })
    .await
}

/// Lazy timer for a movable deadline. Most calls complete before they need it.
#[derive(Default)]
struct DeadlineTimer(Option<Pin<Box<Sleep>>>);

impl DeadlineTimer {
    fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else {
            return Poll::Pending;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_call_is_given_up_at_its_deadline() {
        let done = within(SHORT, std::future::pending::<()>()).await;
        assert!(matches!(
            done,
            Err(ServiceError::GivenUp {
                is_possibly_committed: false
            })
        ));
    }

    #[tokio::test]
    async fn waiting_for_the_caller_takes_no_time_of_a_call() {
        let done = within(SHORT, async {
            let _suspended = suspend_deadline();
            tokio::time::sleep(SHORT * 3).await;
        });
        assert!(done.await.is_ok());
        let done = within(SHORT, async {
            drop(suspend_deadline());
            std::future::pending::<()>().await;
        });
        assert!(done.await.is_err());
    }
}
