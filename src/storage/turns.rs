//! Locks for the writers within this process. An urgent writer waits behind at most one non-urgent writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::catalog::ids::TenantId;

/// Lock that urgent writers acquire without queueing: only one non-urgent writer at a time waits for it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    queue: Arc<Mutex<()>>,
    turn: Arc<Mutex<()>>,
}

/// Guard that holds the lock until it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    pub(super) async fn take(&self, is_urgent: bool) -> Turn {
        let _queued = if is_urgent {
            None
        } else {
            Some(self.queue.clone().lock_owned().await)
        };
        self.turn.clone().lock_owned().await
    }
}

/// Locks of the tenants whose catalogs are being written.
#[derive(Debug, Default)]
pub(super) struct TenantTurns(SyncMutex<HashMap<TenantId, Weak<Turns>>>);

impl TenantTurns {
    pub(super) fn of(&self, tenant: TenantId) -> Arc<Turns> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = all.get(&tenant).and_then(Weak::upgrade) {
            return turns;
        }
        all.retain(|_, turns| turns.strong_count() > 0);
        let turns = Arc::new(Turns::default());
        all.insert(tenant, Arc::downgrade(&turns));
        turns
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_urgent_writer_waits_behind_one_other_at_most() {
        let turns = Turns::default();
        let first = turns.take(false).await;
        let mut second = Box::pin(turns.take(false));
        let mut third = Box::pin(turns.take(false));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        let mut urgent = Box::pin(turns.take(true));
        assert!(urgent.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.await);
        assert!(
            third.as_mut().now_or_never().is_none(),
            "the urgent one is before it"
        );
        drop(urgent.await);
        drop(third.await);
    }
}
