//! Write probes: a small write every few seconds proves that this node can write. It also shows other nodes that it
//! runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Context;
use super::error::advice_for;
use crate::error_chain::error_chain;
use crate::storage::{Backend, Cause, StorageError, check_writable};

/// Interval while writes work. Other nodes regard a node as running for 30 seconds after its last probe.
const EVERY: Duration = Duration::from_secs(5);
/// Delay after a failed probe or a failed write, and before a lock is regarded as permanent.
const SOON: Duration = Duration::from_secs(1);
/// Longer than any single wait of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);

/// Result of the last probe.
#[derive(Debug, Default)]
pub struct WriteHealth(Mutex<Option<WriteFailure>>);

/// Reason that writes fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    /// Stable name of the cause.
    pub cause: &'static str,
    /// Cause and advice.
    pub detail: String,
}

impl WriteFailure {
    fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Unavailable(unavailability) => Self::from_cause(unavailability.cause()),
            _ => Self {
                cause: "other",
                detail: "the database rejects a write; see the server's log".to_owned(),
            },
        }
    }

    pub(super) fn from_cause(cause: Cause) -> Self {
        Self {
            cause: cause.kind(),
            detail: format!("{cause}; {}", advice_for(cause)),
        }
    }
}

impl WriteHealth {
    /// Returns the failure, or `None` while writes work.
    pub fn failure(&self) -> Option<WriteFailure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the known state. Returns `true` if it differs.
    fn replace(&self, failure: Option<WriteFailure>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let differs = *known != failure;
        *known = failure;
        differs
    }

    fn record(&self, result: &Result<(), StorageError>) {
        let failure = result.as_ref().err().map(WriteFailure::of);
        metrics::gauge!("slipway_writes_failing").set(f64::from(u8::from(failure.is_some())));
        if !self.replace(failure) {
            return;
        }
        match result {
            Ok(()) => tracing::info!("the database accepts writes again"),
            Err(error) => tracing::error!(error = error_chain(error), "the database accepts no writes"),
        }
    }
}

/// Probes until the task is dropped.
pub async fn run(ctx: &Context) {
    loop {
        let result = probe(ctx).await;
        ctx.write_health.record(&result);
        let pause = if result.is_ok() { EVERY } else { SOON };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.db.wait_for_failed_write() => tokio::time::sleep(SOON).await,
        }
    }
}

/// Probes once, and again after a second if a PostgreSQL table is locked. A migration holds such locks only briefly.
async fn probe(ctx: &Context) -> Result<(), StorageError> {
    let result = probe_once(ctx).await;
    match &result {
        Err(StorageError::Unavailable(unavailability))
            if unavailability.cause() == Cause::Locked && ctx.db.backend() == Backend::Postgres =>
        {
            tokio::time::sleep(SOON).await;
            probe_once(ctx).await
        }
        _ => result,
    }
}

async fn probe_once(ctx: &Context) -> Result<(), StorageError> {
    let probe = check_writable(&ctx.db, ctx.node, ctx.now());
    let answer = tokio::time::timeout(PROBE_TIMEOUT, probe).await;
    answer.unwrap_or_else(|_| Err(StorageError::no_answer(PROBE_TIMEOUT)))
}
