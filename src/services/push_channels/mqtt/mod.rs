//! Push delivery over the MQTT broker: the node that claims a push publishes it, and the device acknowledges it on a
//! topic of its own.
//!
//! The broker's receipt proves nothing about the device. A push is published at growing intervals until the device
//! acknowledges it or it expires. A device that also has a stream may get a push over both channels, with the same id
//! and sequence.

mod acks;
mod publishing;
mod queues;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::acks::AckConsumer;
use self::publishing::PushOutbox;
use crate::broker::{self, Broker, BrokerParts, BrokerSettings, BrokerSettingsError};
use crate::live::Lookup;
use crate::services::Context;
use crate::services::outbox::{self, Outbox as _};
use crate::supervision::{Exit, Importance};
use slipway_domain::catalog::ids::TenantId;

/// Time limit for publishes in progress when the node stops.
const PUBLISH_LAST_WITHIN: Duration = Duration::from_secs(5);
/// Time limit for writing received acknowledgements when the node stops.
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// The MQTT tasks, not started.
pub struct MqttTasks(BrokerParts);

/// The MQTT tasks, started.
pub struct RunningMqtt {
    broker: Broker,
    publishing_is_over: watch::Sender<bool>,
    publisher: JoinHandle<()>,
    consuming_is_over: watch::Sender<bool>,
    consumer: JoinHandle<()>,
    connection: JoinHandle<()>,
}

/// State of a tenant as known to this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TenantState {
    Enabled,
    /// Gets no pushes and may not acknowledge any, over any channel.
    Disabled,
    /// The tenant's catalog is not loaded on this node.
    Unknown,
}

fn tenant_state(ctx: &Context, tenant: TenantId) -> TenantState {
    match ctx.catalog().tenant(tenant) {
        Lookup::Found(served) if served.tenant.enabled => TenantState::Enabled,
        Lookup::Found(_) => TenantState::Disabled,
        Lookup::Absent | Lookup::Unknown => TenantState::Unknown,
    }
}

impl MqttTasks {
    /// Prepares the connection, the publisher and the consumer of acknowledgements.
    pub fn new(settings: BrokerSettings) -> Result<Self, BrokerSettingsError> {
        broker::prepare(settings, topics::ACKNOWLEDGEMENTS).map(Self)
    }

    pub fn broker(&self) -> Broker {
        self.0.broker.clone()
    }

    pub fn start(self, ctx: &Arc<Context>) -> RunningMqtt {
        let tasks = &ctx.node().tasks;
        let BrokerParts {
            broker,
            connection,
            received,
        } = self.0;
        let push_outbox = PushOutbox {
            ctx: ctx.clone(),
            broker: broker.clone(),
        };
        let (publishing_is_over, over) = watch::channel(false);
        let publisher = tasks.supervise(
            PushOutbox::NAME,
            Importance::Auxiliary,
            (push_outbox, over),
            |(push_outbox, over)| outbox::run(push_outbox, over).boxed(),
        );
        let (consuming_is_over, over) = watch::channel(false);
        let consumer = tasks.supervise(
            "mqtt_acknowledgements",
            Importance::Auxiliary,
            (AckConsumer::new(ctx.clone(), received), over),
            |(consumer, over)| consumer.run(over.clone()).boxed(),
        );
        RunningMqtt {
            publishing_is_over,
            publisher,
            consuming_is_over,
            consumer,
            connection: tasks.supervise(
                "mqtt_connection",
                Importance::Auxiliary,
                connection,
                |connection| connection.run().map(|()| Exit::Finished).boxed(),
            ),
            broker,
        }
    }
}

impl RunningMqtt {
    /// Finishes publishes in progress, unsubscribes so that other nodes get new messages, writes the received
    /// acknowledgements and disconnects. Each step is bounded to a few seconds.
    pub async fn finish(self) {
        self.publishing_is_over.send_replace(true);
        let (is_published, ()) = join(
            ended_within(PUBLISH_LAST_WITHIN, self.publisher),
            self.broker.unsubscribe(),
        )
        .await;
        if !is_published {
            tracing::warn!("some pushes may not have been published; they will be due again later");
        }
        self.consuming_is_over.send_replace(true);
        let is_written = ended_within(WRITE_LAST_WITHIN, self.consumer).await;
        if !is_written {
            tracing::warn!(
                "some acknowledgements of devices were not written; the broker keeps them for a while"
            );
        }
        self.broker.disconnect(self.connection, is_written).await;
    }
}

/// Waits for a task to end, and aborts it after `limit`. Returns `true` if it ended in time without failure.
async fn ended_within(limit: Duration, mut task: JoinHandle<()>) -> bool {
    match timeout(limit, &mut task).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "an MQTT task failed");
            false
        }
        Err(_) => {
            task.abort();
            false
        }
    }
}
