//! Result of the last write probe: this node can write, or the reason that it cannot.

use std::sync::{Mutex, PoisonError};

use super::error::advice_for;
use crate::error_chain::error_chain;
use crate::storage::{Cause, StorageError};

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
    /// Name of a cause that is not known.
    const OTHER: &str = "other";

    /// Returns the names of all causes.
    pub fn causes() -> impl Iterator<Item = &'static str> {
        Cause::ALL.iter().map(|cause| cause.kind()).chain([Self::OTHER])
    }

    fn of(error: &StorageError) -> Self {
        match error {
            StorageError::Unavailable(unavailability) => Self::from_cause(unavailability.cause()),
            _ => Self {
                cause: Self::OTHER,
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

    pub(super) fn record(&self, result: &Result<(), StorageError>) {
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
