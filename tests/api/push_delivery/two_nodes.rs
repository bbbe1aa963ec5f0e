//! Pushes that one node accepts for devices connected to another: two processes on one PostgreSQL database.

use serde_json::{Value, json};

use super::super::harness::{ADMIN, PASSWORD, TENANT, in_tenant, push_fields};
use super::super::two_nodes::node::Node;
use super::fixture::until;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::sse::SseStream;

struct Nodes {
    /// Node that accepts the pushes.
    first: Node,
    /// Node that the device is connected to.
    second: Node,
    token: String,
    _database: TestDatabase,
}

const IMPATIENT: [(&str, &str); 2] = [
    ("SLIPWAY_PUSH_REDELIVERY_MS", "200"),
    ("SLIPWAY_PUSH_REDELIVERY_MAX_MS", "200"),
];

impl Nodes {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::postgres().await;
        let mut first = Node::start_with(&database.url, settings);
        first.sign_in(ADMIN, PASSWORD).await;
        let tenant = json!({"id": TENANT, "name": "A tenant"});
        first.post("/api/v1/tenants", &tenant).await.expect(201);
        let key = first
            .post(&in_tenant("/device-keys"), &json!({"name": "devices"}))
            .await
            .expect(201);
        let enrol = json!({"device_id": "A", "project_id": "stores"});
        let key = key["device_key"].as_str().unwrap();
        let enrolled = first.post_as(key, "/v1/devices", &enrol).await.expect(201);
        let token = enrolled["device_token"].as_str().unwrap().to_owned();
        let second = Node::start_with(&database.url, settings);
        Self {
            first,
            second,
            token,
            _database: database,
        }
    }

    async fn push(&self) -> String {
        let made = self.first.post(&in_tenant("/pushes"), &push_fields(&["A"])).await;
        made.expect(201)["id"].as_str().unwrap().to_owned()
    }

    async fn events(&self, node: &Node) -> SseStream {
        let stream = SseStream::open(node.url(), "A", &self.token, None).await;
        assert_eq!(stream.status, 200, "{}", stream.head);
        stream
    }

    async fn target(&self, push: &str) -> Value {
        let push = self.first.get(&in_tenant(&format!("/pushes/{push}"))).await;
        push.expect(200)["targets"][0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_one_node_took_reaches_a_device_on_the_other() {
    let nodes = Nodes::start(&[]).await;
    let mut events = nodes.events(&nodes.second).await;
    for _ in 0..3 {
        let push = nodes.push().await;
        assert_eq!(events.push().await.push_id(), push);
        until(async || nodes.target(&push).await["state"] == "delivered").await;
    }
    until(async || {
        let device = nodes.first.get(&in_tenant("/devices/A")).await.expect(200);
        device["connected"] == true
    })
    .await;
}

/// Hints may be lost. Polling suffices.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_without_hints_too() {
    let nodes = Nodes::start(&[("SLIPWAY_HINTS", "false")]).await;
    let mut events = nodes.events(&nodes.second).await;
    let push = nodes.push().await;
    assert_eq!(events.push().await.push_id(), push);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_at_one_node_ends_the_offering_at_the_other() {
    let nodes = Nodes::start(&IMPATIENT).await;
    let mut events = nodes.events(&nodes.second).await;
    let push = nodes.push().await;
    for _ in 0..3 {
        assert_eq!(events.push().await.push_id(), push);
    }
    let path = format!("/v1/devices/A/pushes/{push}/ack");
    let said = json!({"state": "received"});
    nodes.first.post_as(&nodes.token, &path, &said).await.expect(200);
    let next = nodes.push().await;
    while events.push().await.push_id() != next {}
    for _ in 0..3 {
        assert_eq!(events.push().await.push_id(), next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_comes_to_another_node_gets_what_it_did_not_acknowledge() {
    let nodes = Nodes::start(&[]).await;
    let mut events = nodes.events(&nodes.second).await;
    let push = nodes.push().await;
    let first = events.push().await;
    nodes.second.terminate();
    events.ended().await;
    let mut events = nodes.events(&nodes.first).await;
    let again = events.push().await;
    assert_eq!(again, first);
    assert_eq!(again.push_id(), push);
}
