//! Acknowledgements while a node is disconnected: the broker keeps them.

use std::sync::{Arc, Mutex};

use rumqttc::PubAckReason;
use serde_json::json;

use super::super::super::harness::{ADMIN, PASSWORD, TENANT, in_tenant, push_fields};
use super::super::super::two_nodes::node::Node;
use super::{Fixture, MqttDevice, MqttStage, connect, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::Mosquitto;
use slipway_test_support::on_both_databases;
use slipway_test_support::proxy::{Endpoint, Mode, Proxy};

/// The lost message is a second acknowledgement, which the device has no reason to repeat.
async fn what_is_said_over_a_connection_that_breaks_counts(database: TestDatabase) {
    let broker = Mosquitto::open();
    let address = Endpoint::Address(([127, 0, 0, 1], broker.port()).into());
    let proxy = Proxy::start(Arc::new(Mutex::new(address))).await;
    let fixture = Fixture::set_with(database, |config| {
        connect(config, &broker);
        config.mqtt.url = Some(format!("mqtt://127.0.0.1:{}", proxy.port));
    })
    .await;
    let there = MqttStage { broker, fixture };
    there.connection_is("connected").await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    mqtt.push().await;
    mqtt.acknowledge(&push, "received").await;
    let becomes = async |state: &str| {
        let is_so = |target: &serde_json::Value| target["state"] == state;
        there.fixture.target_once(&push, &device, is_so).await;
    };
    becomes("received").await;
    // The broker sends it, and it never arrives.
    proxy.set(Mode::Silent);
    mqtt.acknowledge(&push, "opened").await;
    proxy.set(Mode::Refuse);
    there.connection_is("disconnected").await;
    mqtt.acknowledge(&push, "applied").await;
    proxy.set(Mode::Open);
    becomes("applied").await;
    let target = there.fixture.target(&push, &device).await;
    assert!(target["opened_at"].is_string(), "{target}");
}

/// It ends its session at the broker, so that other nodes receive everything.
async fn nothing_is_kept_for_a_node_that_was_told_to_stop(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (_, mqtt) = there.device("A").await;
    let body = json!({"push_id": "01a213d3-aaa7-7637-9634-e45716b63ffd", "state": "applied"}).to_string();
    assert_eq!(mqtt.send(&body).await, PubAckReason::Success);
    there.fixture.app.running.stop().await.unwrap();
    assert_eq!(mqtt.send(&body).await, PubAckReason::NoMatchingSubscribers);
}

on_both_databases!(
    what_is_said_over_a_connection_that_breaks_counts,
    nothing_is_kept_for_a_node_that_was_told_to_stop,
);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_the_node_is_down_counts() {
    let (database, broker) = (TestDatabase::postgres().await, Mosquitto::open());
    let (url, data_dir) = (broker.url(), broker.data_dir());
    let settings = [
        ("SLIPWAY_MQTT_URL", url.as_str()),
        ("SLIPWAY_DATA_DIR", data_dir.to_str().unwrap()),
    ];
    let mut node = Node::start_with(&database.url, &settings);
    node.sign_in(ADMIN, PASSWORD).await;
    let tenant = json!({"id": TENANT, "name": "A tenant"});
    node.post("/api/v1/tenants", &tenant).await.expect(201);
    let make = async |path: &str, body| node.post(&in_tenant(path), &body).await.expect(201);
    let key = make("/device-keys", json!({"name": "devices"})).await;
    let key = key["device_key"].as_str().unwrap();
    let enrolment = json!({"device_id": "A", "project_id": "stores"});
    node.post_as(key, "/v1/devices", &enrolment).await.expect(201);
    until(async || node.get("/readyz").await.expect(200)["mqtt"] == "connected").await;
    let mut mqtt = MqttDevice::connect(&broker, "A").await;
    let push = make("/pushes", push_fields(&["A"])).await;
    let push = push["id"].as_str().unwrap();
    mqtt.push().await;
    mqtt.acknowledge(push, "received").await;
    let state = async |node: &Node| {
        let shown = node.get(&in_tenant(&format!("/pushes/{push}"))).await.expect(200);
        shown["targets"][0]["state"].clone()
    };
    until(async || state(&node).await == "received").await;
    // Killed, so it cannot end its session.
    let token = node.token.clone();
    drop(node);
    mqtt.acknowledge(push, "applied").await;
    let mut node = Node::start_with(&database.url, &settings);
    node.token = token;
    until(async || state(&node).await == "applied").await;
}
