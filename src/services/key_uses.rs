//! Day of the last use of each API token and key.
//!
//! A call only reads a table in memory. The first use of a key on a day enters a bounded queue, which one task writes
//! in batches. Calls therefore neither write nor wait for a write.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use foldhash::quality::RandomState;
use tokio::task::JoinHandle;

use super::batch_writer::{BatchQueue, BatchSettings, BatchSink, BatchWriter};
use crate::storage::credentials::last_use::{self, KeyRef};
use crate::storage::{Db, StorageError};

const SETTINGS: BatchSettings = BatchSettings {
    queue: 4_096,
    batch: 500,
    wait: Duration::from_millis(500),
    finish_within: Duration::from_secs(5),
};

/// First use of a key on a day. Ordered, so that nodes lock rows in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FirstUse {
    key: KeyRef,
    day: NaiveDate,
}

/// Recorder of key uses.
pub struct KeyUses {
    /// Last recorded day of each key, in days since 1970.
    days: papaya::HashMap<KeyRef, i64, RandomState>,
    queue: BatchQueue<FirstUse>,
}

/// Batches of first uses.
pub struct FirstUses(Db);

impl KeyUses {
    pub fn new(db: Db) -> (Self, BatchWriter<FirstUses>) {
        let (queue, writer) = BatchQueue::new(FirstUses(db), SETTINGS);
        let days = papaya::HashMap::default();
        (Self { days, queue }, writer)
    }

    /// Records the use of a key of the catalog, which remembers the last recorded day. Most calls read that day alone.
    pub fn record_of_catalog(&self, key: KeyRef, recorded_day: &AtomicI64, now: DateTime<Utc>) {
        let today = day_number(now);
        if recorded_day.load(Ordering::Relaxed) != today && self.record(key, now) {
            recorded_day.store(today, Ordering::Relaxed);
        }
    }

    /// Records the use of a key. Returns `false` if it was dropped.
    pub fn record(&self, key: KeyRef, now: DateTime<Utc>) -> bool {
        let today = day_number(now);
        let days = self.days.pin();
        if days.get(&key) == Some(&today) {
            return true;
        }
        let day = now.date_naive();
        let first_use = FirstUse { key, day };
        // Only a queued use enters the table, so that a dropped one is retried.
        let is_queued = self.queue.push(first_use).is_ok();
        if is_queued {
            days.insert(key, today);
        }
        is_queued
    }

    /// Removes keys that were last used before yesterday, so that deleted keys do not stay in memory.
    pub(super) fn evict_unused(&self, now: DateTime<Utc>) {
        let yesterday = day_number(now) - 1;
        self.days.pin().retain(|_, day| *day >= yesterday);
    }

    /// Waits until the queue is written and the writer has ended, or a time limit passes.
    pub async fn finish(&self, writer: JoinHandle<()>) {
        self.queue.finish(writer).await;
    }
}

/// Returns the day of an instant, in days since 1970.
fn day_number(now: DateTime<Utc>) -> i64 {
    now.timestamp().div_euclid(86_400)
}

impl BatchSink for FirstUses {
    const NAME: &'static str = "key_use_writer";
    const IF_DROPPED: &'static str = "the use of a key on this day may not be shown";

    type Item = FirstUse;
    type Written = ();

    async fn write(&self, uses: &[FirstUse]) -> Result<(), StorageError> {
        let mut uses = uses.to_vec();
        uses.sort_unstable();
        let tx = self.0.begin().await?;
        for first_use in uses {
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

    struct NoDatabase;

    impl BatchSink for NoDatabase {
        const NAME: &'static str = "no_database";
        const IF_DROPPED: &'static str = "none";

        type Item = FirstUse;
        type Written = ();

        async fn write(&self, _: &[FirstUse]) -> Result<(), StorageError> {
            Ok(())
        }
    }

    #[test]
    fn a_key_is_queued_once_a_day_and_again_when_the_queue_was_full() {
        let settings = BatchSettings { queue: 1, ..SETTINGS };
        let (queue, mut writer) = BatchQueue::new(NoDatabase, settings);
        let days = papaya::HashMap::default();
        let uses = KeyUses { days, queue };
        let tenant = TenantId::parse(1).unwrap();
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let (one, other) = (
            KeyRef::AppKey(tenant, random::id::<KeyId>()),
            KeyRef::DeviceKey(tenant, random::id::<KeyId>()),
        );
        for seconds in [0, 86_399] {
            uses.record(one, at(seconds));
        }
        let recorded_day = AtomicI64::new(i64::MIN);
        uses.record_of_catalog(other, &recorded_day, at(1));
        assert_eq!(writer.next_queued().unwrap().key, one);
        assert!(writer.next_queued().is_none());
        for seconds in [2, 3] {
            uses.record_of_catalog(other, &recorded_day, at(seconds));
        }
        assert_eq!(writer.next_queued().unwrap().key, other);
        assert!(writer.next_queued().is_none());
        uses.record_of_catalog(other, &recorded_day, at(86_400));
        assert_eq!(writer.next_queued().unwrap().key, other);
        uses.record(one, at(86_400));
        assert_eq!(writer.next_queued().unwrap().day, at(86_400).date_naive());
        uses.evict_unused(at(3 * 86_400));
        assert!(uses.days.is_empty());
    }
}
