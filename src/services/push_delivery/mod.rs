//! Delivery of pushes to devices, at least once and over every channel. The node that accepts a push and the node to
//! which the device is connected may differ. The channels are in [`push_channels`](super::push_channels).
//!
//! The database is the only source of pending pushes: those that are not acknowledged, expired or withdrawn. A sync
//! task keeps in memory which devices have pending pushes, and wakes their listeners on this node. Listeners are event
//! streams and long polls; they read the pushes to deliver from the database. Hints from this node and the others name
//! the pushes to read. Hints may be lost, so the sync task also polls every second. A push is delivered again until the
//! device acknowledges it or it expires.

mod deliveries;
mod expiry;
mod hub;
mod pending;
mod presence;
mod presence_writer;
mod revocations;
mod schedule;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(super) use deliveries::Delivery;
pub(super) use hub::{Listener, ListenerKind};
pub use pending::PendingPushes;
pub(super) use schedule::RedeliverySchedule;

use self::deliveries::{DeliveryBatches, DeliveryRecorder};
use self::expiry::PushExpiry;
use self::hub::Hub;
use self::presence_writer::PresenceWriter;
use self::sync::PendingPushSync;
use crate::broker::Broker;
use crate::clock::Clock;
use crate::hints::HintBus;
use crate::live::{DeviceRef, Revocation};
use crate::services::batch_writer::{BatchSink as _, BatchWriter};
use crate::services::outbox::RetryPolicy;
use crate::storage::{Db, Hint};
use crate::supervision::Importance::Auxiliary;
use crate::supervision::Tasks;
use slipway_domain::catalog::ids::PushId;
use slipway_domain::catalog::push::{Channel, PushLifetimes, TargetKey};
use slipway_domain::catalog::text::DeviceId;

/// Maximum number of concurrent reads of pending pushes. A push to a thousand connected devices must leave database
/// capacity to others.
const READS_AT_ONCE: usize = 8;

/// Settings of delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliverySettings {
    /// Waits between deliveries of an unacknowledged push over a stream or a poll.
    pub redelivery: RetryPolicy,
    /// Maximum time that a stream is silent.
    pub heartbeat: Duration,
    pub lifetimes: PushLifetimes,
    /// Retention of a push after its expiry; `None` = forever.
    pub retention: Option<TimeDelta>,
}

/// Push delivery as used by the other parts of a server.
pub struct PushDelivery {
    hub: Arc<Hub>,
    pending: Arc<PendingPushes>,
    deliveries: DeliveryRecorder,
    hints: HintBus,
    reads: Semaphore,
    /// `None` if no broker is configured.
    broker: Option<Broker>,
    settings: DeliverySettings,
}

/// Dependencies of push delivery.
pub struct PushDeliveryParts {
    /// Pool for writes.
    pub db: Db,
    /// Connection for polls.
    pub pollers: Db,
    pub clock: Arc<dyn Clock>,
    /// Id of this run of the node in the database.
    pub node: Uuid,
    pub hints: HintBus,
    /// Devices whose streams and polls must end.
    pub revoked: mpsc::UnboundedReceiver<Revocation>,
    /// `None` if no broker is configured.
    pub broker: Option<Broker>,
}

/// The background tasks of delivery, not started.
pub struct DeliveryTasks {
    sync: PendingPushSync,
    writer: BatchWriter<DeliveryBatches>,
    presence: PresenceWriter,
    revoked: mpsc::UnboundedReceiver<Revocation>,
    hub: Arc<Hub>,
    expiry: PushExpiry,
}

/// The background tasks of delivery, started.
pub struct RunningDelivery {
    tasks: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
    presence: JoinHandle<()>,
    is_over: watch::Sender<bool>,
}

/// Returns the device of a target.
fn device_of(target: &TargetKey) -> DeviceRef {
    DeviceRef::of(target.tenant, &target.device)
}

/// Current load of delivery, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryStatus {
    pub streams: usize,
    pub polls: usize,
    /// Number of devices with pending pushes, over all nodes.
    pub waiting_devices: usize,
    /// True if the broker is connected; `None` if no broker is configured.
    pub is_broker_connected: Option<bool>,
    /// True if the broker granted the subscription, without which acknowledgements do not arrive. `None` if no broker
    /// is configured.
    pub is_broker_subscribed: Option<bool>,
}

impl PushDelivery {
    pub fn new(parts: PushDeliveryParts, settings: DeliverySettings) -> (Self, DeliveryTasks) {
        let (db, clock) = (parts.db, parts.clock);
        let (hub, pending) = (Arc::<Hub>::default(), Arc::<PendingPushes>::default());
        let (deliveries, writer) = DeliveryRecorder::new(db.clone(), clock.clone());
        let tasks = DeliveryTasks {
            sync: PendingPushSync::new(
                parts.pollers,
                clock.clone(),
                hub.clone(),
                pending.clone(),
                parts.hints.subscribe_to_pushes(sync::PUSHES_AT_ONCE),
            ),
            writer,
            presence: PresenceWriter::new(db.clone(), hub.clone(), parts.node),
            revoked: parts.revoked,
            hub: hub.clone(),
            expiry: PushExpiry::new(db, clock),
        };
        let delivery = Self {
            broker: parts.broker,
            hub,
            pending,
            deliveries,
            hints: parts.hints,
            reads: Semaphore::new(READS_AT_ONCE),
            settings,
        };
        (delivery, tasks)
    }

