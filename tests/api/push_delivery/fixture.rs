//! A merchant with devices that have tokens, and pushes to them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use slipway::config::Config;

use super::super::harness::{Answer, Caller, DEADLINE, Merchant, TestApp, in_tenant, push_fields};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::sse::SseStream;

pub(super) struct Fixture {
    pub(super) app: TestApp,
    pub(super) merchant: Merchant,
    /// Sends and reads pushes, with a credential that stays valid when the clock is set.
    pub(super) sender: Caller,
}

/// An enrolled device.
#[derive(Clone)]
pub(super) struct Device {
    pub(super) id: String,
    pub(super) caller: Caller,
}

impl Fixture {
    pub(super) async fn set(database: TestDatabase) -> Self {
        Self::set_with(database, |_| {}).await
    }

    /// Starts with a short redelivery time for unacknowledged pushes.
    pub(super) async fn set_impatient(database: TestDatabase) -> Self {
        Self::set_with(database, |config| {
            config.delivery.redelivery_ms = 100;
            config.delivery.redelivery_max_ms = 200;
        })
        .await
    }

    pub(super) async fn set_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Self {
        let app = TestApp::start_with(database, change).await;
        let merchant = app.merchant().await;
        let sender = app.pipeline(&merchant.admin, "publisher").await;
        Self {
            app,
            merchant,
            sender,
        }
    }

    /// Enrols a new device of the usual project.
    pub(super) async fn device(&self, id: &str) -> Device {
        enrol(&self.app, &self.merchant.device, id).await
    }

    /// Pushes to devices and returns the push's id.
    pub(super) async fn push(&self, devices: &[&Device]) -> String {
        push_by(&self.sender, devices).await
    }

    /// Returns the target of a push on a device.
    pub(super) async fn target(&self, push: &str, device: &Device) -> Value {
        self.target_once(push, device, |_| true).await
    }

    /// Waits until a target satisfies the condition, and returns it.
    pub(super) async fn target_once(
        &self,
        push: &str,
        device: &Device,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let path = in_tenant(&format!("/pushes/{push}"));
        let target = |push: &Value| {
            let targets = push["targets"].as_array().unwrap();
            targets
                .iter()
                .find(|target| target["device_id"] == device.id)
                .unwrap()
                .clone()
        };
        let push = self.sender.get_once(&path, |push| is_so(&target(push))).await;
        target(&push)
    }

    pub(super) async fn withdraw(&self, push: &str) {
        let answer = self.sender.delete(&in_tenant(&format!("/pushes/{push}"))).await;
        assert!(answer.status < 300, "{}", answer.text);
    }

    /// Returns a sample of the node's metrics, or 0 while it is absent. Other tests of this process use the same
    /// counters.
    pub(super) async fn metric(&self, sample: &str) -> f64 {
        let text = self.app.anyone().get("/metrics").await.text;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

pub(super) async fn enrol(app: &TestApp, key: &Caller, id: &str) -> Device {
    let body = json!({"device_id": id, "project_id": "stores"});
    let enrolled = key.post("/v1/devices", &body).await.expect(201);
    Device {
        id: id.to_owned(),
        caller: app.bearer(enrolled["device_token"].as_str().unwrap()),
    }
}

pub(super) async fn push_by(sender: &Caller, devices: &[&Device]) -> String {
    let ids: Vec<_> = devices.iter().map(|device| device.id.as_str()).collect();
    let made = sender
        .post(&in_tenant("/pushes"), &push_fields(&ids))
        .await
        .expect(201);
    made["id"].as_str().unwrap().to_owned()
}

impl Device {
    pub(super) async fn events(&self) -> SseStream {
        self.resume(None).await
    }

    pub(super) async fn resume(&self, last_event_id: Option<i64>) -> SseStream {
        let stream = SseStream::open(self.caller.url(), &self.id, self.caller.token(), last_event_id).await;
        assert_eq!(stream.status, 200, "{}", stream.head);
        stream
    }

    pub(super) async fn poll(&self, wait_s: u32) -> Vec<Value> {
        let path = format!("/v1/devices/{}/pushes?wait_s={wait_s}", self.id);
        let answer = self.caller.get(&path).await.expect(200);
        answer["items"].as_array().unwrap().clone()
    }

    /// Posts the body of an acknowledgement.
    pub(super) async fn send_acknowledgement(&self, push: &str, body: &Value) -> Answer {
        let path = format!("/v1/devices/{}/pushes/{push}/ack", self.id);
        self.caller.post(&path, body).await
    }

    /// Acknowledges successfully, and returns the resulting state.
    pub(super) async fn acknowledge(&self, push: &str, state: &str) -> String {
        let answer = self
            .send_acknowledgement(push, &json!({"state": state}))
            .await
            .expect(200);
        answer["state"].as_str().unwrap().to_owned()
    }
}

/// Returns the ids of pushes, in their order.
pub(super) fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["push_id"].as_str().unwrap())
        .collect()
}

/// Waits until a condition holds that a task of the server brings about.
pub(in crate::api) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it does not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
