//! Releases over HTTP: published, seen by a check, and back.

use serde_json::json;

use super::harness::{TENANT, TestApp, app_fields, release_fields};
use crate::support::database::{TestDatabase, on_both_databases};

async fn a_published_release_is_offered_by_the_next_check(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let device = app.device(&admin, TENANT).await;
    let apps = format!("/api/v1/tenants/{TENANT}/apps");
    admin.post(&apps, &app_fields("com.hema.wms")).await.expect(201);
    let check = json!({"package_name": "com.hema.wms", "version_code": 50, "device_id": "PDA001"});
    assert_eq!(
        device.post("/v1/check", &check).await.expect(200)["data"],
        json!([])
    );

    let mut fields = release_fields("com.hema.wms.chuku", 240);
    fields["publish"] = json!(true);
    let published = admin
        .post(&format!("{apps}/com.hema.wms/releases"), &fields)
        .await;
    let revision = published.header("slipway-revision").to_owned();
    assert_eq!(published.expect(201)["state"], "published");

    let answer = device.post("/v1/check", &check).await;
    assert_eq!(answer.header("slipway-revision"), revision);
    let body = answer.expect(200);
    assert_eq!(body["data"][0]["version_code"], 240);
    assert_eq!(body["succeed"], true);
}

on_both_databases!(a_published_release_is_offered_by_the_next_check);
