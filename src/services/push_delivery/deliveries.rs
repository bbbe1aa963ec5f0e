//! Batched writes of push deliveries. Callers wait for a write for a short time at most.
//!
//! A delivery that is lost here only causes another delivery of the push.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::services::batches::{self, BatchState};
use crate::storage::push_targets::mark_delivered;
use crate::storage::{Db, StorageError};
use crate::supervision::Exit;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Channel, TargetKey};
use slipway_domain::catalog::text::DeviceId;

/// Maximum number of messages that wait for the writer.
const QUEUE: usize = 65_536;
const BATCH: usize = 1_000;
/// Time that the first delivery of a batch waits for others.
const WAIT: Duration = Duration::from_millis(20);
/// Time limit for a caller that waits for its deliveries to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// Queue of deliveries for the writer.
pub(super) struct DeliveryRecorder {
    queue: mpsc::Sender<Message>,
    unwritten: Arc<UnwrittenDeliveries>,
    counters: [(Channel, Counter); 3],
}

/// A push that was handed to a channel for one device.
#[derive(Debug, Clone)]
pub(in crate::services) struct Delivery {
    pub(in crate::services) target: TargetKey,
    pub(in crate::services) push: PushId,
    pub(in crate::services) channel: Channel,
}

enum Message {
    Delivered(Vec<Delivery>, Option<oneshot::Sender<()>>),
    /// The last message.
    Stop,
}

/// Channels of deliveries that are not written yet: a device may acknowledge a push before its delivery is written.
#[derive(Default)]
struct UnwrittenDeliveries(Mutex<HashMap<(PushId, DeviceId), Channel>>);

/// Writes the deliveries from [`DeliveryRecorder`] to the database.
pub(super) struct DeliveryWriter {
    db: Db,
    clock: Arc<dyn Clock>,
    messages: mpsc::Receiver<Message>,
    unwritten: Arc<UnwrittenDeliveries>,
    batch: DeliveryBatch,
    is_writing: bool,
    is_last: bool,
}

impl DeliveryRecorder {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> (Self, DeliveryWriter) {
        let (queue, messages) = mpsc::channel(QUEUE);
        let unwritten = Arc::<UnwrittenDeliveries>::default();
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
            batch: DeliveryBatch::default(),
            is_writing: false,
            is_last: false,
        };
        (deliveries, writer)
    }

    /// Queues deliveries for writing, without waiting.
    pub(super) fn record(&self, delivered: Vec<Delivery>) {
        self.send(delivered, None);
    }

    /// Queues imminent deliveries, and waits until they are written or a time limit passes.
    pub(super) async fn record_and_wait(&self, delivered: Vec<Delivery>) {
        let (done, written) = oneshot::channel();
        self.send(delivered, Some(done));
        // A late write only causes a second delivery.
        let _ = timeout(WRITTEN_WITHIN, written).await;
    }

    /// Returns the channel of a delivery that is not written yet.
    pub(super) fn unwritten_channel(&self, push: PushId, device: &DeviceId) -> Option<Channel> {
        self.unwritten.lock().get(&(push, device.clone())).copied()
    }

    /// Waits until the queue is written and the writer has ended, or a time limit passes.
    pub(super) async fn finish(&self, writer: JoinHandle<()>) {
        let abort = writer.abort_handle();
        let written = timeout(WRITE_LAST_WITHIN, async {
            // The writer may have ended already.
            let _ = self.queue.send(Message::Stop).await;
            writer.await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            abort.abort();
            tracing::warn!("the last push deliveries were not written; the pushes will be delivered again");
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

impl UnwrittenDeliveries {
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

/// Deliveries of one transaction, and the callers that wait for it.
#[derive(Default)]
struct DeliveryBatch {
    delivered: Vec<Delivery>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl DeliveryWriter {
    /// Writes deliveries until it receives the message from [`DeliveryRecorder::finish`].
    pub(super) async fn run(&mut self) -> Exit {
        if std::mem::take(&mut self.is_writing) {
            // The previous run failed on this batch, and a retry would fail again.
            tracing::error!("cannot write push deliveries; the pushes will be delivered again");
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

    /// Drops a batch, written or not, and notifies the callers that wait for it.
    fn end_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.unwritten.remove(&batch.delivered);
        for waiting in batch.waiting {
            // The caller may have stopped waiting.
            let _ = waiting.send(());
        }
    }

    /// Fills a batch until it is full, its wait is over or the queue has ended.
    async fn collect(&mut self) -> ControlFlow<()> {
        let batch = &mut self.batch;
        batches::collect(&mut self.messages, WAIT, |message| match message {
            Message::Delivered(delivered, waiting) => {
                batch.delivered.extend(delivered);
                batch.waiting.extend(waiting);
                BatchState::of(batch.delivered.len(), BATCH)
            }
            Message::Stop => BatchState::IsLast,
        })
        .await
    }

    /// Retries while the database is unavailable. Meanwhile the queue fills.
    async fn write(&self, delivered: &[Delivery]) {
        let mut backoff = Backoff::default();
        loop {
            match self.write_once(delivered).await {
                Ok(()) => return,
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, "cannot write push deliveries now; retrying");
                    tokio::time::sleep(backoff.next()).await;
                }
                Err(error) => {
                    tracing::error!(%error, "cannot write push deliveries; the pushes will be delivered again");
                    return;
                }
            }
        }
    }

    /// Writes each channel in a separate transaction, because rows are locked in the order of their keys.
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
