//! Statistics of the recorder.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::services::batch_writer::BatchStatus;

/// Counters since the start of the node.
#[derive(Default)]
pub(super) struct Counts {
    written: AtomicU64,
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
    /// Counts the rows of a transaction, and its records beyond a limit.
    pub(super) fn transaction(&self, written: usize, over_limit: usize) {
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        self.over_limit.fetch_add(over_limit as u64, Ordering::Relaxed);
    }

    pub(super) fn status(&self, batches: BatchStatus) -> DeviceRecordStatus {
        DeviceRecordStatus {
            queued: batches.queued,
            written: self.written.load(Ordering::Relaxed),
            batches: batches.batches,
            dropped: batches.dropped,
            over_limit: self.over_limit.load(Ordering::Relaxed),
        }
    }
}
