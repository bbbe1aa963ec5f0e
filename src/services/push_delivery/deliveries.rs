//! Batched writes of push deliveries. Callers wait for a write for a short time at most.
//!
//! A delivery that is lost here only causes another delivery of the push.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{Counter, counter};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::services::batch_writer::{BatchQueue, BatchSettings, BatchSink, BatchWriter};
use crate::storage::push_targets::mark_delivered;
use crate::storage::{Db, StorageError};
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Channel, TargetKey};
use slipway_domain::catalog::text::DeviceId;

const SETTINGS: BatchSettings = BatchSettings {
    queue: 65_536,
    batch: 1_000,
    wait: Duration::from_millis(20),
    finish_within: Duration::from_secs(5),
};
/// Time limit for a caller that waits for its deliveries to be written.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// Queue of deliveries for the writer.
pub(super) struct DeliveryRecorder {
    queue: BatchQueue<RecordedDeliveries>,
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

/// Deliveries of one call, and the caller that waits for them to be written.
pub(super) struct RecordedDeliveries {
    delivered: Vec<Delivery>,
    waiting: Option<oneshot::Sender<()>>,
}

/// Channels of deliveries that are not written yet: a device may acknowledge a push before its delivery is written.
#[derive(Default)]
struct UnwrittenDeliveries(Mutex<HashMap<(PushId, DeviceId), Channel>>);

/// Batches of deliveries.
pub(super) struct DeliveryBatches {
    db: Db,
    clock: Arc<dyn Clock>,
    unwritten: Arc<UnwrittenDeliveries>,
}

impl DeliveryRecorder {
    pub(super) fn new(db: Db, clock: Arc<dyn Clock>) -> (Self, BatchWriter<DeliveryBatches>) {
        let unwritten = Arc::<UnwrittenDeliveries>::default();
        let batches = DeliveryBatches {
            db,
            clock,
            unwritten: unwritten.clone(),
        };
        let (queue, writer) = BatchQueue::new(batches, SETTINGS);
        let recorder = Self {
            queue,
            unwritten,
            counters: Channel::ALL.map(|channel| {
                let name = "slipway_push_deliveries_total";
                (channel, counter!(name, "channel" => channel.as_str()))
            }),
        };
        (recorder, writer)
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
        self.queue.finish(writer).await;
    }

    fn send(&self, delivered: Vec<Delivery>, waiting: Option<oneshot::Sender<()>>) {
        for (channel, counter) in &self.counters {
            let by_it = delivered.iter().filter(|delivery| delivery.channel == *channel);
            counter.increment(by_it.count() as u64);
        }
        self.unwritten.add(&delivered);
        if let Err(dropped) = self.queue.push(RecordedDeliveries { delivered, waiting }) {
            self.unwritten.remove(&dropped.delivered);
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

impl BatchSink for DeliveryBatches {
    const NAME: &'static str = "delivery_writer";
    const IF_DROPPED: &'static str = "the pushes will be delivered again";

    type Item = RecordedDeliveries;
    type Written = ();

    fn size(recorded: &RecordedDeliveries) -> usize {
        recorded.delivered.len()
    }

    async fn write(&self, recorded: &[RecordedDeliveries]) -> Result<(), StorageError> {
        let targets = Channel::ALL.map(|channel| {
            let delivered = recorded.iter().flat_map(|recorded| &recorded.delivered);
            let by_it = delivered.filter(|delivery| delivery.channel == channel);
            (channel, by_it.map(|delivery| delivery.target.clone()).collect())
        });
        let tx = self.db.begin().await?;
        mark_delivered(&tx, &targets, self.clock.now()).await?;
        tx.commit().await
    }

    fn release(&self, recorded: RecordedDeliveries) {
        self.unwritten.remove(&recorded.delivered);
        // The caller may have stopped waiting.
        let _ = recorded.waiting.map(|waiting| waiting.send(()));
    }
}
