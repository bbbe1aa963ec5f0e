//! Recovery of the connection to the broker in every situation: a push must be published again, and its acknowledgement
//! must count.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use slipway::config::Config;
use slipway::supervision::Fault;

use super::super::super::harness::{ADMIN, Caller, PASSWORD, TENANT, in_tenant, push_fields};
use super::super::super::two_nodes::node::Node;
use super::{Fixture, MqttDevice, connect, push_by, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::{Mosquitto, NODE};
use slipway_test_support::on_both_databases;
use slipway_test_support::proxy::{Endpoint, Mode, Proxy};

/// Tasks that only a node with a broker has.
const TASKS: [&str; 3] = ["mqtt_acknowledgements", "mqtt_connection", "push_publisher"];

/// A merchant whose first node has no broker. Tests start other nodes with one.
struct RecoveryStage {
    broker: Mosquitto,
    fixture: Fixture,
}

/// A node with a connection to the broker.
struct BrokerNode {
    running: slipway::app::Running,
    caller: Caller,
}

impl RecoveryStage {
    async fn set(broker: Mosquitto, database: TestDatabase) -> Self {
        Self {
            broker,
            fixture: Fixture::set(database).await,
        }
    }

    async fn node(&self, change: impl FnOnce(&mut Config)) -> BrokerNode {
        let (running, caller) = self
            .fixture
            .app
            .at_another_node_with(&self.fixture.sender, |config| {
                connect(config, &self.broker);
                change(config);
            })
            .await;
        BrokerNode { running, caller }
    }

    /// Returns every client id that nodes have used at the broker.
    fn client_ids(&self) -> BTreeSet<String> {
        let log = self.broker.log();
        let names = log.lines().filter_map(|line| {
            let (_, name) = line.split_once(" as slipway-")?;
            name.split_whitespace().next()
        });
        names.map(str::to_owned).collect()
    }

    /// Checks that a push reaches the device, and that its acknowledgements count.
    async fn serves(&self, node: &BrokerNode, device_id: &str) {
        node.connection_is("connected").await;
        let device = self.fixture.device(device_id).await;
        let mut mqtt = MqttDevice::connect(&self.broker, device_id).await;
        let push = push_by(&node.caller, &[&device]).await;
        assert_eq!(mqtt.push().await.push_id(), push);
        for state in ["received", "opened", "applied"] {
            mqtt.acknowledge(&push, state).await;
            self.fixture
                .target_once(&push, &device, |target| target["state"] == state)
                .await;
        }
    }
}

impl BrokerNode {
    async fn connection_is(&self, expected: &str) {
        until(async || self.caller.get("/readyz").await.body["mqtt"] == expected).await;
    }
}

/// Starts a proxy between a node and the broker.
async fn proxy_of(broker: &Mosquitto) -> (Proxy, String) {
    let address = Endpoint::Address(([127, 0, 0, 1], broker.port()).into());
    let proxy = Proxy::start(Arc::new(Mutex::new(address))).await;
    let url = format!("mqtt://127.0.0.1:{}", proxy.port);
    (proxy, url)
}

async fn a_node_that_stopped_while_its_broker_was_silent_resumes_its_session(database: TestDatabase) {
    let there = RecoveryStage::set(Mosquitto::open(), database).await;
    let (proxy, url) = proxy_of(&there.broker).await;
    let node = there
        .node(|config| config.mqtt.url = Some(url.parse().unwrap()))
        .await;
    there.serves(&node, "A").await;
    // The broker receives no `DISCONNECT`, and keeps the session.
    proxy.set(Mode::Silent);
    node.running.stop().await.unwrap();
    let node = there.node(|_| {}).await;
    there.serves(&node, "B").await;
    node.running.stop().await.unwrap();
}

async fn a_connection_that_was_cut_resumes_its_session_and_one_that_the_broker_lost_does_too(
    database: TestDatabase,
) {
    let there = RecoveryStage::set(Mosquitto::open(), database).await;
    let (proxy, url) = proxy_of(&there.broker).await;
    let node = there
        .node(|config| config.mqtt.url = Some(url.parse().unwrap()))
        .await;
    // Short-lived connections must not affect the node.
    for device in ["A", "B", "C", "F", "G", "H"] {
        there.serves(&node, device).await;
        proxy.set(Mode::Refuse);
        node.connection_is("disconnected").await;
        proxy.set(Mode::Open);
    }
    there.serves(&node, "D").await;
    there.broker.stop();
    node.connection_is("disconnected").await;
    there.broker.start_again();
    there.serves(&node, "E").await;
    node.running.stop().await.unwrap();
}

/// As after cloning a machine: both have the same `node.id`, and so the same client id.
async fn nodes_with_copies_of_one_data_directory_both_serve(database: TestDatabase) {
    let there = RecoveryStage::set(Mosquitto::open(), database).await;
    let first = there.node(|_| {}).await;
    there.serves(&first, "A").await;
    let original = there.broker.data_dir();
    let copy = there.broker.data_dir().with_extension("copy");
    copy_name(&original, &copy);
    let second = there.node(|config| config.data_dir.clone_from(&copy)).await;
    // Mosquitto 2.0.11 always ends the old connection without a message.
    until(async || there.client_ids().len() == 2).await;
    there.serves(&second, "B").await;
    there.serves(&first, "C").await;
    first.running.stop().await.unwrap();
    there.serves(&second, "D").await;
    second.running.stop().await.unwrap();
    // Each takeover ends a connection. Takeovers must stop.
    let takeovers = there.broker.log().matches("already connected").count();
    assert!((1..=10).contains(&takeovers), "{}", there.broker.log());
}

/// Kills all the tasks by name, at the same time.
async fn tasks_that_fail_are_restarted_and_serve_again(database: TestDatabase) {
    let there = RecoveryStage::set(Mosquitto::open(), database).await;
    let node = there.node(|_| {}).await;
    there.serves(&node, "A").await;
    let tasks = &node.running.context.node().tasks;
    for (device, fault) in [("B", Fault::Panic), ("C", Fault::Return)] {
        for task in TASKS {
            assert!(tasks.inject(task, fault), "{task}");
        }
        until(async || tasks.down().names.len() == TASKS.len()).await;
        until(async || tasks.down().names.is_empty()).await;
        there.serves(&node, device).await;
    }
    node.running.stop().await.unwrap();
}

fn copy_name(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("node.id"), to.join("node.id")).unwrap();
}