    /// Notifies this node and the others of a committed change to a push. Must be called after the commit. If a hint is
    /// lost, polls find the change within a second.
    pub fn notify(&self, push: PushId) {
        self.notify_local(push);
        self.hints.publish(Hint::Push(push));
    }

    /// Notifies only this node, for changes that no other node waits for.
    pub(super) fn notify_local(&self, push: PushId) {
        self.hints.notify_local(Hint::Push(push));
    }

    /// Returns the pending pushes of all devices, which are in memory.
    pub fn pending(&self) -> Arc<PendingPushes> {
        self.pending.clone()
    }

    /// Registers a stream or a poll. Returns `None` if this node is stopping. The caller must read the pending pushes
    /// afterwards; any later push wakes the listener.
    pub(super) fn listen(&self, device: DeviceRef, kind: ListenerKind) -> Option<Listener> {
        self.hub.listen(device, kind)
    }

    /// Waits for a push to any device since the last call returned.
    pub(super) async fn wait_for_push(&self) {
        self.hub.wait_for_push().await;
    }

    /// Waits for a permit to read the pending pushes of a device.
    pub(super) async fn acquire_read(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.reads.acquire().await.ok()
    }

    /// Queues deliveries for writing, without waiting.
    pub(super) fn record(&self, delivered: Vec<Delivery>) {
        self.deliveries.record(delivered);
    }

    /// Queues imminent deliveries, and waits until they are written or a time limit passes.
    pub(super) async fn record_and_wait(&self, delivered: Vec<Delivery>) {
        self.deliveries.record_and_wait(delivered).await;
    }

    /// Returns the channel of a delivery that is not written yet.
    pub(super) fn unwritten_channel(&self, push: PushId, device: &DeviceId) -> Option<Channel> {
        self.deliveries.unwritten_channel(push, device)
    }

    /// Returns the waits between deliveries of an unacknowledged push over a stream or a poll.
    pub(super) fn redelivery(&self) -> RetryPolicy {
        self.settings.redelivery
    }

    pub(super) fn lifetimes(&self) -> PushLifetimes {
        self.settings.lifetimes
    }

    /// Returns the time that a push is kept after its expiry; `None` = forever.
    pub(super) fn retention(&self) -> Option<TimeDelta> {
        self.settings.retention
    }

    /// Returns `true` if pushes are published to an MQTT broker.
    pub(super) fn has_broker(&self) -> bool {
        self.broker.is_some()
    }

    /// Returns the maximum time that a stream is silent.
    pub(super) fn heartbeat(&self) -> Duration {
        self.settings.heartbeat
    }

    /// Ends all streams and polls of this node, so that devices connect to other nodes, and refuses new ones.
    pub fn end_streams(&self) {
        self.hub.end();
    }

    pub fn status(&self) -> DeliveryStatus {
        DeliveryStatus {
            streams: self.hub.count_of(ListenerKind::Stream),
            polls: self.hub.count_of(ListenerKind::Poll),
            waiting_devices: self.pending.device_count(),
            is_broker_connected: self.broker.as_ref().map(Broker::is_connected),
            is_broker_subscribed: self.broker.as_ref().map(Broker::is_subscribed),
        }
    }
}

impl DeliveryTasks {
    pub fn start(self, tasks: &Tasks) -> RunningDelivery {
        let (is_over, over) = watch::channel(false);
        let running = vec![
            tasks.supervise(PendingPushSync::NAME, Auxiliary, self.sync, |sync| {
                sync.run().boxed()
            }),
            tasks.supervise(PushExpiry::NAME, Auxiliary, self.expiry, |expiry| {
                expiry.run().boxed()
            }),
            tasks.supervise(
                "lockouts",
                Auxiliary,
                (self.revoked, self.hub),
                |(revoked, hub)| revocations::run(revoked, hub).boxed(),
            ),
        ];
        RunningDelivery {
            tasks: running,
            writer: tasks.supervise(DeliveryBatches::NAME, Auxiliary, self.writer, |writer| {
                writer.run().boxed()
            }),
            presence: tasks.supervise(
                PresenceWriter::NAME,
                Auxiliary,
                (self.presence, over),
                |(presence, over)| {
                    let mut over = over.clone();
                    let is_over = async move {
                        // A dropped sender also means the end.
                        let _ = over.wait_for(|is_over| *is_over).await;
                    };
                    presence.run(is_over).boxed()
                },
            ),
            is_over,
        }
    }
}

impl RunningDelivery {
    /// Writes all remaining data. Must be called after the last delivery to a device.
    pub async fn finish(self, delivery: &PushDelivery) {
        for task in &self.tasks {
            task.abort();
        }
        delivery.deliveries.finish(self.writer).await;
        // The receiver is gone only if the task panicked.
        let _ = self.is_over.send(true);
        if let Err(error) = self.presence.await {
            tracing::error!(%error, "the presence writer failed");
        }
    }
}
