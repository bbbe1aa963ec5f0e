//! Keeps in memory which pushes wait, by comparing with the database, and wakes whoever listens for one.
//!
//! What it is told of it looks at at once. Each second it looks at what was written lately, and each minute it compares
//! everything, as at start and whenever something may have been missed.

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
/// A look goes back by so much before the one before it: transactions commit later than they write, and nodes' clocks
/// differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);
/// How often everything is compared, unless that takes long.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// Of all time, comparing everything takes this part at most.
const COMPARE_SHARE: u32 = 20;
/// Rows that a comparison reads in one statement.
const PAGE: u64 = 10_000;
/// Pushes that are looked at together.
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

/// Everything compared, by a task beside the looks, which must not wait for it.
struct Comparison {
    task: JoinSet<Result<HashMap<DeviceKey, Vec<Open>>, StorageError>>,
    began_at: Instant,
    due_at: Instant,
    /// What looks found changed since it began, about which they know better.
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

    /// Whoever may have missed something says so here.
    pub(super) fn reconnected(&self) -> Arc<Notify> {
        self.reconnected.clone()
    }

    /// Follows until the task is dropped.
    pub(super) async fn run(&mut self) {
        // A run before this one may have stopped at any await: pushes that it was told of may be lost.
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
                        tracing::error!(%error, "comparing all pushes has failed");
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
                    tracing::debug!(%error, "pushes cannot be looked for now");
                    // What was told meanwhile may be lost.
                    self.comparison.due_at = Instant::now();
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Looks at certain pushes.
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

    /// Looks at what was written lately, and begins to compare everything when it is time.
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
