//! Tests of batches: their size and time, refusals, and outages of the database.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::{BatchQueue, BatchSettings, BatchSink, BatchStatus};
use crate::storage::StorageError;
use crate::supervision::Exit;

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
