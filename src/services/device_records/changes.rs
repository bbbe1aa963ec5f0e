//! Corrects what a node remembers of devices when somebody else has written them: another node, an import, a deletion,
//! or a person with SQL. Forgetting a device costs one comparison at its next check, and a write only if it differs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::hash_of;
use super::seen::SeenStates;
use crate::backoff::Backoff;
use crate::storage::device_changes::{DeviceChange, News, Position, mark_end, read_since, remove_before};
use crate::storage::{Db, StorageError};

const EVERY: Duration = Duration::from_secs(1);
/// A node that could not read for longer than this forgets every device.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// Interval at which positions are noted, and changes that are old are removed.
const REMOVE_EVERY: Duration = Duration::from_mins(1);

/// Reads what changed, and has the node forget those devices.
pub struct DeviceChangeReader {
    db: Db,
    /// `None` where nothing is recorded, and so nothing remembered.
    states: Option<Arc<SeenStates>>,
    /// What this node's own recorder signs with.
    writer: String,
    forgotten: Counter,
}

impl DeviceChangeReader {
    pub(super) fn new(db: Db, states: Option<Arc<SeenStates>>, writer: String) -> Self {
        Self {
            db,
            states,
            writer,
            forgotten: counter!("slipway_device_records_forgotten_total"),
        }
    }

    /// Reads each second until the task is dropped.
    pub async fn run(&self) {
        let mut position = self.begin().await;
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut old = VecDeque::from([(Instant::now(), position.clone())]);
        loop {
            ticks.tick().await;
            if let Err(error) = self.read(&mut position).await {
                tracing::debug!(%error, "changes of devices cannot be read now");
                continue;
            }
            if old.back().is_none_or(|(at, _)| at.elapsed() >= REMOVE_EVERY) {
                old.push_back((Instant::now(), position.clone()));
                self.remove_old(&mut old).await;
            }
        }
    }

    async fn begin(&self) -> Position {
        let mut backoff = Backoff::default();
        loop {
            match mark_end(&self.db, &self.writer).await {
                Ok(position) => {
                    // What was noted before may have been changed before, too.
                    self.forget_all();
                    return position;
                }
                Err(error) => {
                    tracing::debug!(%error, "changes of devices cannot be read yet");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    }

    async fn read(&self, position: &mut Position) -> Result<(), StorageError> {
        match read_since(&self.db, position).await? {
            News::Changes(changes) => changes.iter().for_each(|change| self.forget(change)),
            News::Unknown => {
                tracing::info!("the database's history or very many devices changed: all are compared again");
                self.forget_all();
            }
        }
        Ok(())
    }

    fn forget(&self, change: &DeviceChange) {
        let Some(states) = &self.states else { return };
        match change {
            DeviceChange::Device { tenant, device } => {
                states.forget(hash_of(*tenant, device));
                self.forgotten.increment(1);
            }
            DeviceChange::Recorded { writer, devices } if *writer != self.writer => {
                for hash in devices {
                    states.forget(*hash);
                }
                self.forgotten.increment(devices.len() as u64);
            }
            DeviceChange::Recorded { .. } => {}
            DeviceChange::Every => self.forget_all(),
        }
    }

    fn forget_all(&self) {
        if let Some(states) = &self.states {
            states.forget_all();
        }
    }

    /// Every node does so, and none minds that another was faster.
    async fn remove_old(&self, old: &mut VecDeque<(Instant, Position)>) {
        let mut last = None;
        while old.front().is_some_and(|(at, _)| at.elapsed() >= KEPT_FOR) {
            last = old.pop_front();
        }
        let Some((_, position)) = last else { return };
        loop {
            match remove_before(&self.db, &position).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(%error, "old changes of devices cannot be removed now");
                    return;
                }
            }
        }
    }
}
