//! Brokers that fail, and restart without their state.

use slipway::app;
use slipway::clock::SystemClock;

use super::super::super::harness::{start, test_config};
use super::{LATER, MqttStage, connect};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::Mosquitto;
use slipway_test_support::on_both_databases;

async fn what_is_pushed_without_the_broker_comes_with_it(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let connections = mqtt.connections();
    there.lose_broker().await;
    let push = there.fixture.push(&[&device]).await;
    // Other channels do not need the broker.
    assert_eq!(device.events().await.push().await.push_id(), push);
    there.regain_broker(&mqtt, connections).await;
    there.fixture.app.set_clock(LATER);
    assert_eq!(mqtt.push().await.push_id(), push);
}

async fn what_the_broker_lost_comes_again(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    let first = mqtt.push().await;
    let connections = mqtt.connections();
    there.lose_broker().await;
    there.broker.start_again();
    mqtt.connected_after(connections).await;
    there.fixture.app.set_clock(LATER);
    assert_eq!(mqtt.push().await.data, first.data);
    there.connection_is("connected").await;
    mqtt.acknowledge(&push, "received").await;
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "received")
        .await;
}

async fn a_node_starts_without_its_broker(database: TestDatabase) {
    let broker = Mosquitto::open();
    broker.stop();
    let fixture = super::Fixture::set_with(database, |config| connect(config, &broker)).await;
    let there = MqttStage { broker, fixture };
    there.connection_is("disconnected").await;
    there.broker.start_again();
    there.connection_is("connected").await;
}

/// Pushes published before the stop are recorded, with or without the broker.
async fn a_node_that_stops_ends_what_it_began(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let (node, caller) = there
        .fixture
        .app
        .at_another_node_with(&there.fixture.sender, |config| connect(config, &there.broker))
        .await;
    let push = super::push_by(&caller, &[&device]).await;
    mqtt.push().await;
    node.stop().await.unwrap();
    there
        .fixture
        .target_once(&push, &device, |target| target["deliveries"] == 1)
        .await;
    there.broker.stop();
    there.fixture.app.running.stop().await.unwrap();
}

on_both_databases!(
    what_is_pushed_without_the_broker_comes_with_it,
    what_the_broker_lost_comes_again,
    a_node_starts_without_its_broker,
    a_node_that_stops_ends_what_it_began,
);

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_cannot_work_refuse_the_start() {
    let database = TestDatabase::sqlite().await;
    let file = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let cases = [
        ("mqtt://broker", Some("x"), None, "SLIPWAY_MQTT_USERNAME"),
        ("mqtt://broker", None, Some(file.clone()), "mqtts://"),
        ("mqtts://broker", None, Some(file), "holds no certificate"),
        (
            "mqtts://broker",
            None,
            Some("/nonexistent".into()),
            "SLIPWAY_MQTT_CA_FILE",
        ),
    ];
    for (url, password, ca_file, says) in cases {
        let mut config = test_config(&database.url);
        config.mqtt.url = Some(url.parse().unwrap());
        config.mqtt.password = password.map(str::to_owned);
        config.mqtt.ca_file = ca_file;
        let started = app::start(&config, start(std::sync::Arc::new(SystemClock))).await;
        let error = started
            .err()
            .map(|error| format!("{error:#}"))
            .unwrap_or_default();
        assert!(error.contains(says), "{url}: {error}");
    }
}
