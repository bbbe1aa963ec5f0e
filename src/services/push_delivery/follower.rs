//! Synchronizes the in-memory set of open pushes with the database, and wakes listeners for new ones.
//!
//! Pushes named in a notification are loaded immediately. The follower polls for recent changes every second. It
//! compares everything every minute, at start, and after a possible loss of notifications.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::device_of;
use super::hub::Hub;
use super::waiting::{Open, Waiting, open_of};
use crate::backoff::Backoff;
use crate::catalog::ids::PushId;
use crate::clock::Clock;
use crate::live::DeviceKey;
use crate::storage::push_targets::{self, OpenTarget};
use crate::storage::{Db, StorageError};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Overlap of each poll with the one before: transactions commit later than they write, and the clocks of nodes differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);
/// Interval between full comparisons, unless they take long.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// Minimum ratio between the pause after a full comparison and its duration.
const COMPARE_SHARE: u32 = 20;
/// Rows that a comparison reads per statement.
const PAGE: u64 = 10_000;
/// Number of pushes in a batch at which it stops draining the queue.
const TOLD_TOGETHER: usize = 200;

pub(super) struct Follower {
    db: Db,
    clock: Arc<dyn Clock>,
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
    told: mpsc::Receiver<Vec<PushId>>,
    reconnected: Arc<Notify>,
    looked_at: DateTime<Utc>,
    comparison: Comparison,
}

/// A full comparison, which runs as a separate task so that polls continue meanwhile.
struct Comparison {
    task: JoinSet<Result<HashMap<DeviceKey, Vec<Open>>, StorageError>>,
    began_at: Instant,
    due_at: Instant,
    /// Devices that polls found changed since the comparison began. The polls have newer data than the comparison.
    changed: HashSet<DeviceKey>,
}

impl Follower {
    pub(super) fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        (hub, waiting): (Arc<Hub>, Arc<Waiting>),
        told: mpsc::Receiver<Vec<PushId>>,
    ) -> Self {
        let now = Instant::now();
        Self {
            db,
            looked_at: clock.now(),
            clock,
            hub,
            waiting,
            told,
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
        self.comparison.due_at = Instant::now();
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut backoff = Backoff::default();
        let reconnected = self.reconnected.clone();
        loop {
            let done = tokio::select! {
                Some(pushes) = self.told.recv() => self.look_at(pushes).await,
                Some(compared) = self.comparison.task.join_next() => match compared {
                    Ok(found) => self.take_comparison(found),
                    Err(error) => {
                        tracing::error!(%error, "comparing all pushes failed");
                        Ok(())
                    }
                },
                () = reconnected.notified() => {
                    self.comparison.due_at = Instant::now();
                    Ok(())
                }
                _ = ticks.tick() => self.look().await,
            };
            match done {
                Ok(()) => backoff = Backoff::default(),
                Err(error) => {
                    tracing::debug!(%error, "cannot poll for pushes now; retrying");
                    // Notifications that arrived meanwhile may be lost.
                    self.comparison.due_at = Instant::now();
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Loads the pushes of a notification and of others that are queued.
    async fn look_at(&mut self, mut pushes: Vec<PushId>) -> Result<(), StorageError> {
        while pushes.len() < TOLD_TOGETHER
            && let Ok(more) = self.told.try_recv()
        {
            pushes.extend(more);
        }
        let found = self
            .db
            .within_look(push_targets::of_pushes(&self.db, &pushes))
            .await?;
        self.take(&found);
        Ok(())
    }

    /// Polls for recent changes, and starts a full comparison if one is due.
    async fn look(&mut self) -> Result<(), StorageError> {
        let now = self.clock.now();
        let since = self.looked_at - OVERLAP;
        let found = self
            .db
            .within_look(push_targets::changed_since(&self.db, since))
            .await?;
        self.looked_at = now;
        self.take(&found);
        if self.comparison.task.is_empty() && self.comparison.due_at <= Instant::now() {
            self.comparison.began_at = Instant::now();
            self.comparison.changed.clear();
            self.comparison.task.spawn(read_all_open(self.db.clone()));
        }
        Ok(())
    }

    fn take(&mut self, found: &[OpenTarget]) {
        let is_comparing = !self.comparison.task.is_empty();
        for target in found {
            let device = device_of(&target.key);
            if self.waiting.note(target) {
                self.hub.pushed(&device);
            }
            if is_comparing {
                self.comparison.changed.insert(device);
            }
        }
    }

    fn take_comparison(
        &mut self,
        found: Result<HashMap<DeviceKey, Vec<Open>>, StorageError>,
    ) -> Result<(), StorageError> {
        let comparison = &mut self.comparison;
        let changed = std::mem::take(&mut comparison.changed);
        let took = comparison.began_at.elapsed();
        comparison.due_at = Instant::now() + COMPARE_EVERY.max(took * COMPARE_SHARE);
        for device in self.waiting.replace_all(found?, &changed) {
            self.hub.pushed(&device);
        }
        Ok(())
    }
}

async fn read_all_open(db: Db) -> Result<HashMap<DeviceKey, Vec<Open>>, StorageError> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let mut last = None;
    loop {
        let page = db
            .within_look(push_targets::all_open(&db, last.as_ref(), PAGE))
            .await?;
        for target in &page {
            found
                .entry(device_of(&target.key))
                .or_default()
                .extend(open_of(target));
        }
        let is_last = (page.len() as u64) < PAGE;
        last = page.into_iter().next_back().map(|target| target.key);
        if is_last {
            return Ok(found);
        }
    }
}
