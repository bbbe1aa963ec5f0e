//! What became of the records, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Since the start of the node.
#[derive(Default)]
pub(super) struct Counts {
    written: AtomicU64,
    batches: AtomicU64,
    dropped: AtomicU64,
    over_limit: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRecordStatus {
    /// Records that wait to be written.
    pub queued: usize,
    /// Rows of devices that were written.
    pub written: u64,
    /// Transactions that were committed.
    pub batches: u64,
    /// Records lost because the queue was full or the database refuses them.
    pub dropped: u64,
    /// Records of new ids beyond the tenant's limit of the day.
    pub over_limit: u64,
}

impl Counts {
    pub(super) fn batch(&self, written: usize, over_limit: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        self.over_limit.fetch_add(over_limit as u64, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, records: usize) {
        self.dropped.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn status(&self, queued: usize) -> DeviceRecordStatus {
        DeviceRecordStatus {
            queued,
            written: self.written.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            over_limit: self.over_limit.load(Ordering::Relaxed),
        }
    }
}
