//! Pushes on their way to devices: at least once, over every channel, whichever node took the push and whichever one
//! the device hangs on.
//!
//! The database alone says what is open. A follower keeps in memory which pushes wait for which devices, and wakes
//! whoever listens here for one of them: event streams and long polls, which then read from the database what to hand
//! over. It hears of pushes by hints, which may be lost, and looks for itself each second. What was handed over is
//! offered again until the device acknowledges it or it expires.

mod acknowledging;
mod delivered_push;
mod deliveries;
mod expiry;
mod follower;
mod hints;
mod hub;
mod lockouts;
mod mqtt;
mod open_pushes;
mod polling;
mod presence;
mod schedule;
mod stream;
mod waiting;

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

use self::deliveries::{Deliveries, DeliveryWriter};
use self::follower::Follower;
use self::hints::{HintListener, HintSender};
use self::hub::{Hub, ListenerKind};
use self::mqtt::{MqttTasks, RunningMqtt};
use self::presence::PresenceWriter;
use self::waiting::Waiting;
use crate::broker::{Broker, BrokerSettings, BrokerSettingsError};
use crate::catalog::ids::{PushId, TenantId};
use crate::clock::Clock;
use crate::live::{DeviceKey, LockedOut};
use crate::services::Context;
use crate::storage::Db;
use crate::storage::push_targets::TargetKey;
use crate::supervision::Importance::Auxiliary;

/// Pushes that may be told of and not yet looked at; what does not fit is found by the next look.
const TOLD: usize = 4_096;
/// Reads of what is open for a device at a time: a push to a thousand connected devices leaves the database to others
/// too.
const READS_AT_ONCE: usize = 8;

/// Numbers and switches of delivery.
#[derive(Debug, Clone, Copy)]
pub struct DeliverySettings {
    /// When a stream or a poll offers again what was not acknowledged.
    pub redelivery: Redelivery,
    /// How long a stream is silent at most.
    pub heartbeat: Duration,
    /// Send and heed hints between nodes.
    pub hints: bool,
}

/// What the other parts of a server have of delivery.
pub struct PushDelivery {
    hub: Arc<Hub>,
    waiting: Arc<Waiting>,
    deliveries: Deliveries,
    told: mpsc::Sender<Vec<PushId>>,
    hints: Option<mpsc::Sender<Vec<PushId>>>,
    reads: Semaphore,
    /// `None` without one in the settings.
    broker: Option<Broker>,
    settings: DeliverySettings,
}

/// The parts that run by themselves.
pub struct DeliveryTasks {
    follower: Follower,
    hints: Option<(HintSender, HintListener)>,
    writer: DeliveryWriter,
    presence: PresenceWriter,
    locked_out: mpsc::UnboundedReceiver<LockedOut>,
    hub: Arc<Hub>,
    mqtt: Option<MqttTasks>,
    db: Db,
    clock: Arc<dyn Clock>,
}

/// The tasks, running.
pub struct RunningDelivery {
    tasks: Vec<JoinHandle<()>>,
    writer: JoinHandle<()>,
    presence: JoinHandle<()>,
    mqtt: Option<RunningMqtt>,
    is_over: watch::Sender<bool>,
}

/// The device that a target is for.
fn device_of(target: &TargetKey) -> DeviceKey {
    DeviceKey::of(target.tenant, &target.device)
}

/// How much delivery does right now, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryStatus {
    pub streams: usize,
    pub polls: usize,
    /// Devices of the whole installation that something waits for.
    pub waiting_devices: usize,
    /// Whether there is a connection to the broker; `None` without a broker.
    pub is_broker_connected: Option<bool>,
    /// True if the broker granted the subscription, so that devices' acknowledgements arrive.
    pub is_broker_subscribed: Option<bool>,
}

