//! Batched writes: callers queue items without waiting, and one task writes them to the database.
//!
//! The queue is bounded; an item that does not fit is dropped and counted. While the database is unavailable, the
//! writer retries and the queue fills. If the database refuses a batch, it is split in halves until the refused item is
//! alone, and that item is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};

use crate::backoff::Backoff;
use crate::storage::StorageError;
use crate::supervision::{Exit, contain_panic};
use crate::timer;

/// Kind of items: how a batch of them is written.
pub trait BatchKind: Send + Sync + 'static {
    /// Name in the log and the metrics.
    const NAME: &'static str;
    /// Consequence of a dropped item, for the log.
    const IF_DROPPED: &'static str;

    type Item: Send + Sync + 'static;

    /// Returns the number of records in an item.
    fn size(_: &Self::Item) -> usize {
        1
    }

    /// Writes items. They may already be written, if the connection was lost during the commit.
    fn write(&self, items: &[Self::Item]) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Releases an item that was written or dropped.
    fn release(&self, _: Self::Item) {}
}

/// Capacity and timing of a batch writer.
#[derive(Debug, Clone, Copy)]
pub struct BatchSettings {
    /// Maximum number of items that wait for the writer.
    pub queue: usize,
    /// Number of records at which a batch is full.
    pub batch: usize,
    /// Time that the first item of a batch waits for others.
    pub wait: Duration,
    /// Time limit for writing the last items at a stop.
    pub finish_within: Duration,
}

/// Queue of items in front of a [`BatchWriter`].
pub struct BatchQueue<T> {
    messages: mpsc::Sender<Message<T>>,
    counts: Arc<Counts>,
    name: &'static str,
    if_dropped: &'static str,
    finish_within: Duration,
}

/// Task that writes the items of a [`BatchQueue`]. Its items survive a panic.
pub struct BatchWriter<K: BatchKind> {
    kind: K,
    messages: mpsc::Receiver<Message<K::Item>>,
    counts: Arc<Counts>,
    settings: BatchSettings,
    /// Batch that is being collected.
    batch: Vec<K::Item>,
    /// Parts of a batch that are not written yet; the last one is next.
    parts: Vec<Vec<K::Item>>,
    is_last: bool,
}

enum Message<T> {
    Item(T),
    /// No item follows.
    Stop,
}

/// Counters since the start of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchStatus {
    /// Items that are neither written nor dropped yet.
    pub queued: u64,
    /// Batches or parts of batches written.
    pub batches: u64,
    /// Items dropped because the queue was full or the database refused them.
    pub dropped: u64,
}

struct Counts {
    queued: AtomicU64,
    batches: AtomicU64,
    dropped: AtomicU64,
    dropped_metric: Counter,
}

/// Reason that a batch was not written although the database is available.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Refused(#[from] StorageError),
    #[error("the write panicked: {0}")]
    Panicked(String),
}

