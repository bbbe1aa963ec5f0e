//! Bounded queue of items in front of a batch writer, and its counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{BatchSettings, BatchSink};

/// Queue of items in front of a [`BatchWriter`](super::BatchWriter).
pub struct BatchQueue<T> {
    messages: mpsc::Sender<Message<T>>,
    counts: Arc<Counts>,
    size: fn(&T) -> usize,
    name: &'static str,
    if_dropped: &'static str,
    finish_within: Duration,
}

/// Receiving end of a queue.
pub(super) struct QueuedItems<T> {
    pub(super) messages: mpsc::Receiver<Message<T>>,
    pub(super) counts: Arc<Counts>,
}

pub(super) enum Message<T> {
    Item(T),
    /// No item follows.
    Stop,
}

/// Counters since the start of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchStatus {
    /// Records that are neither written nor dropped yet.
    pub queued: u64,
    /// Batches or parts of batches written.
    pub batches: u64,
    /// Records dropped because the queue was full or the database refused them.
    pub dropped: u64,
}

pub(super) struct Counts {
    queued: AtomicU64,
    batches: AtomicU64,
    dropped: AtomicU64,
    dropped_metric: Counter,
    pub(super) retries: Counter,
}

impl Counts {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dropped_metric: counter!("slipway_batch_records_dropped_total", "writer" => name),
            retries: counter!("slipway_batch_retries_total", "writer" => name),
        })
    }

    pub(super) fn count_dropped(&self, records: usize) {
        self.queued.fetch_sub(records as u64, Ordering::Relaxed);
        self.dropped.fetch_add(records as u64, Ordering::Relaxed);
        self.dropped_metric.increment(records as u64);
    }

    pub(super) fn count_written(&self, records: usize) {
        self.queued.fetch_sub(records as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> BatchQueue<T> {
    pub(super) fn open<S>(settings: BatchSettings) -> (Self, QueuedItems<T>)
    where
        S: BatchSink<Item = T>,
    {
        let (sender, messages) = mpsc::channel(settings.queue);
        let counts = Counts::new(S::NAME);
        let queue = Self {
            messages: sender,
            counts: counts.clone(),
            size: S::size,
            name: S::NAME,
            if_dropped: S::IF_DROPPED,
            finish_within: settings.finish_within,
        };
        (queue, QueuedItems { messages, counts })
    }

    /// Queues an item without waiting. Returns it if the queue is full; it is counted as dropped.
    pub(in crate::services) fn push(&self, item: T) -> Result<(), T> {
        // Counted first, because the writer may write the item immediately.
        let records = (self.size)(&item);
        self.counts.queued.fetch_add(records as u64, Ordering::Relaxed);
        let Ok(permit) = self.messages.try_reserve() else {
            self.counts.count_dropped(records);
            return Err(item);
        };
        permit.send(Message::Item(item));
        Ok(())
    }

    /// Waits until all items are written and the writer's task has ended, or a time limit passes.
    pub(in crate::services) async fn finish(&self, writer: JoinHandle<()>) {
        let abort = writer.abort_handle();
        let written = timeout(self.finish_within, async {
            // The writer may have ended already.
            let _ = self.messages.send(Message::Stop).await;
            writer.await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            abort.abort();
            let queued = self.status().queued;
            tracing::error!(
                writer = self.name,
                queued,
                consequence = self.if_dropped,
                "the last items could not be written"
            );
        }
    }

    pub(in crate::services) fn status(&self) -> BatchStatus {
        BatchStatus {
            queued: self.counts.queued.load(Ordering::Relaxed),
            batches: self.counts.batches.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
        }
    }
}
