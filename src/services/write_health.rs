//! Proves every few seconds by a write that this node can write, which also says that the node runs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Context;
use super::error::remedy;
use crate::causes::causes;
use crate::storage::{Backend, Cause, StorageError, prove_writable};

/// While writes work. Others count on a node's row to be no older than 30 seconds.
const EVERY: Duration = Duration::from_secs(5);
/// While they fail, after one that was not kept, and before a lock is taken for a lasting one.
const SOON: Duration = Duration::from_secs(1);
/// Longer than a proof may wait for anything by itself.
const PROOF_TIMEOUT: Duration = Duration::from_secs(8);

/// The newest proof.
#[derive(Debug, Default)]
pub struct WriteHealth(Mutex<Option<WriteFailure>>);

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteFailure {
    /// A stable word for the cause.
    pub cause: &'static str,
    /// The cause and what to do.
    pub detail: String,
}

impl WriteFailure {
    fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Unavailable(unavailability) => Self::by(unavailability.cause()),
            _ => Self {
                cause: "other",
                detail: "the database refuses a write; the server's log says why".to_owned(),
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
    /// `None` while writes work.
    pub fn failure(&self) -> Option<WriteFailure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces what is known; returns whether it is different.
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
            Err(error) => tracing::error!(error = causes(error), "nothing can be written"),
        }
    }
}

/// Goes on until the task is dropped.
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

/// A lock on a table of PostgreSQL counts once it outlasts two proofs: a migration takes some for a moment.
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