impl PushDelivery {
    /// Polls for pushes on `pollers`, and writes through `db`. `node` names this run of the node in the database;
    /// `locked_out` tells of those whose streams and polls must end.
    pub fn new(
        (db, pollers): (&Db, &Db),
        clock: Arc<dyn Clock>,
        node: Uuid,
        settings: DeliverySettings,
        locked_out: mpsc::UnboundedReceiver<LockedOut>,
        broker: Option<BrokerSettings>,
    ) -> Result<(Self, DeliveryTasks), BrokerSettingsError> {
        let mqtt = broker.map(mqtt::prepare).transpose()?;
        let (hub, waiting) = (Arc::<Hub>::default(), Arc::<Waiting>::default());
        let (told, heard) = mpsc::channel(TOLD);
        let (deliveries, writer) = Deliveries::new(db.clone(), clock.clone());
        let (hints, sent) = settings.hints.then(|| mpsc::channel(TOLD)).unzip();
        let follower = Follower::new(
            pollers.clone(),
            clock.clone(),
            (hub.clone(), waiting.clone()),
            heard,
        );
        let tasks = DeliveryTasks {
            hints: sent.map(|sent| {
                let listener = HintListener::new(pollers.clone(), told.clone(), follower.reconnected());
                (HintSender::new(pollers.clone(), sent), listener)
            }),
            follower,
            writer,
            presence: PresenceWriter::new(db.clone(), hub.clone(), node),
            locked_out,
            hub: hub.clone(),
            mqtt,
            db: db.clone(),
            clock,
        };
        let delivery = Self {
            broker: tasks.mqtt.as_ref().map(MqttTasks::broker),
            hub,
            waiting,
            deliveries,
            told,
            hints,
            reads: Semaphore::new(READS_AT_ONCE),
            settings,
        };
        Ok((delivery, tasks))
    }

    /// Tells this node and the others that something of a push was committed. To be called after the commit; what is
    /// not told is found within a second.
    pub fn tell(&self, push: PushId) {
        self.tell_here(push);
        if let Some(hints) = &self.hints {
            let _ = hints.try_send(vec![push]);
        }
    }

    /// Tells this node alone: for what nobody waits for elsewhere.
    fn tell_here(&self, push: PushId) {
        let _ = self.told.try_send(vec![push]);
    }

    /// How many pushes wait for a device, from memory and without a lock.
    pub fn waiting_for(&self, tenant: TenantId, device: &str, now: DateTime<Utc>) -> usize {
        self.waiting.count(tenant, device, now)
    }

    /// Ends every stream and poll of this node, so that devices turn to other nodes, and begins no more.
    pub fn end_streams(&self) {
        self.hub.end();
    }

    pub fn status(&self) -> DeliveryStatus {
        DeliveryStatus {
            streams: self.hub.count_of(ListenerKind::Stream),
            polls: self.hub.count_of(ListenerKind::Poll),
            waiting_devices: self.waiting.device_count(),
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
            tasks.supervise("push_follower", Auxiliary, self.follower, |follower| {
                follower.run().boxed()
            }),
            tasks.supervise("push_expiry", Auxiliary, (self.db, self.clock), |(db, clock)| {
                expiry::run(db, &**clock).boxed()
            }),
            tasks.supervise(
                "lockouts",
                Auxiliary,
                (self.locked_out, self.hub),
                |(locked_out, hub)| lockouts::run(locked_out, hub).boxed(),
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
                        // A sender that is gone means the same.
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
    /// Writes what is still to be written, once nobody is delivered to any more.
    pub async fn finish(self, delivery: &PushDelivery) {
        if let Some(mqtt) = self.mqtt {
            mqtt.finish().await;
        }
        for task in &self.tasks {
            task.abort();
        }
        delivery.deliveries.finish(self.writer).await;
        // The task may have ended by itself only when it panicked.
        let _ = self.is_over.send(true);
        if let Err(error) = self.presence.await {
            tracing::error!(%error, "the task that writes who is connected has failed");
        }
    }
}
