//! Pushes over a real MQTT broker.

mod acknowledging;
mod delivering;
mod faults;
mod guarded;
mod kept;
mod nodes;
mod recovery;

use slipway::config::Config;

use super::fixture::{Device, Fixture, push_by, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::{Mosquitto, NODE};
use slipway_test_support::mqtt_device::MqttDevice;

/// A merchant whose node is connected to a broker.
struct MqttStage {
    broker: Mosquitto,
    fixture: Fixture,
}

/// Instant at which everything that waits for the first time is due again.
const LATER: &str = "2026-03-02T02:00:20Z";
/// Instant at which every push has expired.
const TOO_LATE: &str = "2026-03-02T02:10:01Z";

impl MqttStage {
    async fn set(database: TestDatabase) -> Self {
        Self::set_at(Mosquitto::open(), database).await
    }

    async fn set_at(broker: Mosquitto, database: TestDatabase) -> Self {
        let fixture = Fixture::set_with(database, |config| connect(config, &broker)).await;
        let there = Self { broker, fixture };
        there.connection_is("connected").await;
        there
    }

    /// Enrols a device, and connects it to the broker.
    async fn device(&self, id: &str) -> (Device, MqttDevice) {
        let device = self.fixture.device(id).await;
        (device, MqttDevice::connect(&self.broker, id).await)
    }

    /// Crashes the broker, and waits until the node has noticed.
    async fn lose_broker(&self) {
        self.broker.stop();
        self.connection_is("disconnected").await;
    }

    /// Restarts the broker. Waits until the node and a device with this earlier number of `connections` have
    /// reconnected.
    async fn regain_broker(&self, device: &MqttDevice, connections: u64) {
        self.broker.start_again();
        device.connected_after(connections).await;
        self.connection_is("connected").await;
    }

    /// Waits until readiness reports this state of the broker. The node is ready in every state.
    async fn connection_is(&self, expected: &str) {
        until(async || {
            let ready = self.fixture.app.anyone().get("/readyz").await.expect(200);
            assert_eq!(ready["status"], "ready");
            ready["mqtt"] == expected
        })
        .await;
    }
}

/// Sets the broker of a node.
fn connect(config: &mut Config, broker: &Mosquitto) {
    config.mqtt.url = Some(broker.url().parse().unwrap());
    config.data_dir = broker.data_dir();
    if let Some(file) = broker.ca_file() {
        config.mqtt.ca_file = Some(file);
        config.mqtt.username = Some(NODE.0.to_owned());
        config.mqtt.password = Some(NODE.1.to_owned());
    }
}
