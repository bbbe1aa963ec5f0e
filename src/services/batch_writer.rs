//! Batched writes: callers queue items without waiting, and one task writes them to the database.
//!
//! The queue is bounded; an item that does not fit is dropped and counted. While the database is unavailable, the
//! writer retries and the queue fills. If the database refuses a batch, it is split in halves until the refused item is
//! alone, and that item is dropped. After a few such items, refused parts of the batch are dropped as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout, timeout_at};

use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::storage::StorageError;
use crate::supervision::{Exit, contain_panic};
use crate::timer;

/// Number of single items of a batch that are refused before refused parts of it are no longer split.
const MAX_SINGLE_REFUSALS: usize = 5;

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

/// Queue of items in front of a [`BatchWriter`].
pub struct BatchQueue<T> {
    messages: mpsc::Sender<Message<T>>,
    counts: Arc<Counts>,
    size: fn(&T) -> usize,
    name: &'static str,
    if_dropped: &'static str,
    finish_within: Duration,
}

/// Task that writes the items of a [`BatchQueue`]. Its items survive a panic.
pub struct BatchWriter<S: BatchSink> {
    sink: S,
    messages: mpsc::Receiver<Message<S::Item>>,
    counts: Arc<Counts>,
    settings: BatchSettings,
    /// Batch that is being collected.
    batch: Vec<S::Item>,
    /// Parts of a batch that are not written yet; the last one is next.
    parts: Vec<Vec<S::Item>>,
    refusals: Refusals,
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
    /// Records that are neither written nor dropped yet.
    pub queued: u64,
    /// Batches or parts of batches written.
    pub batches: u64,
    /// Records dropped because the queue was full or the database refused them.
    pub dropped: u64,
}

struct Counts {
    queued: AtomicU64,
    batches: AtomicU64,
    dropped: AtomicU64,
    dropped_metric: Counter,
    retries: Counter,
}

