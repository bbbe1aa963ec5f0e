//! Pushes over the MQTT broker: published by whichever node claims them, acknowledged on a topic of the device.
//!
//! The broker's receipt proves nothing about the device: a push is published again and again, ever more rarely, until
//! the device acknowledges it or it expires. A device that hangs on a stream too may get a push over both; it has the
//! same id and sequence.

mod hearing;
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

use self::hearing::Hearer;
use crate::broker::{self, Broker, BrokerSettings, BrokerSettingsError, Prepared};
use crate::catalog::ids::TenantId;
use crate::live::Lookup;
use crate::services::Context;
use crate::supervision::{Exit, Importance};

/// What is being published when the node stops has so long to come to its end.
const PUBLISH_LAST_WITHIN: Duration = Duration::from_secs(5);
/// What was received when the node stops is written for so long.
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// The parts that run by themselves.
pub(super) struct MqttTasks(Prepared);

/// The tasks, running.
pub(super) struct RunningMqtt {
    broker: Broker,
    publishing_is_over: watch::Sender<bool>,
    publisher: JoinHandle<()>,
    hearing_is_over: watch::Sender<bool>,
    hearer: JoinHandle<()>,
    connection: JoinHandle<()>,
}

/// Prepares what publishes and hears.
pub(super) fn prepare(settings: BrokerSettings) -> Result<MqttTasks, BrokerSettingsError> {
    broker::prepare(settings, topics::ACKNOWLEDGEMENTS).map(MqttTasks)
}

/// What this node knows of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Enabled,
    /// It gets nothing and may say nothing over any channel.
    Disabled,
    /// Its catalog has not been loaded here (yet).
    Unknown,
}

fn standing(ctx: &Context, tenant: TenantId) -> Standing {
    match ctx.live.tenant(tenant) {
        Lookup::Found(served) if served.tenant.enabled => Standing::Enabled,
        Lookup::Found(_) => Standing::Disabled,
        Lookup::Absent | Lookup::Unknown => Standing::Unknown,
    }
}

impl MqttTasks {
    pub(super) fn broker(&self) -> Broker {
        self.0.broker.clone()
    }

    pub(super) fn start(self, ctx: &Arc<Context>) -> RunningMqtt {
        let tasks = &ctx.tasks;
        let Prepared {
            broker,
            connection,
            received,
        } = self.0;
        let (publishing_is_over, over) = watch::channel(false);
        let publisher = tasks.supervise(
            "push_publisher",
            Importance::Auxiliary,
            (ctx.clone(), broker.clone(), over),
            |(ctx, broker, over)| publishing::run(ctx, broker, over).boxed(),
        );
        let (hearing_is_over, over) = watch::channel(false);
        let hearer = tasks.supervise(
            "mqtt_acknowledgements",
            Importance::Auxiliary,
            (Hearer::new(ctx.clone(), received), over),
            |(hearer, over)| hearer.run(over.clone()).boxed(),
        );
        RunningMqtt {
            publishing_is_over,
            publisher,
            hearing_is_over,
            hearer,
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
    /// Lets what is being published come to its end, turns the devices' messages over to other nodes, writes those
    /// that have come, and leaves the broker. Each has a few seconds.
    pub(super) async fn finish(self) {
        self.publishing_is_over.send_replace(true);
        let (is_published, ()) = join(
            ended_within(PUBLISH_LAST_WITHIN, self.publisher),
            self.broker.unsubscribe(),
        )
        .await;
        if !is_published {
            tracing::warn!("some pushes may not have been published; they are due again later");
        }
        self.hearing_is_over.send_replace(true);
        let is_written = ended_within(WRITE_LAST_WITHIN, self.hearer).await;
        if !is_written {
            tracing::warn!(
                "some of what devices acknowledged could not be written; the broker keeps it for a while"
            );
        }
        self.broker.disconnect(self.connection, is_written).await;
    }
}

/// Whether a task has ended in time; otherwise it is ended.
async fn ended_within(limit: Duration, mut task: JoinHandle<()>) -> bool {
    match timeout(limit, &mut task).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "a task that serves the broker has failed");
            false
        }
        Err(_) => {
            task.abort();
            false
        }
    }
}
