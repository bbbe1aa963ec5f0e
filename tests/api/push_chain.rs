//! The whole way of a push: an existing client of the gateway, two nodes, PostgreSQL, Mosquitto, and devices on every
//! channel.

use std::path::Path;
use std::process::Command;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::harness::{ADMIN, PASSWORD, TENANT, in_tenant};
use super::push_delivery::until;
use super::sdk_clients::{ZONE, installed};
use super::two_nodes::node::Node;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::{Mosquitto, NODE};
use slipway_test_support::mqtt_device::MqttDevice;
use slipway_test_support::sse::SseStream;

/// Trace id of the push.
const TRACE_ID: &str = "build-4711";

struct Chain {
    /// Node that accepts the push.
    first: Node,
    /// Node that the devices are connected to.
    second: Node,
    broker: Mosquitto,
    app_key: Value,
    device_key: String,
    _database: TestDatabase,
}

impl Chain {
    async fn start() -> Self {
        let database = TestDatabase::postgres().await;
        let broker = Mosquitto::guarded(&["on-mqtt"]);
        let (url, ca_file) = (broker.url(), broker.ca_file().unwrap());
        let settings = [
            ("SLIPWAY_MQTT_URL", url.as_str()),
            ("SLIPWAY_MQTT_CA_FILE", ca_file.to_str().unwrap()),
            ("SLIPWAY_MQTT_USERNAME", NODE.0),
            ("SLIPWAY_MQTT_PASSWORD", NODE.1),
        ];
        let mut first = Node::start_with(&database.url, &settings);
        first.sign_in(ADMIN, PASSWORD).await;
        let tenant = json!({"id": TENANT, "name": "A tenant"});
        first.post("/api/v1/tenants", &tenant).await.expect(201);
        let make = async |path: &str, body: Value| first.post(&in_tenant(path), &body).await.expect(201);
        let app_key = make("/app-keys", json!({"name": "sdk", "role": "operator"})).await;
        let device_key = make("/device-keys", json!({"name": "devices"})).await;
        let mut second = Node::start_with(&database.url, &settings);
        second.token.clone_from(&first.token);
        for node in [&first, &second] {
            until(async || node.get("/readyz").await.expect(200)["mqtt"] == "connected").await;
        }
        Self {
            first,
            second,
            broker,
            app_key,
            device_key: device_key["device_key"].as_str().unwrap().to_owned(),
            _database: database,
        }
    }

    /// Enrols a device and returns its token.
    async fn enrol(&self, id: &str) -> String {
        let body = json!({"device_id": id, "project_id": "stores"});
        let enrolled = self.first.post_as(&self.device_key, "/v1/devices", &body).await;
        enrolled.expect(201)["device_token"].as_str().unwrap().to_owned()
    }