impl Counts {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicU64::new(0),
            batches: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            dropped_metric: counter!("slipway_batch_items_dropped_total", "writer" => name),
        })
    }

    fn count_dropped(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.dropped_metric.increment(1);
    }

    fn count_written(&self, items: usize) {
        self.queued.fetch_sub(items as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> BatchQueue<T> {
    pub(super) fn new<K>(kind: K, settings: BatchSettings) -> (Self, BatchWriter<K>)
    where
        K: BatchKind<Item = T>,
    {
        let (sender, messages) = mpsc::channel(settings.queue);
        let counts = Counts::new(K::NAME);
        let queue = Self {
            messages: sender,
            counts: counts.clone(),
            name: K::NAME,
            if_dropped: K::IF_DROPPED,
            finish_within: settings.finish_within,
        };
        let writer = BatchWriter {
            kind,
            messages,
            counts,
            settings,
            batch: Vec::new(),
            parts: Vec::new(),
            is_last: false,
        };
        (queue, writer)
    }

    /// Queues an item without waiting. Returns it if the queue is full; it is counted as dropped.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        // Counted first, because the writer may write the item immediately.
        self.counts.queued.fetch_add(1, Ordering::Relaxed);
        let Ok(place) = self.messages.try_reserve() else {
            self.counts.count_dropped();
            return Err(item);
        };
        place.send(Message::Item(item));
        Ok(())
    }

    /// Waits until all items are written and the writer's task has ended, or a time limit passes.
    pub(super) async fn finish(&self, writer: JoinHandle<()>) {
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

    pub(super) fn status(&self) -> BatchStatus {
        BatchStatus {
            queued: self.counts.queued.load(Ordering::Relaxed),
            batches: self.counts.batches.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
        }
    }
}

impl<K: BatchKind> BatchWriter<K> {
    /// Writes items until [`BatchQueue::finish`], including all items queued before it.
    pub async fn run(&mut self) -> Exit {
        loop {
            self.write_parts().await;
            if self.is_last {
                return Exit::Finished;
            }
            self.collect().await;
            if !self.batch.is_empty() {
                self.parts.push(std::mem::take(&mut self.batch));
            }
        }
    }

    /// Returns the next item of the queue, if there is one.
    #[cfg(test)]
    pub(super) fn next_queued(&mut self) -> Option<K::Item> {
        match self.messages.try_recv() {
            Ok(Message::Item(item)) => Some(item),
            _ => None,
        }
    }

    /// Fills a batch until it is full, its first item has waited long enough, or no item follows.
    async fn collect(&mut self) {
        // A previous run may have stopped within a batch.
        let mut deadline = (!self.batch.is_empty()).then(timer::runtime_now);
        let mut size = self.batch.iter().map(K::size).sum::<usize>();
        while size < self.settings.batch {
            let message = match deadline {
                None => self.messages.recv().await,
                Some(deadline) => match timeout_at(deadline, self.messages.recv()).await {
                    Ok(message) => message,
                    Err(_) => return,
                },
            };
            let Some(Message::Item(item)) = message else {
                self.is_last = true;
                return;
            };
            size += K::size(&item);
            self.batch.push(item);
            deadline.get_or_insert_with(|| timer::runtime_now() + self.settings.wait);
        }
    }

    async fn write_parts(&mut self) {
        while let Some(part) = self.parts.last() {
            let written = self.write_when_possible(part).await;
            let Some(mut part) = self.parts.pop() else { return };
            match written {
                Ok(()) => self.counts.count_written(part.len()),
                Err(_) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    self.parts.extend([second, part]);
                    continue;
                }
                Err(error) => {
                    tracing::error!(
                        %error,
                        writer = K::NAME,
                        consequence = K::IF_DROPPED,
                        "an item cannot be written and is dropped"
                    );
                    self.counts.count_dropped();
                }
            }
            for item in part {
                self.kind.release(item);
            }
        }
    }

    /// Retries while the database is unavailable. The queue fills meanwhile.
    async fn write_when_possible(&self, items: &[K::Item]) -> Result<(), WriteError> {
        let mut backoff = Backoff::default();
        loop {
            let written = contain_panic(self.kind.write(items)).await;
            match written.map_err(WriteError::Panicked)? {
                Err(error) if error.is_transient() => {
                    if backoff.is_first() {
                        tracing::warn!(%error, writer = K::NAME, "a batch cannot be written now; retrying");
                    }
                    sleep(backoff.next()).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Refuses batches with the number 13, and panics at 14.
    struct Numbers(Arc<Mutex<Vec<Vec<u8>>>>);

    impl BatchKind for Numbers {
        const NAME: &'static str = "numbers";
        const IF_DROPPED: &'static str = "none";
        type Item = u8;

        async fn write(&self, items: &[u8]) -> Result<(), StorageError> {
            assert!(!items.contains(&14), "14 panics");
            if items.contains(&13) {
                return Err(StorageError::BrokenReference);
            }
            self.0.lock().unwrap().push(items.to_vec());
            Ok(())
        }
    }

    fn settings(batch: usize, wait: Duration) -> BatchSettings {
        BatchSettings {
            queue: 9,
            batch,
            wait,
            finish_within: Duration::from_hours(1),
        }
    }

    async fn write(batch: usize, items: &[u8]) -> (Vec<Vec<u8>>, BatchStatus) {
        let written = Arc::default();
        let settings = settings(batch, Duration::from_hours(1));
        let (queue, mut writer) = BatchQueue::new(Numbers(Arc::clone(&written)), settings);
        for item in items {
            // What does not fit is counted.
            let _ = queue.push(*item);
        }
        queue
            .finish(tokio::spawn(async move {
                assert_eq!(writer.run().await, Exit::Finished)
            }))
            .await;
        let written = written.lock().unwrap().clone();
        (written, queue.status())
    }

    fn status(batches: u64, dropped: u64) -> BatchStatus {
        BatchStatus {
            queued: 0,
            batches,
            dropped,
        }
    }

    #[tokio::test]
    async fn a_batch_ends_when_it_is_full_or_nothing_more_comes() {
        let expected = (vec![vec![0, 1, 2], vec![3, 4]], status(2, 0));
        assert_eq!(write(3, &[0, 1, 2, 3, 4]).await, expected);
    }

    #[tokio::test]
    async fn a_batch_ends_when_its_first_item_has_waited() {
        let (queue, mut writer) = BatchQueue::new(Numbers(Arc::default()), settings(9, Duration::ZERO));
        queue.push(1).unwrap();
        writer.collect().await;
        assert_eq!((writer.batch.as_slice(), writer.is_last), (&[1][..], false));
    }

    #[tokio::test]
    async fn only_items_that_are_refused_or_do_not_fit_are_dropped() {
        let (written, counts) = write(9, &[1, 2, 13, 4, 5, 14, 7, 8, 9, 10, 11]).await;
        assert_eq!(written.concat(), [1, 2, 4, 5, 7, 8, 9]);
        assert_eq!((counts.queued, counts.dropped), (0, 4));
    }

    #[tokio::test]
    async fn items_of_an_interrupted_write_are_written_by_the_next_run() {
        let written = Arc::default();
        let (queue, mut writer) = BatchQueue::new(Numbers(Arc::clone(&written)), settings(9, Duration::ZERO));
        writer.parts.push(vec![1, 2]);
        queue.counts.queued.store(2, Ordering::Relaxed);
        queue
            .finish(tokio::spawn(async move {
                assert_eq!(writer.run().await, Exit::Finished)
            }))
            .await;
        assert_eq!(*written.lock().unwrap(), [[1, 2]]);
    }
}
