//! Invalidates a node's cached device states after a write by another node, an import, a deletion or manual SQL.
//!
//! An invalidated device costs one comparison at its next check, and a write only if its state differs.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::Instant;

use super::hash_of;
use super::seen::StateCache;
use crate::poller::{Poller, PollingTask};
use crate::storage::device_changes::{
    ChangeBatch, DeviceChange, Position, append_end_marker, prune_before, read_since,
};
use crate::storage::{Db, StorageError};
use crate::timer;

const EVERY: Duration = Duration::from_secs(1);
/// Retention of changes. A node that cannot read them for longer invalidates every device.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// Interval at which positions are saved and old changes are removed.
const REMOVE_EVERY: Duration = Duration::from_mins(1);

/// Reader of device changes, which invalidates the cached states of those devices.
pub struct DeviceChangeReader {
    db: Db,
    /// `None` if recording is disabled, so that no state is cached.
    states: Option<Arc<StateCache>>,
    /// Writer name of this node's own recorder.
    writer: String,
    invalidated: Counter,
    /// End of the changes that were read; `None` until the first poll.
    position: Option<Position>,
    /// Positions of the last minutes, at which old changes are removed.
    old: VecDeque<(Instant, Position)>,
}

impl DeviceChangeReader {
    pub(super) fn new(db: Db, states: Option<Arc<StateCache>>, writer: String) -> Self {
        Self {
            db,
            states,
            writer,
            invalidated: counter!("slipway_device_records_forgotten_total"),
            position: None,
            old: VecDeque::new(),
        }
    }

    /// Polls every second until the task is dropped.
    pub async fn run(&mut self) {
        self.position = None;
        Poller::new("device_changes", EVERY).run(self).await;
    }

    /// Begins to read at the end of the changes.
    async fn begin(&mut self) -> Result<(), StorageError> {
        let position = append_end_marker(&self.db, &self.writer).await?;
        // Cached states may predate changes before this position.
        self.invalidate_all();
        self.old = VecDeque::from([(timer::runtime_now(), position.clone())]);
        self.position = Some(position);
        Ok(())
    }

    async fn read(&self, position: &mut Position) -> Result<(), StorageError> {
        match read_since(&self.db, position).await? {
            ChangeBatch::Changes(changes) => changes.iter().for_each(|change| self.invalidate(change)),
            ChangeBatch::Unknown => {
                tracing::info!("device changes are unknown; all cached device states are invalidated");
                self.invalidate_all();
            }
        }
        Ok(())
    }

    fn invalidate(&self, change: &DeviceChange) {
        let Some(states) = &self.states else { return };
        match change {
            DeviceChange::Device { tenant, device } => {
                states.invalidate(hash_of(*tenant, device));
                self.invalidated.increment(1);
            }
            DeviceChange::Recorded { writer, devices } if *writer != self.writer => {
                for hash in devices {
                    states.invalidate(*hash);
                }
                self.invalidated.increment(devices.len() as u64);
            }
            DeviceChange::Recorded { .. } => {}
            DeviceChange::Every => self.invalidate_all(),
        }
    }

    fn invalidate_all(&self) {
        if let Some(states) = &self.states {
            states.invalidate_all();
        }
    }

    /// Removes changes that are older than the retention. Every node does this; a change that is already removed is no
    /// error.
    async fn remove_old(&mut self) -> Result<(), StorageError> {
        let mut last = None;
        while self.old.front().is_some_and(|(at, _)| at.elapsed() >= KEPT_FOR) {
            last = self.old.pop_front();
        }
        if let Some((_, position)) = last {
            while prune_before(&self.db, &position).await? {}
        }
        Ok(())
    }
}

impl PollingTask for DeviceChangeReader {
    type Hint = Infallible;
    type Error = StorageError;

    async fn poll(&mut self, _: Option<Infallible>) -> Result<(), StorageError> {
        let Some(mut position) = self.position.clone() else {
            return self.begin().await;
        };
        self.read(&mut position).await?;
        self.position = Some(position.clone());
        if self.old.back().is_none_or(|(at, _)| at.elapsed() >= REMOVE_EVERY) {
            self.old.push_back((timer::runtime_now(), position));
            self.remove_old().await?;
        }
        Ok(())
    }
}
