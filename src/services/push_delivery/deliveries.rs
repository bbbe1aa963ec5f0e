//! What was handed to devices, written in batches that nobody waits for for long.
//!
//! What is lost here is only delivered once more.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::catalog::ids::PushId;
use crate::catalog::push::Channel;
use crate::catalog::text::DeviceId;
use crate::clock::Clock;
use crate::services::batches::{self, Batch};
use crate::storage::push_targets::{TargetKey, mark_delivered};
use crate::storage::{Db, StorageError};
use crate::supervision::Exit;

/// Deliveries that may wait to be written.
const QUEUE: usize = 65_536;
const BATCH: usize = 1_000;
/// How long the first of a batch waits for others.
const WAIT: Duration = Duration::from_millis(20);
/// How long somebody waits who wants to know it written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// Takes notes of deliveries.
pub(super) struct Deliveries {
    queue: mpsc::Sender<Message>,
    unwritten: Arc<Unwritten>,
    counters: [(Channel, Counter); 3],
}

/// A push that was handed to a channel for a device.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) target: TargetKey,
    pub(super) push: PushId,
    pub(super) channel: Channel,
}

enum Message {
    Delivered(Vec<Delivery>, Option<oneshot::Sender<()>>),
    /// Nothing comes after this.
    Stop,
}

/// By which channel what is not written yet was delivered: a device may acknowledge faster than that is.
#[derive(Default)]
struct Unwritten(Mutex<HashMap<(PushId, DeviceId), Channel>>);

/// Writes what [`Deliveries`] notes.
pub(super) struct DeliveryWriter {
    db: Db,
    clock: Arc<dyn Clock>,
    messages: mpsc::Receiver<Message>,
    unwritten: Arc<Unwritten>,
    batch: Handed,
    is_writing: bool,
    is_last: bool,
}

impl Deliveries {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> (Self, DeliveryWriter) {
        let (queue, messages) = mpsc::channel(QUEUE);
        let unwritten = Arc::<Unwritten>::default();
        let deliveries = Self {
            queue,
            unwritten: unwritten.clone(),
            counters: Channel::ALL.map(|channel| {
                let name = "slipway_push_deliveries_total";
                (channel, counter!(name, "channel" => channel.as_str()))
            }),
        };
        let writer = DeliveryWriter {
            db,
            clock,
            messages,
            unwritten,
            batch: Handed::default(),
            is_writing: false,
            is_last: false,
        };
        (deliveries, writer)
    }

    /// Notes deliveries by one channel, and waits for nothing.
    pub(super) fn note(&self, delivered: Vec<Delivery>) {
        self.send(delivered, None);
    }

    /// Notes deliveries that are about to happen, and returns when that is written, or soon anyway.
    pub(super) async fn note_and_wait(&self, delivered: Vec<Delivery>) {
        let (done, written) = oneshot::channel();
        self.send(delivered, Some(done));
        // Written too late, the same is only delivered twice.
        let _ = timeout(WRITTEN_WITHIN, written).await;
    }

    /// By which channel a push was delivered that is not written yet.
    pub(super) fn unwritten_channel(&self, push: PushId, device: &DeviceId) -> Option<Channel> {
        self.unwritten.lock().get(&(push, device.clone())).copied()
    }

    /// Returns when everything that was noted is written and the writer has ended, or after some seconds.
    pub(super) async fn finish(&self, writer: JoinHandle<()>) {
        let abort = writer.abort_handle();
        let written = timeout(WRITE_LAST_WITHIN, async {
            // The writer may have ended already.
            let _ = self.queue.send(Message::Stop).await;
            writer.await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            abort.abort();
            tracing::warn!("the last deliveries of pushes could not be written; they are delivered again");
        }
    }

    fn send(&self, delivered: Vec<Delivery>, done: Option<oneshot::Sender<()>>) {
        for (channel, counter) in &self.counters {
            let by_it = delivered.iter().filter(|delivery| delivery.channel == *channel);
            counter.increment(by_it.count() as u64);
        }
        self.unwritten.add(&delivered);
        if let Err(error) = self.queue.try_send(Message::Delivered(delivered, done)) {
            let (mpsc::error::TrySendError::Full(message) | mpsc::error::TrySendError::Closed(message)) =
                error;
            if let Message::Delivered(lost, _) = message {
                self.unwritten.remove(&lost);
            }
        }
    }
}

impl Unwritten {
    fn lock(&self) -> MutexGuard<'_, HashMap<(PushId, DeviceId), Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, delivered: &[Delivery]) {
        let key = |delivery: &Delivery| (delivery.push, delivery.target.device.clone());
        self.lock()
            .extend(delivered.iter().map(|delivery| (key(delivery), delivery.channel)));
    }

    fn remove(&self, written: &[Delivery]) {
        let mut unwritten = self.lock();
        for delivery in written {
            unwritten.remove(&(delivery.push, delivery.target.device.clone()));
        }
    }
}

/// Deliveries of one transaction, and who waits for it.
#[derive(Default)]
struct Handed {
    delivered: Vec<Delivery>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl DeliveryWriter {
    /// Writes until [`Deliveries::finish`] and everything before it.
    pub(super) async fn run(&mut self) -> Exit {
        if std::mem::take(&mut self.is_writing) {
            // The run before this one failed on it; this one would too.
            tracing::error!("deliveries of pushes cannot be written; they are delivered again");
            self.end_batch();
        }
        while !self.is_last {
            if self.collect().await.is_break() {
                self.is_last = true;
            }
            self.is_writing = true;
            self.write(&self.batch.delivered).await;
            self.is_writing = false;
            self.end_batch();
        }
        Exit::Finished
    }

    /// Forgets a batch, written or not, and notifies those who wait for it.
    fn end_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.unwritten.remove(&batch.delivered);
        for waiting in batch.waiting {
            // The caller may have stopped waiting.
            let _ = waiting.send(());
        }
    }

    /// Fills a batch until it is full, its time is up, or there is nothing more to come.
    async fn collect(&mut self) -> ControlFlow<()> {
        let batch = &mut self.batch;
        batches::collect(&mut self.messages, WAIT, |message| match message {
            Message::Delivered(delivered, waiting) => {
                batch.delivered.extend(delivered);
                batch.waiting.extend(waiting);
                Batch::of(batch.delivered.len(), BATCH)
            }
            Message::Stop => Batch::IsLast,
        })
        .await
    }

    /// Tries again for as long as the database is away; the queue fills meanwhile.
    async fn write(&self, delivered: &[Delivery]) {
        let mut backoff = Backoff::default();
        loop {
            match self.write_once(delivered).await {
                Ok(()) => return,
                Err(error) if error.is_passing() => {
                    tracing::debug!(%error, "deliveries of pushes cannot be written now; they are tried again");
                    tokio::time::sleep(backoff.next()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "deliveries of pushes cannot be written; they are delivered again");
                    return;
                }
            }
        }
    }

    /// Each channel in a transaction of its own, since rows are locked in the order of their keys.
    async fn write_once(&self, delivered: &[Delivery]) -> Result<(), StorageError> {
        let now = self.clock.now();
        for channel in Channel::ALL {
            let by_it = delivered.iter().filter(|delivery| delivery.channel == channel);
            let targets: Vec<_> = by_it.map(|delivery| delivery.target.clone()).collect();
            if !targets.is_empty() {
                let tx = self.db.begin().await?;
                mark_delivered(&tx, &targets, (channel, now)).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }
}
