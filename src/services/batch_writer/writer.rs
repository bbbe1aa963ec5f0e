//! Task that collects queued items in batches and writes them.

use tokio::time::{sleep, timeout_at};

use super::queue::{Message, QueuedItems};
use super::{BatchSettings, BatchSink};
use crate::backoff::Backoff;
use crate::error_chain::error_chain;
use crate::storage::StorageError;
use crate::supervision::{Exit, contain_panic};
use crate::timer;

/// Number of single items of a batch that are refused before refused parts of it are no longer split.
const MAX_SINGLE_REFUSALS: usize = 5;

/// Task that writes the items of a [`BatchQueue`](super::BatchQueue). Its items survive a panic.
pub struct BatchWriter<S: BatchSink> {
    sink: S,
    items: QueuedItems<S::Item>,
    settings: BatchSettings,
    /// Batch that is being collected.
    pub(super) batch: Vec<S::Item>,
    /// Parts of a batch that are not written yet; the last one is next.
    parts: Vec<Vec<S::Item>>,
    refusals: Refusals,
    pub(super) is_last: bool,
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

impl<S: BatchSink> BatchWriter<S> {
    pub(super) fn new(sink: S, items: QueuedItems<S::Item>, settings: BatchSettings) -> Self {
        Self {
            sink,
            items,
            settings,
            batch: Vec::new(),
            parts: Vec::new(),
            refusals: Refusals::default(),
            is_last: false,
        }
    }

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
    pub(in crate::services) fn next_queued(&mut self) -> Option<S::Item> {
        match self.items.messages.try_recv() {
            Ok(Message::Item(item)) => Some(item),
            _ => None,
        }
    }

    /// Fills a batch until it is full, its first item has waited long enough, or no item follows.
    pub(super) async fn collect(&mut self) {
        // A previous run may have stopped within a batch.
        let mut deadline = (!self.batch.is_empty()).then(timer::runtime_now);
        let mut size = records_in::<S>(&self.batch);
        while self.batch.is_empty() || size < self.settings.batch {
            let message = match deadline {
                None => self.items.messages.recv().await,
                Some(deadline) => match timeout_at(deadline, self.items.messages.recv()).await {
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
                    self.items.counts.count_written(records_in::<S>(&part));
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
        self.items.counts.count_dropped(records);
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
                    self.items.counts.retries.increment(1);
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
