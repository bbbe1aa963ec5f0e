//! Write probes: a small write every few seconds proves that this node can write. It also shows other nodes that it
//! runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Context;
use super::error::remedy;
use crate::causes::causes;
use crate::storage::{Backend, Cause, StorageError, prove_writable};

/// Interval while writes work. Other nodes regard a node as running for 30 seconds after its last probe.
const EVERY: Duration = Duration::from_secs(5);
/// Delay after a failed probe or a failed write, and before a lock is regarded as permanent.
const SOON: Duration = Duration::from_secs(1);
/// Longer than any single wait of a probe.
const PROOF_TIMEOUT: Duration = Duration::from_secs(8);

/// Result of the last probe.
#[derive(Debug, Default)]
pub struct WriteHealth(Mutex<Option<WriteFailure>>);

/// Reason that writes fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    /// Stable name of the cause.
    pub cause: &'static str,
    /// Cause and remedy.
    pub detail: String,
}

impl WriteFailure {
    fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Unavailable(unavailability) => Self::by(unavailability.cause()),
            _ => Self {
                cause: "other",
                detail: "the database rejects a write; see the server's log".to_owned(),
            },
        }
    }

    pub(super) fn by(cause: Cause) -> Self {
        Self {
            cause: cause.kind(),
            detail: format!("{cause}; {}", remedy(cause)),
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

    fn note(&self, proof: &Result<(), StorageError>) {
        let failure = proof.as_ref().err().map(WriteFailure::of);
        metrics::gauge!("slipway_writes_failing").set(f64::from(u8::from(failure.is_some())));
        if !self.replace(failure) {
            return;
        }
        match proof {
            Ok(()) => tracing::info!("the database accepts writes again"),
            Err(error) => tracing::error!(error = causes(error), "the database accepts no writes"),
        }
    }
}

/// Probes until the task is dropped.
pub async fn run(ctx: &Context) {
    loop {
        let proof = prove(ctx).await;
        ctx.write_health.note(&proof);
        let pause = if proof.is_ok() { EVERY } else { SOON };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.db.write_was_not_kept() => tokio::time::sleep(SOON).await,
        }
    }
}

/// Probes once, and again after a second if a PostgreSQL table is locked. A migration holds such locks only briefly.
async fn prove(ctx: &Context) -> Result<(), StorageError> {
    let proof = prove_once(ctx).await;
    match &proof {
        Err(StorageError::Unavailable(unavailability))
            if unavailability.cause() == Cause::Locked && ctx.db.backend() == Backend::Postgres =>
        {
            tokio::time::sleep(SOON).await;
            prove_once(ctx).await
        }
        _ => proof,
    }
}

async fn prove_once(ctx: &Context) -> Result<(), StorageError> {
    let proof = prove_writable(&ctx.db, ctx.node, ctx.now());
    let answer = tokio::time::timeout(PROOF_TIMEOUT, proof).await;
    answer.unwrap_or_else(|_| Err(StorageError::no_answer(PROOF_TIMEOUT)))
}
