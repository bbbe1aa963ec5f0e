//! Synchronizes the in-memory set of pending pushes with the database, and wakes listeners for new ones.
//!
//! Pushes named by a hint are loaded immediately. The sync polls for recent changes every second. It compares
//! everything every minute, at start, and after a possible loss of hints.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::device_of;
use super::hub::Hub;
use super::pending::{PendingPush, PendingPushes, pending_push};
use crate::clock::Clock;
use crate::hints::{HintEvent, PushSubscription};
use crate::live::DeviceRef;
use crate::poller::{PollError, PollOutcome, Poller, PollingTask};
use crate::storage::push_targets::{self, OpenTarget};
use crate::storage::{Db, StorageError};
use crate::timer;
use slipway_domain::catalog::ids::PushId;

/// Maximum number of pushes that are loaded in one read.
pub(super) const PUSHES_AT_ONCE: usize = 200;
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Overlap of each poll with the one before: transactions commit later than they write, and the clocks of nodes differ.
const OVERLAP: TimeDelta = TimeDelta::seconds(5);
/// Interval between full comparisons, unless they take long.
const COMPARE_EVERY: Duration = Duration::from_mins(1);
/// Minimum ratio between the pause after a full comparison and its duration.
const COMPARE_SHARE: u32 = 20;
/// Minimum pause after a comparison that failed.
const COMPARE_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Rows that a comparison reads per statement.
const PAGE: u64 = 10_000;

pub(super) struct PendingPushSync {
    db: Db,
    clock: Arc<dyn Clock>,
    hub: Arc<Hub>,
    pending: Arc<PendingPushes>,
    hints: PushSubscription,
    polled_at: DateTime<Utc>,
    comparison: Comparison,
}

/// A full comparison, which runs as a separate task so that polls continue meanwhile.
struct Comparison {
    task: JoinSet<ComparisonResult>,
    began_at: Instant,
    due_at: Instant,
    /// End of the pause after a comparison that failed.
    not_before: Instant,
    /// Devices that polls found changed since the comparison began. The polls have newer data than the comparison.
    changed: HashSet<DeviceRef>,
}

/// Pending pushes of all devices, as read by a comparison.
type ComparisonResult = Result<HashMap<DeviceRef, Vec<PendingPush>>, StorageError>;

/// Reason to poll before the interval is over.
pub(super) enum Wake {
    Hints(HintEvent<Vec<PushId>>),
    /// End of a full comparison.
    Compared(Result<ComparisonResult, JoinError>),
}

/// Error of a poll.
#[derive(Debug, thiserror::Error)]
pub(super) enum SyncError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("comparing all pushes failed")]
    Comparison(#[from] JoinError),
}

impl PollError for SyncError {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Storage(error) if error.is_transient())
    }
}

impl PendingPushSync {
    /// Name of the task.
    pub(super) const NAME: &str = "push_follower";

    pub(super) fn new(
        db: Db,
        clock: Arc<dyn Clock>,
        hub: Arc<Hub>,
        pending: Arc<PendingPushes>,
        hints: PushSubscription,
    ) -> Self {
        let now = timer::runtime_now();
        Self {
            db,
            polled_at: clock.now(),
            clock,
            hub,
            pending,
            hints,
            comparison: Comparison {
                task: JoinSet::new(),
                began_at: now,
                due_at: now,
                not_before: now,
                changed: HashSet::new(),
            },
        }
    }

    /// Runs until the task is dropped.
    pub(super) async fn run(&mut self) {
        // A previous run may have stopped at any await, so hints may be lost.
        self.comparison.due_at = timer::runtime_now();
        Poller::new(Self::NAME, POLL_INTERVAL).run(self).await;
    }

    /// Loads the pushes that hints name.
    async fn load(&mut self, pushes: &[PushId]) -> Result<(), StorageError> {
        let found = self
            .db
            .with_poll_timeout(push_targets::list_of_pushes(&self.db, pushes))
            .await?;
        self.apply(&found);
        Ok(())
    }

    /// Loads recent changes, and starts a full comparison if one is due.
    async fn load_recent(&mut self) -> Result<(), StorageError> {
        let now = self.clock.now();
        let since = self.polled_at - OVERLAP;
        let found = self
            .db
            .with_poll_timeout(push_targets::list_changed_since(&self.db, since))
            .await?;
        self.polled_at = now;
        self.apply(&found);
        let now = timer::runtime_now();
        let is_due = self.comparison.due_at.max(self.comparison.not_before) <= now;
        if is_due && self.comparison.task.is_empty() {
            self.comparison.began_at = now;
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

    fn finish_comparison(&mut self, compared: Result<ComparisonResult, JoinError>) -> Result<(), SyncError> {
        let comparison = &mut self.comparison;
        let changed = std::mem::take(&mut comparison.changed);
        let took = comparison.began_at.elapsed();
        let now = timer::runtime_now();
        comparison.not_before = now + took * COMPARE_SHARE;
        // A loss of hints meanwhile has made another comparison due.
        if comparison.due_at <= comparison.began_at {
            comparison.due_at = now + COMPARE_EVERY;
        }
        let found = match compared {
            Ok(Ok(found)) => found,
            failed => {
                comparison.not_before = comparison.not_before.max(now + COMPARE_AGAIN_AFTER);
                failed??
            }
        };
        for device in self.pending.replace_all(found, &changed) {
            self.hub.notify_push(&device);
        }
        Ok(())
    }
}

impl PollingTask for PendingPushSync {
    type Hint = Wake;
    type Error = SyncError;

    async fn next_hint(&mut self) -> Wake {
        tokio::select! {
            event = self.hints.next_event() => Wake::Hints(event),
            Some(compared) = self.comparison.task.join_next() => Wake::Compared(compared),
        }
    }

    async fn poll(&mut self, wake: Option<Wake>) -> Result<PollOutcome, SyncError> {
        match wake {
            Some(Wake::Hints(HintEvent::Changed(pushes))) => self.load(&pushes).await?,
            Some(Wake::Hints(HintEvent::HintsLost)) => {
                self.recover().await;
                self.load_recent().await?;
            }
            Some(Wake::Compared(compared)) => self.finish_comparison(compared)?,
            None => self.load_recent().await?,
        }
        Ok(PollOutcome::Polled)
    }

    /// Makes a full comparison due.
    async fn recover(&mut self) {
        self.comparison.due_at = timer::runtime_now();
    }
}

async fn read_all_pending(db: Db) -> ComparisonResult {
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
