//! State of the artifact store, as readiness reports it.

use std::sync::{Mutex, PoisonError};

/// State of the store at the last probe.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<StoreState>);

/// Failure of the store, and the damaged artifacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreState {
    /// `None` while the store is reachable.
    pub failure: Option<String>,
    /// Number of artifacts whose content is damaged or missing.
    pub damaged: u64,
}

impl StoreHealth {
    pub fn state(&self) -> StoreState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(in crate::services) fn set(&self, state: StoreState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}
