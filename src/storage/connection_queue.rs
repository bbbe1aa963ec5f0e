//! Queue in front of a pool. It admits as many callers as there can be connections; the others wait in order.
//!
//! If PostgreSQL refuses more connections, the queue admits fewer callers, which share the existing connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::priority_gate::PriorityGate;

/// Time limit of a caller's wait for a permit.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct ConnectionQueue {
    permits: Arc<Semaphore>,
    gate: PriorityGate,
    limit: u32,
    waiting: AtomicU32,
    /// Number of permits withheld because the database granted no connection for them.
    withheld: AtomicU32,
    /// `true` while a caller probes the database for more connections.
    is_probing: AtomicBool,
}

/// Permit to use one connection until it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit(OwnedSemaphorePermit);

/// Counts a waiting caller until it is dropped.
struct WaitingGuard<'a>(&'a ConnectionQueue);

impl ConnectionQueue {
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(1))),
            gate: PriorityGate::default(),
            limit,
            waiting: AtomicU32::new(0),
            withheld: AtomicU32::new(0),
            is_probing: AtomicBool::new(false),
        })
    }

    pub(super) async fn acquire(&self, is_urgent: bool) -> Result<ConnectionPermit, DbErr> {
        let _waiting = WaitingGuard::begin(self);
        let permit = self.gate.wait(is_urgent, self.permits.clone().acquire_owned());
        match timeout(ACQUIRE_TIMEOUT, permit).await {
            Ok(Ok(permit)) => Ok(ConnectionPermit(permit)),
            Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Withholds a permit that the database granted no connection for, and free permits beyond the `open` connections.
    ///
    /// Returns `false` for the last permit, which is never withheld.
    pub(super) fn shrink(&self, permit: ConnectionPermit, open: u32) -> bool {
        let is_withheld = self.shrink_one(permit);
        while self.effective_limit() > open.max(1)
            && let Ok(free) = self.permits.clone().try_acquire_owned()
        {
            if !self.shrink_one(ConnectionPermit(free)) {
                break;
            }
        }
        is_withheld
    }

    /// Returns the maximum number of connections that the pool currently requests.
    pub(super) fn effective_limit(&self) -> u32 {
        self.limit.saturating_sub(self.withheld())
    }

    fn shrink_one(&self, permit: ConnectionPermit) -> bool {
        let most = self.limit.saturating_sub(1);
        let one_more = |withheld: u32| (withheld < most).then_some(withheld + 1);
        let is_withheld = self
            .withheld
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok();
        if is_withheld {
            permit.0.forget();
        }
        is_withheld
    }

    /// Releases up to `count` withheld permits and returns the number that remain withheld.
    pub(super) fn grow(&self, count: u32) -> u32 {
        let before = self
            .withheld
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |withheld| {
                Some(withheld.saturating_sub(count))
            })
            .unwrap_or_default();
        let released = before.min(count);
        self.permits
            .add_permits(usize::try_from(released).unwrap_or_default());
        before - released
    }

    /// Marks a probe for more connections as running. Returns `false` if one is already running.
    pub(super) fn try_start_probe(&self) -> bool {
        !self.is_probing.swap(true, Ordering::AcqRel)
    }

    pub(super) fn finish_probe(&self) {
        self.is_probing.store(false, Ordering::Release);
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn withheld(&self) -> u32 {
        self.withheld.load(Ordering::Relaxed)
    }
}

impl<'a> WaitingGuard<'a> {
    fn begin(queue: &'a ConnectionQueue) -> Self {
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        Self(queue)
    }
}

impl Drop for WaitingGuard<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn permits_are_withheld_but_for_one_and_released() {
        let queue = ConnectionQueue::new(3);
        let permits = [
            queue.acquire(false).await.unwrap(),
            queue.acquire(false).await.unwrap(),
            queue.acquire(false).await.unwrap(),
        ];
        let withheld: Vec<_> = permits
            .into_iter()
            .map(|permit| queue.shrink(permit, 3))
            .collect();
        assert_eq!(withheld, [true, true, false]);
        let free = || queue.permits.available_permits();
        assert_eq!(free(), 1);
        assert_eq!((queue.grow(1), free()), (1, 2));
        assert_eq!((queue.grow(5), free()), (0, 3), "no more than the limit");
        assert_eq!((queue.waiting(), queue.withheld(), queue.limit()), (0, 0, 3));
    }

    #[tokio::test]
    async fn an_urgent_caller_waits_behind_one_other_at_most() {
        let queue = ConnectionQueue::new(1);
        let first = queue.acquire(false).await.unwrap();
        let mut second = Box::pin(queue.acquire(false));
        let mut third = Box::pin(queue.acquire(false));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        let mut urgent = Box::pin(queue.acquire(true));
        assert!(urgent.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.await.unwrap());
        assert!(third.as_mut().now_or_never().is_none());
        drop(urgent.await.unwrap());
        assert!(third.await.is_ok());
    }
}