async fn a_password_that_is_corrected_at_the_broker_lets_the_node_in(database: TestDatabase) {
    let there = RecoveryStage::set(Mosquitto::guarded(&["A"]), database).await;
    let failures = r#"slipway_mqtt_connection_failures_total{reason="unauthorized"}"#;
    let before = there.fixture.metric(failures).await;
    let node = there
        .node(|config| config.mqtt.password = Some("the new one".to_owned()))
        .await;
    until(async || there.fixture.metric(failures).await >= before + 2.0).await;
    node.connection_is("disconnected").await;
    there.broker.set_password(NODE.0, "the new one");
    there.serves(&node, "A").await;
    node.running.stop().await.unwrap();
}

on_both_databases!(
    a_node_that_stopped_while_its_broker_was_silent_resumes_its_session,
    a_connection_that_was_cut_resumes_its_session_and_one_that_the_broker_lost_does_too,
    nodes_with_copies_of_one_data_directory_both_serve,
    a_password_that_is_corrected_at_the_broker_lets_the_node_in,
    tasks_that_fail_are_restarted_and_serve_again,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_and_started_again_publishes_and_hears() {
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
    let key = node
        .post(&in_tenant("/device-keys"), &json!({"name": "devices"}))
        .await
        .expect(201);
    let enrolment = json!({"device_id": "A", "project_id": "stores"});
    node.post_as(key["device_key"].as_str().unwrap(), "/v1/devices", &enrolment)
        .await
        .expect(201);
    let mut mqtt = MqttDevice::connect(&broker, "A").await;
    for _ in 0..3 {
        until(async || node.get("/readyz").await.expect(200)["mqtt"] == "connected").await;
        let push = node
            .post(&in_tenant("/pushes"), &push_fields(&["A"]))
            .await
            .expect(201);
        let push = push["id"].as_str().unwrap();
        assert_eq!(mqtt.push().await.push_id(), push);
        mqtt.acknowledge(push, "applied").await;
        until(async || {
            let shown = node.get(&in_tenant(&format!("/pushes/{push}"))).await.expect(200);
            shown["targets"][0]["state"] == "applied"
        })
        .await;
        // Killed, so it cannot end its session.
        let token = node.token.clone();
        drop(node);
        node = Node::start_with(&database.url, &settings);
        node.token = token;
    }
}
