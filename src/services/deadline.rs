//! The deadline of a use case: no caller waits longer for a database that has gone silent, and whoever is turned away
//! learns whether the write may have been done.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::ServiceError;
use crate::storage::{WriteProgress, current_writes, track_writes};

/// Time that a use case may take.
pub const CALL_LIMIT: Duration = Duration::from_secs(10);

tokio::task_local! {
    static CLOCK: Arc<CallClock>;
}

/// Tells when a call is given up.
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
        self.set(Some(Instant::now() + self.limit));
    }
}

/// Stops a call's clock while it waits for its caller, for example for the rest of a body. The call has its whole time
/// again when this is dropped.
pub struct Suspended(Option<Arc<CallClock>>);

/// Stops the clock of the current call, if it has one.
pub fn suspend_deadline() -> Suspended {
    let clock = CLOCK.try_with(Clone::clone).ok();
    if let Some(clock) = &clock {
        clock.set(None);
    }
    Suspended(clock)
}

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some(clock) = &self.0 {
            clock.restart();
        }
    }
}

/// The deadline and the record of writes of a call, to be carried to another thread.
#[derive(Default)]
pub(super) struct CallScope {
    clock: Option<Arc<CallClock>>,
    writes: Option<Arc<WriteProgress>>,
}

impl CallScope {
    /// Those of the call that runs here.
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

    /// Runs a part of the call.
    pub(super) async fn run<T>(self, part: impl Future<Output = T>) -> T {
        let part = track_writes(self.writes.unwrap_or_default(), part);
        match self.clock {
            Some(clock) => CLOCK.scope(clock, part).await,
            None => part.await,
        }
    }
}

/// Runs a call until its end or its deadline. A call that is given up is dropped, with its permits and transactions.
pub async fn within_deadline<T>(call: impl Future<Output = T>) -> Result<T, ServiceError> {
    within(CALL_LIMIT, call).await
}

async fn within<T>(limit: Duration, call: impl Future<Output = T>) -> Result<T, ServiceError> {
    let writes = Arc::new(WriteProgress::default());
    let clock = Arc::new(CallClock {
        limit,
        deadline: Mutex::new(Some(Instant::now() + limit)),
    });
    let mut call = Box::pin(CLOCK.scope(clock.clone(), track_writes(writes.clone(), call)));
    let mut alarm = Alarm::default();
    std::future::poll_fn(move |cx| {
        if let Poll::Ready(done) = call.as_mut().poll(cx) {
            return Poll::Ready(Ok(done));
        }
        alarm.poll(clock.deadline(), cx).map(|()| {
            metrics::counter!("slipway_calls_given_up_total").increment(1);
            Err(ServiceError::GivenUp {
                may_be_done: writes.may_be_done(),
            })
        })
    })
    .await
}

/// A timer that follows a deadline; most calls end before they need one.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
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
        assert!(matches!(done, Err(ServiceError::GivenUp { may_be_done: false })));
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
