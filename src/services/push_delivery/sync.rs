//! Synchronizes the in-memory set of pending pushes with the database, and wakes listeners for new ones.
//!
//! Pushes named in a notification are loaded immediately. The sync polls for recent changes every second. It compares
//! everything every minute, at start, and after a possible loss of notifications.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::device_of;
use super::hub::Hub;
use super::pending::{PendingPush, PendingPushes, pending_push};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::live::DeviceRef;
use crate::storage::push_targets::{self, OpenTarget};
use crate::storage::{Db, StorageError};
use crate::timer;
use slipway_domain::catalog::ids::PushId;

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Overlap of each poll with the one before: transactions commit later than they write, and the clocks of nodes differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);
/// Interval between full comparisons, unless they take long.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// Minimum ratio between the pause after a full comparison and its duration.
const COMPARE_SHARE: u32 = 20;
/// Rows that a comparison reads per statement.
const PAGE: u64 = 10_000;
/// Number of pushes in a batch at which it stops draining the queue.
const MAX_BATCH: usize = 200;

pub(super) struct PendingPushSync {
    db: Db,
    clock: Arc<dyn Clock>,
    hub: Arc<Hub>,
    pending: Arc<PendingPushes>,
    notifications: mpsc::Receiver<Vec<PushId>>,
    reconnected: Arc<Notify>,
    polled_at: DateTime<Utc>,
    comparison: Comparison,
}

/// A full comparison, which runs as a separate task so that polls continue meanwhile.
struct Comparison {
    task: JoinSet<Result<HashMap<DeviceRef, Vec<PendingPush>>, StorageError>>,
    began_at: Instant,
    due_at: Instant,
    /// Devices that polls found changed since the comparison began. The polls have newer data than the comparison.
    changed: HashSet<DeviceRef>,
}

impl PendingPushSync {
    pub(super) fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        (hub, pending): (Arc<Hub>, Arc<PendingPushes>),
        notifications: mpsc::Receiver<Vec<PushId>>,
    ) -> Self {
        let now = timer::runtime_now();
        Self {
            db,
            polled_at: clock.now(),
            clock,
            hub,
            pending,
            notifications,
            reconnected: Arc::default(),
            comparison: Comparison {
                task: JoinSet::new(),
                began_at: now,
                due_at: now,
                changed: HashSet::new(),
            },
        }
    }

    /// Returns the handle that requests a full comparison, for tasks that may have lost notifications.
    pub(super) fn reconnected(&self) -> Arc<Notify> {
        self.reconnected.clone()
    }

    /// Runs until the task is dropped.
    pub(super) async fn run(&mut self) {
        // A previous run may have stopped at any await, so notifications may be lost.
        self.comparison.due_at = timer::runtime_now();
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        let reconnected = self.reconnected.clone();
        loop {
            let done = tokio::select! {
                Some(pushes) = self.notifications.recv() => self.load(pushes).await,
                Some(compared) = self.comparison.task.join_next() => match compared {
                    Ok(found) => self.finish_comparison(found),
                    Err(error) => {
                        tracing::error!(%error, "comparing all pushes failed");
                        Ok(())
                    }
                },
                () = reconnected.notified() => {
                    self.comparison.due_at = timer::runtime_now();
                    Ok(())
                }
                _ = ticks.tick() => self.poll().await,
            };
            match done {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::debug!(%error, "cannot poll for pushes now; retrying");
                    // Notifications that arrived meanwhile may be lost.
                    self.comparison.due_at = timer::runtime_now();
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Loads the pushes of a notification and of others that are queued.
    async fn load(&mut self, mut pushes: Vec<PushId>) -> Result<(), StorageError> {
        while pushes.len() < MAX_BATCH
            && let Ok(more) = self.notifications.try_recv()
        {
            pushes.extend(more);
        }
        let found = self
            .db
            .with_poll_timeout(push_targets::list_of_pushes(&self.db, &pushes))
            .await?;
        self.apply(&found);
        Ok(())
    }

    /// Polls for recent changes, and starts a full comparison if one is due.
    async fn poll(&mut self) -> Result<(), StorageError> {
        let now = self.clock.now();
        let since = self.polled_at - OVERLAP;
        let found = self
            .db
            .with_poll_timeout(push_targets::list_changed_since(&self.db, since))
            .await?;
        self.polled_at = now;
        self.apply(&found);
        if self.comparison.task.is_empty() && self.comparison.due_at <= timer::runtime_now() {
            self.comparison.began_at = timer::runtime_now();
            self.comparison.changed.clear();
            self.comparison.task.spawn(read_all_pending(self.db.clone()));
        }
        Ok(())
    }

    fn apply(&mut self, found: &[OpenTarget]) {
        let is_comparing = !self.comparison.task.is_empty();
        for target in found {
            let device = device_of(&target.key);
            if self.pending.record(target) {
                self.hub.notify_push(&device);
            }
            if is_comparing {
                self.comparison.changed.insert(device);
            }
        }
    }

    fn finish_comparison(
        &mut self,
        found: Result<HashMap<DeviceRef, Vec<PendingPush>>, StorageError>,
    ) -> Result<(), StorageError> {
        let comparison = &mut self.comparison;
        let changed = std::mem::take(&mut comparison.changed);
        let took = comparison.began_at.elapsed();
        comparison.due_at = timer::runtime_now() + COMPARE_EVERY.max(took * COMPARE_SHARE);
        for device in self.pending.replace_all(found?, &changed) {
            self.hub.notify_push(&device);
        }
        Ok(())
    }
}

async fn read_all_pending(db: Db) -> Result<HashMap<DeviceRef, Vec<PendingPush>>, StorageError> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let mut last = None;
    loop {
        let page = db
            .with_poll_timeout(push_targets::list_open(&db, last.as_ref(), PAGE))
            .await?;
        for target in &page {
            found
                .entry(device_of(&target.key))
                .or_default()
                .extend(pending_push(target));
        }
        let is_last = (page.len() as u64) < PAGE;
        last = page.into_iter().next_back().map(|target| target.key);
        if is_last {
            return Ok(found);
        }
    }
}
