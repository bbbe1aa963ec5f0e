//! Batched writes: callers queue items without waiting, and one task writes them to the database.
//!
//! The queue is bounded; an item that does not fit is dropped and counted. While the database is unavailable, the
//! writer retries and the queue fills. If the database refuses a batch, it is split in halves until the refused item is
//! alone, and that item is dropped. After a few such items, refused parts of the batch are dropped as a whole.

mod queue;
#[cfg(test)]
mod tests;
mod writer;

use std::time::Duration;

pub use self::queue::{BatchQueue, BatchStatus};
pub use self::writer::BatchWriter;
use crate::storage::StorageError;

/// Destination of items: writes batches of them.
pub trait BatchSink: Send + Sync + 'static {
    /// Name of the task, in the log and the metrics.
    const NAME: &'static str;
    /// Consequence of a dropped item, for the log.
    const IF_DROPPED: &'static str;

    type Item: Send + Sync + 'static;
    /// Result of a write.
    type Written: Send;

    /// Returns the number of records in an item.
    fn size(_: &Self::Item) -> usize {
        1
    }

    /// Writes items in one transaction, so that a part of a refused batch can be written again. Items may already be
    /// written, if the connection was lost during the commit.
    fn write(&self, items: &[Self::Item])
    -> impl Future<Output = Result<Self::Written, StorageError>> + Send;

    /// Updates the state in memory after a write.
    fn apply(&self, _: Self::Written) {}

    /// Releases an item that was written or dropped.
    fn release(&self, _: Self::Item) {}
}

/// Capacity and timing of a batch writer.
#[derive(Debug, Clone, Copy)]
pub struct BatchSettings {
    /// Maximum number of items that wait for the writer.
    pub queue: usize,
    /// Number of records at which a batch is full. At least one item is written.
    pub batch: usize,
    /// Time that the first item of a batch waits for others.
    pub wait: Duration,
    /// Time limit for writing the last items at a stop.
    pub finish_within: Duration,
}

impl<T> BatchQueue<T> {
    pub(super) fn new<S>(sink: S, settings: BatchSettings) -> (Self, BatchWriter<S>)
    where
        S: BatchSink<Item = T>,
    {
        let (queue, items) = Self::open::<S>(settings);
        (queue, BatchWriter::new(sink, items, settings))
    }
}
