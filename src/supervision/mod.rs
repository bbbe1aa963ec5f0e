//! Supervision of background tasks. A task that panics or returns unexpectedly is logged, counted and restarted with
//! backoff. Readiness names tasks that are down.

mod registry;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::sleep;

pub use self::registry::{DownTasks, Fault, Tasks};

use self::registry::Task;
use crate::backoff::Backoff;
use crate::timer;

const FIRST_RESTART_AFTER: Duration = Duration::from_millis(100);
const LONGEST_RESTART_AFTER: Duration = Duration::from_secs(10);
/// Run time after which a restarted task no longer counts as down.
const RECOVERED_AFTER: Duration = Duration::from_secs(1);
/// Run time after which a failure restarts the backoff.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// Effect on readiness while the task is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Importance {
    /// Checks could be wrong without it: the node is `unready`.
    Essential,
    /// Checks stay correct without it: the node is `degraded`.
    Auxiliary,
}

/// Reason why a run of a task ended without a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The task stopped on request. It is not restarted.
    Finished,
    /// A task that should run until it is aborted has returned.
    Unexpected,
}

impl From<()> for Exit {
    /// A task without a result must run until it is aborted.
    fn from((): ()) -> Self {
        Self::Unexpected
    }
}

impl Tasks {
    /// Spawns a task and keeps it running until the handle is aborted or a run returns [`Exit::Finished`].
    ///
    /// `state` outlives each run, so that queues and receivers survive a panic. A run may stop at any await and must
    /// leave `state` in a condition from which the next run can continue.
    pub fn supervise<S, R, E>(
        &self,
        name: &'static str,
        importance: Importance,
        mut state: S,
        mut run: R,
    ) -> JoinHandle<()>
    where
        S: Send + 'static,
        R: for<'s> FnMut(&'s mut S) -> BoxFuture<'s, E> + Send + 'static,
        E: Into<Exit> + Send,
    {
        let task = self.register(name, importance);
        tokio::spawn(async move {
            let mut backoff = Backoff::between(FIRST_RESTART_AFTER, LONGEST_RESTART_AFTER);
            loop {
                let began = timer::runtime_now();
                let outcome = AssertUnwindSafe(run_once(&task, &mut state, &mut run))
                    .catch_unwind()
                    .await;
                let reason = match outcome {
                    Ok(Exit::Finished) => return task.finish(),
                    Ok(Exit::Unexpected) => "it returned".to_owned(),
                    Err(panic) => panic_message(&*panic),
                };
                if began.elapsed() >= HEALTHY_AFTER {
                    backoff.reset();
                }
                let wait = backoff.next();
                task.fail(&reason, wait);
                sleep(wait).await;
            }
        })
    }
}

/// Runs a task once. An injected fault ends it at its next await.
async fn run_once<S, R, E>(task: &Task, state: &mut S, run: &mut R) -> Exit
where
    R: for<'s> FnMut(&'s mut S) -> BoxFuture<'s, E>,
    E: Into<Exit>,
{
    let recovery = async {
        if task.is_down() {
            sleep(RECOVERED_AFTER).await;
            task.recover();
        }
        pending::<Exit>().await
    };
    tokio::select! {
        biased;
        fault = task.injected_fault() => match fault {
            Fault::Panic => panic!("a test made this task panic"),
            Fault::Return => Exit::Unexpected,
        },
        exit = run(state) => exit.into(),
        exit = recovery => exit,
    }
}

/// Returns the message of a caught panic.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
        .to_owned()
}

/// Runs one unit of work, and converts a panic to an error with the panic message. Borrowed data must be valid after a
/// panic at any await.
pub(crate) async fn contain_panic<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| panic_message(&*panic))
}
