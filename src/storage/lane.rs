//! Queue in front of a pool. It admits as many callers as there can be connections; the others wait in order.
//!
//! If PostgreSQL refuses more connections, the queue admits fewer callers, which share the existing connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{ConnAcquireErr, DbErr};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Time limit of a caller's wait for a permit.
const TURN_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Lane {
    turns: Arc<Semaphore>,
    /// Admits one non-urgent caller at a time to the wait for a permit. An urgent caller waits behind at most one of
    /// them.
    queue: Mutex<()>,
    limit: u32,
    waiting: AtomicU32,
    /// Number of permits withheld because the database granted no connection for them.
    withheld: AtomicU32,
    /// `true` while a caller probes the database for more connections.
    is_asking: AtomicBool,
}

/// Permit to use one connection until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(OwnedSemaphorePermit);

/// Counts a waiting caller until it is dropped.
struct Waiting<'a>(&'a Lane);

impl Lane {
    pub(super) fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self {
            turns: Arc::new(Semaphore::new(usize::try_from(limit).unwrap_or(1))),
            queue: Mutex::const_new(()),
            limit,
            waiting: AtomicU32::new(0),
            withheld: AtomicU32::new(0),
            is_asking: AtomicBool::new(false),
        })
    }

    pub(super) async fn take_turn(&self, is_urgent: bool) -> Result<Turn, DbErr> {
        let _waiting = Waiting::begin(self);
        let turn = async {
            let _queued = if is_urgent {
                None
            } else {
                Some(self.queue.lock().await)
            };
            self.turns.clone().acquire_owned().await
        };
        match timeout(TURN_LIMIT, turn).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            Ok(Err(_)) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(_) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
        }
    }

    /// Withholds a permit that the database granted no connection for, and free permits beyond the `open` connections.
    ///
    /// Returns `false` for the last permit, which is never withheld.
    pub(super) fn withhold(&self, turn: Turn, open: u32) -> bool {
        let is_withheld = self.withhold_one(turn);
        while self.allowed() > open.max(1)
            && let Ok(free) = self.turns.clone().try_acquire_owned()
        {
            if !self.withhold_one(Turn(free)) {
                break;
            }
        }
        is_withheld
    }

    /// Returns the maximum number of connections that the pool currently requests.
    pub(super) fn allowed(&self) -> u32 {
        self.limit.saturating_sub(self.withheld())
    }

    fn withhold_one(&self, turn: Turn) -> bool {
        let most = self.limit.saturating_sub(1);
        let one_more = |withheld: u32| (withheld < most).then_some(withheld + 1);
        let is_withheld = self
            .withheld
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok();
        if is_withheld {
            turn.0.forget();
        }
        is_withheld
    }

    /// Releases up to `count` withheld permits and returns the number that remain withheld.
    pub(super) fn give_back(&self, count: u32) -> u32 {
        let before = self
            .withheld
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |withheld| {
                Some(withheld.saturating_sub(count))
            })
            .unwrap_or_default();
        let given = before.min(count);
        self.turns.add_permits(usize::try_from(given).unwrap_or_default());
        before - given
    }

    /// Marks a probe for more connections as running. Returns `false` if one is already running.
    pub(super) fn begin_asking(&self) -> bool {
        !self.is_asking.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_asking(&self) {
        self.is_asking.store(false, Ordering::Release);
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

impl<'a> Waiting<'a> {
    fn begin(lane: &'a Lane) -> Self {
        lane.waiting.fetch_add(1, Ordering::Relaxed);
        Self(lane)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn turns_are_withheld_but_for_one_and_given_back() {
        let lane = Lane::new(3);
        let turns = [
            lane.take_turn(false).await.unwrap(),
            lane.take_turn(false).await.unwrap(),
            lane.take_turn(false).await.unwrap(),
        ];
        let withheld: Vec<_> = turns.into_iter().map(|turn| lane.withhold(turn, 3)).collect();
        assert_eq!(withheld, [true, true, false]);
        let free = || lane.turns.available_permits();
        assert_eq!(free(), 1);
        assert_eq!((lane.give_back(1), free()), (1, 2));
        assert_eq!((lane.give_back(5), free()), (0, 3), "no more than the limit");
        assert_eq!((lane.waiting(), lane.withheld(), lane.limit()), (0, 0, 3));
    }

    #[tokio::test]
    async fn an_urgent_caller_waits_behind_one_other_at_most() {
        let lane = Lane::new(1);
        let first = lane.take_turn(false).await.unwrap();
        let mut second = Box::pin(lane.take_turn(false));
        let mut third = Box::pin(lane.take_turn(false));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        let mut urgent = Box::pin(lane.take_turn(true));
        assert!(urgent.as_mut().now_or_never().is_none());
        drop(first);
        drop(second.await.unwrap());
        assert!(third.as_mut().now_or_never().is_none());
        drop(urgent.await.unwrap());
        assert!(third.await.is_ok());
    }
}
