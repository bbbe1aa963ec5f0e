//! Day of the last use of each API token and key.
//!
//! A call only reads a table in memory. The first use of a key on a day enters a bounded queue, which one task writes
//! in batches. Calls therefore neither write nor wait for a write.

use std::ops::ControlFlow;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use foldhash::quality::RandomState;
use tokio::sync::mpsc;

use super::batches::{self, BatchState};
use crate::backoff::Backoff;
use crate::storage::credentials::last_use::{self, KeyRef};
use crate::storage::{Db, StorageError};
use crate::supervision::Exit;

/// Capacity of the queue of first uses. If the queue is full, the key is recorded at its next use.
const QUEUE: usize = 4_096;
const BATCH: usize = 500;
/// Time that the first use of a batch waits for others.
const WAIT: Duration = Duration::from_millis(500);

/// First use of a key on a day. Ordered, so that nodes lock rows in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FirstUse {
    key: KeyRef,
    day: NaiveDate,
}

/// Recorder of key uses.
pub struct KeyUses {
    /// Last recorded day of each key, in days since 1970.
    days: papaya::HashMap<KeyRef, i64, RandomState>,
    queue: mpsc::Sender<FirstUse>,
}

/// Task that writes recorded uses.
pub struct KeyUseWriter {
    db: Db,
    queue: mpsc::Receiver<FirstUse>,
    /// Unwritten uses; they survive a panic.
    batch: Vec<FirstUse>,
}

impl KeyUses {
    pub fn new(db: Db) -> (Self, KeyUseWriter) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let uses = Self {
            days: papaya::HashMap::default(),
            queue: sender,
        };
        let writer = KeyUseWriter {
            db,
            queue: receiver,
            batch: Vec::new(),
        };
        (uses, writer)
    }

    /// Records the use of a key.
    pub fn record(&self, key: KeyRef, now: DateTime<Utc>) {
        let today = now.timestamp().div_euclid(86_400);
        let days = self.days.pin();
        if days.get(&key) == Some(&today) {
            return;
        }
        let day = now.date_naive();
        let first_use = FirstUse { key, day };
        // Only a queued use enters the table, so that a dropped one is retried.
        if self.queue.try_send(first_use).is_ok() {
            days.insert(key, today);
        }
    }

    /// Removes keys that were last used before yesterday, so that deleted keys do not stay in memory.
    pub(super) fn evict_unused(&self, now: DateTime<Utc>) {
        let yesterday = now.timestamp().div_euclid(86_400) - 1;
        self.days.pin().retain(|_, day| *day >= yesterday);
    }
}

impl KeyUseWriter {
    /// Writes until the queue is closed.
    pub async fn run(&mut self) -> Exit {
        loop {
            let batch = &mut self.batch;
            let next = batches::collect(&mut self.queue, WAIT, |first_use| {
                batch.push(first_use);
                BatchState::of(batch.len(), BATCH)
            })
            .await;
            batch.sort_unstable();
            self.write_when_possible().await;
            self.batch.clear();
            if next == ControlFlow::Break(()) {
                return Exit::Finished;
            }
        }
    }

    /// Retries while the database is unavailable. Another error drops the batch: the keys are recorded again on the
    /// next day.
    async fn write_when_possible(&self) {
        let mut backoff = Backoff::default();
        loop {
            match self.write(&self.batch).await {
                Ok(()) => return,
                // The batch may already be written. Writing it again is harmless.
                Err(error) if error.is_transient() => tokio::time::sleep(backoff.next()).await,
                Err(error) => {
                    let keys = self.batch.len();
                    tracing::error!(%error, keys, "the last use of keys could not be written");
                    return;
                }
            }
        }
    }

    async fn write(&self, batch: &[FirstUse]) -> Result<(), StorageError> {
        if batch.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        for first_use in batch {
            last_use::record_use(&tx, first_use.key, first_use.day).await?;
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random;
    use slipway_domain::catalog::ids::{KeyId, TenantId};

    #[test]
    fn a_key_is_queued_once_a_day_and_again_when_the_queue_was_full() {
        let (sender, mut queue) = mpsc::channel(1);
        let uses = KeyUses {
            days: papaya::HashMap::default(),
            queue: sender,
        };
        let tenant = TenantId::parse(1).unwrap();
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let (one, other) = (
            KeyRef::AppKey(tenant, random::id::<KeyId>()),
            KeyRef::DeviceKey(tenant, random::id::<KeyId>()),
        );
        for seconds in [0, 86_399] {
            uses.record(one, at(seconds));
        }
        uses.record(other, at(1));
        assert_eq!(queue.try_recv().unwrap().key, one);
        assert!(queue.try_recv().is_err());
        uses.record(other, at(2));
        assert_eq!(queue.try_recv().unwrap().key, other);
        uses.record(one, at(86_400));
        assert_eq!(queue.try_recv().unwrap().day, at(86_400).date_naive());
        uses.evict_unused(at(3 * 86_400));
        assert!(uses.days.is_empty());
    }
}
