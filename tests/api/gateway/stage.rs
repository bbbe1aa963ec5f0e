//! A tenant with a key of the gateway, and one release to offer.

use serde_json::{Value, json};
use slipway::config::Config;

use crate::api::harness::{Caller, TENANT, TestApp, TopClient, app_fields, release_fields};
use crate::support::database::TestDatabase;

/// The tests' usual instant in the gateway's wall clock.
pub(super) const TIMESTAMP: &str = "2026-03-02 10:00:00";
/// What a device of the stage sends that has nothing installed but the host package.
pub(super) const DEVICE_CHECK: [(&str, &str); 4] = [
    ("package_name", "com.hema.wms"),
    ("version_code", "50"),
    ("device_id", "PDA001"),
    ("tenant_id", "10000000"),
];

pub(super) struct Stage {
    pub(super) app: TestApp,
    pub(super) admin: Caller,
    pub(super) client: TopClient,
}

pub(super) async fn stage(database: TestDatabase) -> Stage {
    stage_with(database, |_| {}).await
}

/// With settings that differ from the tests' usual ones.
pub(super) async fn stage_with(database: TestDatabase, change: impl FnOnce(&mut Config)) -> Stage {
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
    Stage { app, admin, client }
}

/// An error without its request id, and that id.
pub(super) fn error_of(body: &Value) -> (Value, String) {
    let mut error = body["error_response"].clone();
    let id = error["request_id"].as_str().unwrap().to_owned();
    error.as_object_mut().unwrap().remove("request_id");
    (error, id)
}