/// Refused items of the current batch.
#[derive(Default)]
struct Refusals {
    /// Number of items that were refused alone.
    single: usize,
    /// Number of records dropped with refused parts, and the last error.
    parts: Option<(usize, String)>,
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
            dropped_metric: counter!("slipway_batch_records_dropped_total", "writer" => name),
            retries: counter!("slipway_batch_retries_total", "writer" => name),
        })
    }

    fn count_dropped(&self, records: usize) {
        self.queued.fetch_sub(records as u64, Ordering::Relaxed);
        self.dropped.fetch_add(records as u64, Ordering::Relaxed);
        self.dropped_metric.increment(records as u64);
    }

    fn count_written(&self, records: usize) {
        self.queued.fetch_sub(records as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T> BatchQueue<T> {
    pub(super) fn new<S>(sink: S, settings: BatchSettings) -> (Self, BatchWriter<S>)
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
        let writer = BatchWriter {
            sink,
            messages,
            counts,
            settings,
            batch: Vec::new(),
            parts: Vec::new(),
            refusals: Refusals::default(),
            is_last: false,
        };
        (queue, writer)
    }

    /// Queues an item without waiting. Returns it if the queue is full; it is counted as dropped.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
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

impl<S: BatchSink> BatchWriter<S> {
    /// Writes items until the queue is finished, including all items queued before it.
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
    pub(super) fn next_queued(&mut self) -> Option<S::Item> {
        match self.messages.try_recv() {
            Ok(Message::Item(item)) => Some(item),
            _ => None,
        }
    }

    /// Fills a batch until it is full, its first item has waited long enough, or no item follows.
    async fn collect(&mut self) {
        // A previous run may have stopped within a batch.
        let mut deadline = (!self.batch.is_empty()).then(timer::runtime_now);
        let mut size = records_in::<S>(&self.batch);
        while self.batch.is_empty() || size < self.settings.batch {
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
            size += S::size(&item);
            self.batch.push(item);
            deadline.get_or_insert_with(|| timer::runtime_now() + self.settings.wait);
        }
    }

    async fn write_parts(&mut self) {
        while let Some(part) = self.parts.last() {
            let written = self.write_when_possible(part).await;
            let Some(part) = self.parts.pop() else { return };
            match written {
                Ok(written) => {
                    self.counts.count_written(records_in::<S>(&part));
                    self.sink.apply(written);
                    self.release(part);
                }
                Err(error) => self.split_or_drop(part, &error),
            }
        }
        if let Some((records, error)) = std::mem::take(&mut self.refusals).parts {
            report_dropped::<S>(records, &error);
        }
    }

    /// Splits a refused part, or drops it if it is a single item or many items were refused before.
    fn split_or_drop(&mut self, mut part: Vec<S::Item>, error: &WriteError) {
        if part.len() > 1 && self.refusals.single < MAX_SINGLE_REFUSALS {
            let second = part.split_off(part.len() / 2);
            self.parts.extend([second, part]);
            return;
        }
        let records = records_in::<S>(&part);
        self.counts.count_dropped(records);
        let error = error_chain(error);
        if self.refusals.single < MAX_SINGLE_REFUSALS {
            self.refusals.single += 1;
            report_dropped::<S>(records, &error);
        } else {
            let (dropped, last) = self.refusals.parts.get_or_insert_default();
            *dropped += records;
            *last = error;
        }
        self.release(part);
    }

    fn release(&self, items: Vec<S::Item>) {
        for item in items {
            self.sink.release(item);
        }
    }

    /// Retries while the database is unavailable. The queue fills meanwhile.
    async fn write_when_possible(&self, items: &[S::Item]) -> Result<S::Written, WriteError> {
        let mut backoff = Backoff::default();
        loop {
            let written = contain_panic(self.sink.write(items)).await;
            match written.map_err(WriteError::Panicked)? {
                Err(error) if error.is_transient() => {
                    self.counts.retries.increment(1);
                    if backoff.is_report_due() {
                        tracing::warn!(%error, writer = S::NAME, "a batch cannot be written now; retrying");
                    }
                    sleep(backoff.next()).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

fn records_in<S: BatchSink>(items: &[S::Item]) -> usize {
    items.iter().map(S::size).sum()
}

fn report_dropped<S: BatchSink>(records: usize, error: &str) {
    tracing::error!(
        error,
        records,
        writer = S::NAME,
        consequence = S::IF_DROPPED,
        "records cannot be written and are dropped"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt as _;

    use super::*;

    type WrittenNumbers = Arc<Mutex<Vec<Vec<u8>>>>;

    /// Refuses batches with the number 13 or one from 100, and panics at 14.
    #[derive(Default)]
    struct Numbers {
        written: WrittenNumbers,
        attempts: Arc<AtomicUsize>,
        /// Number of writes that fail because the database is unavailable.
        outage: AtomicUsize,
    }

    impl BatchSink for Numbers {
        const NAME: &'static str = "numbers";
        const IF_DROPPED: &'static str = "none";
        type Item = u8;
        type Written = ();

        async fn write(&self, items: &[u8]) -> Result<(), StorageError> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            assert!(!items.contains(&14), "14 panics");
            if items.iter().any(|item| *item == 13 || *item >= 100) {
                return Err(StorageError::BrokenReference);
            }
            if self.outage.load(Ordering::Relaxed) > 0 {
                self.outage.fetch_sub(1, Ordering::Relaxed);
                return Err(StorageError::no_answer(Duration::ZERO));
            }
            self.written.lock().unwrap().push(items.to_vec());
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

    async fn write_to(sink: Numbers, settings: BatchSettings, items: &[u8]) -> (Vec<Vec<u8>>, BatchStatus) {
        let written = sink.written.clone();
        let (queue, mut writer) = BatchQueue::new(sink, settings);
        for item in items {
            // An item that does not fit is counted.
            let _ = queue.push(*item);
        }
        queue
            .finish(tokio::spawn(async move {
                assert_eq!(writer.run().await, Exit::Finished);
            }))
            .await;
        let written = written.lock().unwrap().clone();
        (written, queue.status())
    }

    async fn write(batch: usize, items: &[u8]) -> (Vec<Vec<u8>>, BatchStatus) {
        write_to(
            Numbers::default(),
            settings(batch, Duration::from_hours(1)),
            items,
        )
        .await
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
        let (queue, mut writer) = BatchQueue::new(Numbers::default(), settings(9, Duration::ZERO));
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
    async fn a_batch_size_of_zero_writes_single_items() {
        assert_eq!(write(0, &[1, 2]).await, (vec![vec![1], vec![2]], status(2, 0)));
    }

    #[tokio::test]
    async fn a_batch_that_is_refused_as_a_whole_costs_few_writes() {
        let sink = Numbers::default();
        let attempts = sink.attempts.clone();
        let settings = BatchSettings {
            queue: 300,
            ..settings(256, Duration::from_hours(1))
        };
        let (written, counts) = write_to(sink, settings, &[100; 256]).await;
        assert!(written.is_empty());
        assert_eq!((counts.queued, counts.dropped), (0, 256));
        let attempts = attempts.load(Ordering::Relaxed);
        assert!(attempts <= 30, "{attempts}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_written_once_the_database_is_available_again() {
        let sink = Numbers {
            outage: AtomicUsize::new(20),
            ..Numbers::default()
        };
        let attempts = sink.attempts.clone();
        let (written, counts) = write_to(sink, settings(9, Duration::ZERO), &[1, 2]).await;
        assert_eq!((written.concat(), counts.dropped), (vec![1, 2], 0));
        assert!(attempts.load(Ordering::Relaxed) > 20);
    }

    #[tokio::test(start_paused = true)]
    async fn items_of_an_interrupted_write_are_written_by_the_next_run() {
        let sink = Numbers {
            outage: AtomicUsize::new(1),
            ..Numbers::default()
        };
        let written = sink.written.clone();
        let (queue, mut writer) = BatchQueue::new(sink, settings(2, Duration::from_hours(1)));
        for item in [1, 2] {
            queue.push(item).unwrap();
        }
        // The first write fails, and the run ends while it waits for the retry.
        assert_eq!(writer.run().now_or_never(), None);
        assert!(written.lock().unwrap().is_empty());
        queue
            .finish(tokio::spawn(async move {
                assert_eq!(writer.run().await, Exit::Finished);
            }))
            .await;
        assert_eq!(*written.lock().unwrap(), [[1, 2]]);
        assert_eq!(queue.status(), status(1, 0));
    }
}
