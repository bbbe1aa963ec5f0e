//! Pushes over the MQTT broker: published by whichever node claims them, acknowledged on a topic of the device.
//!
//! The broker's receipt proves nothing about the device: a push is published again and again, ever more rarely, until
//! the device acknowledges it or it expires. A device that hangs on a stream too may get a push over both; it has the
//! same id and sequence.

mod hearing;
mod publishing;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::broker::{self, Broker, BrokerSettings, BrokerSettingsError, Connection, Received};
use crate::catalog::ids::TenantId;
use crate::live::Lookup;
use crate::services::Context;

/// What was received when the node stops is written for so long.
const WRITE_LAST_WITHIN: Duration = Duration::from_secs(5);

/// The parts that run by themselves.
pub(super) struct MqttTasks {
    broker: Broker,
    connection: Connection,
    received: mpsc::Receiver<Received>,
}

/// The tasks, running.
pub(super) struct RunningMqtt {
    broker: Broker,
    is_over: watch::Sender<bool>,
    publisher: JoinHandle<()>,
    connection: JoinHandle<()>,
    hearer: JoinHandle<()>,
}

/// Prepares what publishes and hears. `node` tells this run of a node from every other.
pub(super) fn prepare(settings: BrokerSettings, node: Uuid) -> Result<MqttTasks, BrokerSettingsError> {
    let link = broker::link(settings, node, topics::ACKNOWLEDGEMENTS)?;
    Ok(MqttTasks {
        broker: link.broker,
        connection: link.connection,
        received: link.received,
    })
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
        self.broker.clone()
    }

    pub(super) fn start(self, ctx: &Arc<Context>) -> RunningMqtt {
        let (is_over, over) = watch::channel(false);
        RunningMqtt {
            is_over,
            publisher: tokio::spawn(publishing::run(ctx.clone(), self.broker.clone(), over)),
            connection: tokio::spawn(self.connection.run()),
            hearer: tokio::spawn(hearing::run(ctx.clone(), self.received)),
            broker: self.broker,
        }
    }
}

impl RunningMqtt {
    /// Lets what is being published come to its end, leaves the broker, and writes what devices said until then.
    pub(super) async fn finish(self) {
        self.is_over.send_replace(true);
        if let Err(error) = self.publisher.await {
            tracing::error!(%error, "the task that publishes to the broker has failed");
        }
        self.broker.disconnect(self.connection).await;
        // It ends once the connection's task has.
        let abort = self.hearer.abort_handle();
        if timeout(WRITE_LAST_WITHIN, self.hearer).await.is_err() {
            abort.abort();
            tracing::warn!(
                "some of what devices acknowledged could not be written; they get those pushes again"
            );
        }
    }
}
