//! Locks for the writers within this process. An urgent writer waits behind at most one non-urgent writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::priority_gate::PriorityGate;
use slipway_domain::catalog::ids::TenantId;

/// Lock that urgent writers acquire without queueing: only one non-urgent writer at a time waits for it.
#[derive(Debug, Default)]
pub(super) struct PriorityMutex {
    gate: PriorityGate,
    mutex: Arc<Mutex<()>>,
}

/// Guard that holds the lock until it is dropped.
pub(super) type PriorityGuard = OwnedMutexGuard<()>;

impl PriorityMutex {
    pub(super) async fn lock(&self, is_urgent: bool) -> PriorityGuard {
        self.gate.wait(is_urgent, self.mutex.clone().lock_owned()).await
    }
}

/// Locks of the tenants whose catalogs are being written.
#[derive(Debug, Default)]
pub(super) struct TenantLocks(SyncMutex<HashMap<TenantId, Weak<PriorityMutex>>>);

impl TenantLocks {
    pub(super) fn of(&self, tenant: TenantId) -> Arc<PriorityMutex> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = all.get(&tenant).and_then(Weak::upgrade) {
            return lock;
        }
        all.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(PriorityMutex::default());
        all.insert(tenant, Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_urgent_writer_waits_behind_one_other_at_most() {
        let lock = PriorityMutex::default();
        let first = lock.lock(false).await;
        let mut second = Box::pin(lock.lock(false));
        let mut third = Box::pin(lock.lock(false));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        let mut urgent = Box::pin(lock.lock(true));
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
