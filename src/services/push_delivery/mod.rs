//! Delivery of pushes to devices, at least once and over every channel. The node that accepts a push and the node to
//! which the device is connected may differ.
//!
//! The database is the only source of pending pushes: those that are not acknowledged, expired or withdrawn. A sync
//! task keeps in memory which devices have pending pushes, and wakes their listeners on this node. Listeners are event
//! streams and long polls; they read the pushes to deliver from the database. Other nodes notify the sync task of
//! pushes. Notifications may be lost, so it also polls every second. A push is delivered again until the device
//! acknowledges it or it expires.

mod acknowledging;
mod delivered_push;
mod deliveries;
mod device_pushes;
mod expiry;
mod hints;
mod hub;
mod mqtt;
mod pending;
mod polling;
mod presence;
mod presence_writer;
mod revocations;
mod schedule;
mod stream;
mod sync;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use acknowledging::{acknowledge, acknowledge_within_limit};
pub use delivered_push::DeliveredPush;
pub use polling::{MAX_POLL_WAIT_S, MAX_POLLED, poll};
pub use schedule::Redelivery;
pub use stream::{EventStream, StreamEvent, open_stream};

use self::deliveries::{DeliveryRecorder, DeliveryWriter};
use self::hints::{HintListener, HintSender};
use self::hub::{Hub, ListenerKind};
use self::mqtt::{MqttTasks, RunningMqtt};
use self::pending::PendingPushes;
use self::presence_writer::PresenceWriter;
use self::sync::PendingPushSync;
use crate::broker::{Broker, BrokerSettings, BrokerSettingsError};
use crate::clock::Clock;
use crate::live::{DeviceRef, Revocation};
use crate::services::Context;
use crate::storage::Db;
use crate::storage::push_targets::TargetKey;
use crate::supervision::Importance::Auxiliary;
use slipway_domain::catalog::ids::{PushId, TenantId};

/// Maximum number of queued notifications of pushes. The next poll finds pushes that do not fit.
const NOTIFICATION_QUEUE: usize = 4_096;
/// Maximum number of concurrent reads of pending pushes. A push to a thousand connected devices must leave database
/// capacity to others.
const READS_AT_ONCE: usize = 8;

/// Settings of delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliverySettings {
    /// Waits between deliveries of an unacknowledged push over a stream or a poll.
    pub redelivery: Redelivery,
    /// Maximum time that a stream is silent.
    pub heartbeat: Duration,
    /// Send and receive notifications between nodes.
    pub hints: bool,
}

/// Push delivery as used by the other parts of a server.
pub struct PushDelivery {
    hub: Arc<Hub>,
    pending: Arc<PendingPushes>,
    deliveries: DeliveryRecorder,
    notifications: mpsc::Sender<Vec<PushId>>,
    hints: Option<mpsc::Sender<Vec<PushId>>>,
    reads: Semaphore,
    /// `None` if no broker is configured.
    broker: Option<Broker>,
    settings: DeliverySettings,
}

/// The background tasks of delivery, not started.
pub struct DeliveryTasks {
    sync: PendingPushSync,
    hints: Option<(HintSender, HintListener)>,
    writer: DeliveryWriter,
    presence: PresenceWriter,
    revoked: mpsc::UnboundedReceiver<Revocation>,
    hub: Arc<Hub>,
    mqtt: Option<MqttTasks>,
    db: Db,
    clock: Arc<dyn Clock>,
}

