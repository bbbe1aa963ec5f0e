//! Statistics of the recorder.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start of the node.
#[derive(Default)]
pub(super) struct Counts {
    /// Records that are neither written nor dropped yet: in the queue or in the writer's batch.
    queued: AtomicU64,
    written: AtomicU64,
    batches: AtomicU64,
    dropped: AtomicU64,
    over_limit: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRecordStatus {
    /// Records waiting to be written.
    pub queued: u64,
    /// Device rows written.
    pub written: u64,
    /// Transactions committed.
    pub batches: u64,
    /// Records lost because the queue was full or the database rejected them.
    pub dropped: u64,
    /// Records of new devices beyond the tenant's daily limit.
    pub over_limit: u64,
}

impl Counts {
    pub(super) fn queued(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a transaction for `records` records.
    pub(super) fn batch(&self, records: usize, written: usize, over_limit: usize) {
        self.queued.fetch_sub(records as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        self.over_limit.fetch_add(over_limit as u64, Ordering::Relaxed);
    }

    /// Counts a queued record as lost.
    pub(super) fn dropped(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> DeviceRecordStatus {
        DeviceRecordStatus {
            queued: self.queued.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            over_limit: self.over_limit.load(Ordering::Relaxed),
        }
    }
}