    /// Pushes to devices with the client, and returns the client's result.
    async fn push(&self, devices: &[&str]) -> Value {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk_clients/push.py");
        let mut command = Command::new(installed().join("venv/bin/python"));
        command.arg(program).arg(self.first.url()).env("TZ", ZONE);
        for member in ["app_key", "app_secret"] {
            command.arg(self.app_key[member].as_str().unwrap());
        }
        command.arg(TRACE_ID).args(devices);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    async fn is_connected(&self, device: &str) -> bool {
        let device = self.first.get(&in_tenant(&format!("/devices/{device}"))).await;
        device.expect(200)["connected"] == true
    }

    /// Returns the push by its trace id, read at the node that did not accept it.
    async fn shown(&self) -> Value {
        let found = self
            .second
            .get(&in_tenant(&format!("/pushes?trace_id={TRACE_ID}")))
            .await;
        let id = found.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
        self.second
            .get(&in_tenant(&format!("/pushes/{id}")))
            .await
            .expect(200)
    }
}

/// Acknowledges a push over HTTP.
async fn acknowledge(node: &Node, token: &str, device: &str, push: &str, said: Value) {
    let path = format!("/v1/devices/{device}/pushes/{push}/ack");
    node.post_as(token, &path, &said).await.expect(200);
}

fn instant(text: &Value) -> Option<DateTime<Utc>> {
    text.as_str().map(|text| text.parse().unwrap())
}

/// Returns device, state and channel of each target.
fn outcomes(push: &Value) -> Vec<[&str; 3]> {
    let targets = push["targets"].as_array().unwrap();
    targets
        .iter()
        .map(|target| {
            ["device_id", "state", "channel"].map(|member| target[member].as_str().unwrap_or_default())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_an_existing_client_comes_to_devices_on_every_channel() {
    const DEVICES: [&str; 4] = ["offline", "on-events", "on-mqtt", "on-poll"];
    let chain = Chain::start().await;
    let (first, second) = (&chain.first, &chain.second);
    let offline = chain.enrol("offline").await;
    let on_events = chain.enrol("on-events").await;
    chain.enrol("on-mqtt").await;
    let on_poll = chain.enrol("on-poll").await;
    let mut events = SseStream::open(second.url(), "on-events", &on_events, None).await;
    let mut mqtt = MqttDevice::connect(&chain.broker, "on-mqtt").await;

    let (polled, answer) = tokio::join!(
        second.get_as(&on_poll, "/v1/devices/on-poll/pushes?wait_s=60"),
        async {
            until(async || chain.is_connected("on-poll").await).await;
            chain.push(&DEVICES).await
        }
    );
    // The client may strip the root.
    let root = answer.get("yunos_miniapp_offlinepkg_push_response");
    let result = &root.unwrap_or(&answer)["result"];
    assert_eq!(
        (&result["success"], &result["result_code"]),
        (&json!(true), &json!("200")),
        "{answer}"
    );

    let by_events = events.push().await.data;
    let push = by_events["push_id"].as_str().unwrap();
    assert_eq!(
        (&by_events["trace_id"], &by_events["sequence"]),
        (&json!(TRACE_ID), &json!(1))
    );
    assert_eq!(mqtt.push().await.data, by_events);
    assert_eq!(polled.expect(200)["items"], json!([by_events]));

    acknowledge(second, &on_events, "on-events", push, json!({"state": "opened"})).await;
    mqtt.acknowledge(push, "applied").await;
    acknowledge(first, &on_poll, "on-poll", push, json!({"state": "received"})).await;
    let expected = [
        ["offline", "queued", ""],
        ["on-events", "opened", "events"],
        ["on-mqtt", "applied", "mqtt"],
        ["on-poll", "received", "poll"],
    ];
    until(async || outcomes(&chain.shown().await) == expected).await;

    // The device reconnects, to the node that accepted the push.
    let mut events = SseStream::open(first.url(), "offline", &offline, None).await;
    assert_eq!(events.push().await.data, by_events);
    let said = json!({"state": "failed", "detail": "no room"});
    acknowledge(second, &offline, "offline", push, said).await;
    let failed = ["offline", "failed", "events"];
    until(async || outcomes(&chain.shown().await)[0] == failed).await;

    let shown = chain.shown().await;
    assert_eq!(shown["id"], push);
    assert!(shown["origin"].as_str().unwrap().starts_with("app_key:"));
    for (target, (opens, ends)) in shown["targets"].as_array().unwrap().iter().zip([
        (false, true),
        (true, false),
        (false, true),
        (false, false),
    ]) {
        let time = |member: &str| instant(&target[member]);
        let created = instant(&shown["created_at"]);
        let (delivered, received) = (time("delivered_at"), time("received_at"));
        assert!(
            created.is_some() && created <= delivered && delivered <= received,
            "{target}"
        );
        assert_eq!(
            (time("opened_at").is_some(), time("ended_at").is_some()),
            (opens, ends),
            "{target}"
        );
        for later in ["opened_at", "ended_at"].map(time).into_iter().flatten() {
            assert!(received <= Some(later), "{target}");
        }
    }
    assert_eq!(shown["targets"][0]["detail"], "no room");
}