/// The background tasks of delivery, started.
pub struct RunningDelivery {
    tasks: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
    presence: JoinHandle<()>,
    mqtt: Option<RunningMqtt>,
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
    /// Creates delivery, which polls through `pollers` and writes through `db`. `node` identifies this run of the node
    /// in the database. `revoked` receives the devices whose streams and polls must end.
    pub fn new(
        (db, pollers): (&Db, &Db),
        clock: Arc<dyn Clock>,
        node: Uuid,
        settings: DeliverySettings,
        revoked: mpsc::UnboundedReceiver<Revocation>,
        broker: Option<BrokerSettings>,
    ) -> Result<(Self, DeliveryTasks), BrokerSettingsError> {
        let mqtt = broker.map(mqtt::prepare).transpose()?;
        let (hub, pending) = (Arc::<Hub>::default(), Arc::<PendingPushes>::default());
        let (notifications, received) = mpsc::channel(NOTIFICATION_QUEUE);
        let (deliveries, writer) = DeliveryRecorder::new(db.clone(), clock.clone());
        let (hints, sent) = settings.hints.then(|| mpsc::channel(NOTIFICATION_QUEUE)).unzip();
        let sync = PendingPushSync::new(
            pollers.clone(),
            clock.clone(),
            (hub.clone(), pending.clone()),
            received,
        );
        let tasks = DeliveryTasks {
            hints: sent.map(|sent| {
                let listener = HintListener::new(pollers.clone(), notifications.clone(), sync.reconnected());
                (HintSender::new(pollers.clone(), sent), listener)
            }),
            sync,
            writer,
            presence: PresenceWriter::new(db.clone(), hub.clone(), node),
            revoked,
            hub: hub.clone(),
            mqtt,
            db: db.clone(),
            clock,
        };
        let delivery = Self {
            broker: tasks.mqtt.as_ref().map(MqttTasks::broker),
            hub,
            pending,
            deliveries,
            notifications,
            hints,
            reads: Semaphore::new(READS_AT_ONCE),
            settings,
        };
        Ok((delivery, tasks))
    }

    /// Notifies this node and the others of a committed change to a push. Must be called after the commit. If a
    /// notification is lost, polls find the change within a second.
    pub fn notify(&self, push: PushId) {
        self.notify_local(push);
        if let Some(hints) = &self.hints {
            let _ = hints.try_send(vec![push]);
        }
    }

    /// Notifies only this node, for changes that no other node waits for.
    fn notify_local(&self, push: PushId) {
        let _ = self.notifications.try_send(vec![push]);
    }

    /// Returns the number of pending pushes of a device, from memory and without a lock.
    pub fn pending_count(&self, tenant: TenantId, device: &str, now: DateTime<Utc>) -> usize {
        self.pending.count(tenant, device, now)
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
    pub fn start(self, ctx: &Arc<Context>) -> RunningDelivery {
        let (is_over, over) = watch::channel(false);
        let tasks = &ctx.tasks;
        let mut running = vec![
            tasks.supervise("push_follower", Auxiliary, self.sync, |sync| sync.run().boxed()),
            tasks.supervise("push_expiry", Auxiliary, (self.db, self.clock), |(db, clock)| {
                expiry::run(db, &**clock).boxed()
            }),
            tasks.supervise(
                "lockouts",
                Auxiliary,
                (self.revoked, self.hub),
                |(revoked, hub)| revocations::run(revoked, hub).boxed(),
            ),
        ];
        if let Some((sender, listener)) = self.hints {
            running.extend([
                tasks.supervise("push_hint_sender", Auxiliary, sender, |sender| {
                    sender.run().boxed()
                }),
                tasks.supervise("push_hint_listener", Auxiliary, listener, |listener| {
                    listener.run().boxed()
                }),
            ]);
        }
        RunningDelivery {
            tasks: running,
            writer: tasks.supervise("delivery_writer", Auxiliary, self.writer, |writer| {
                writer.run().boxed()
            }),
            presence: tasks.supervise(
                "presence_writer",
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
            mqtt: self.mqtt.map(|mqtt| mqtt.start(ctx)),
            is_over,
        }
    }
}

impl RunningDelivery {
    /// Writes all remaining data. Must be called after the last delivery to a device.
    pub async fn finish(self, delivery: &PushDelivery) {
        if let Some(mqtt) = self.mqtt {
            mqtt.finish().await;
        }
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
