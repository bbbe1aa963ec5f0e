//! A tenant with a gateway key and one release to offer.

use serde_json::{Value, json};
use slipway::config::Config;

use crate::api::harness::{
    Caller, PUSH, TENANT, TestApp, TopCall, TopClient, app_fields, every_item, push_fields, release_fields,
    with,
};
use slipway_test_support::database::TestDatabase;

/// The tests' usual instant in the gateway's wall clock.
pub(super) const TIMESTAMP: &str = "2026-03-02 10:00:00";
/// Check of a fixture device on which only the host package is installed.
pub(super) const DEVICE_CHECK: [(&str, &str); 4] = [
    ("package_name", "com.hema.wms"),
    ("version_code", "50"),
    ("device_id", "PDA001"),
    ("tenant_id", "10000000"),
];

pub(super) struct Fixture {
    pub(super) app: TestApp,
    pub(super) admin: Caller,
    pub(super) client: TopClient,
}

pub(super) async fn fixture(database: TestDatabase) -> Fixture {
    stage_with(database, |_| {}).await
}

/// Starts with changed settings.
pub(super) async fn stage_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Fixture {
    let app = TestApp::start_with(database, change).await;
    let admin = app.tenant_admin(TENANT).await;
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let mut fields = release_fields("com.hema.wms.chuku", 240);
    fields["publish"] = json!(true);
    admin
        .post(&format!("{apps}/com.hema.wms/releases"), &fields)
        .await
        .expect(201);
    let client = app.top_client(&admin, TENANT, "device").await;
    Fixture { app, admin, client }
}

/// Splits an error into the error without its request id, and that id.
pub(super) fn error_of(body: &Value) -> (Value, String) {
    let mut error = body["error_response"].clone();
    let id = error["request_id"].as_str().unwrap().to_owned();
    error.as_object_mut().unwrap().remove("request_id");
    (error, id)
}

/// Value of `alipay_context` in every client.
pub(super) const ALIPAY_CONTEXT: &str = r#"{"havanaId":"","loginId":"","masterId":""}"#;

/// Returns the `req` of a valid push to these devices of the project `stores`, with members added or replaced.
pub(super) fn push_req(device_ids: &[&str], other: Value) -> String {
    with(push_fields(device_ids), other).to_string()
}

impl Fixture {
    /// Returns a client with an operator's key, after creating devices to push to.
    pub(super) async fn operator(&self, device_ids: &[&str]) -> TopClient {
        let devices = device_ids
            .iter()
            .map(|id| json!({"device_id": id, "project_id": "stores"}));
        let body = json!({"devices": devices.collect::<Vec<_>>()});
        let path = format!("/api/v1/tenants/{TENANT}/devices");
        self.admin.post(&path, &body).await.expect(200);
        self.app.top_client(&self.admin, TENANT, "operator").await
    }

    /// Returns every push, newest first.
    pub(super) async fn pushes(&self) -> Vec<Value> {
        every_item(&self.admin, &format!("/api/v1/tenants/{TENANT}/pushes?limit=200")).await
    }
}

/// Builds a signed push.
pub(super) fn push_call(client: &TopClient, req: &str) -> TopCall {
    let params = [("alipay_context", ALIPAY_CONTEXT), ("req", req)];
    client.call(PUSH, TIMESTAMP, &params)
}
