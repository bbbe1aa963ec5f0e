//! A catalog whose rows disappear without an audited deletion keeps its old state.

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::harness::{
    CHUKU, Caller, PACKAGE, TENANT, TestApp, app_fields, check_fields, in_app, in_tenant, release_fields,
    with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

on_both_databases!(a_catalog_is_kept_when_its_releases_vanish_behind_the_nodes_back);

const OTHER: &str = "com.hema.pos";

/// Publishes versions 1 to 9 of a resource. None supersedes another.
pub(super) async fn publish_nine(admin: &Caller) {
    for version in 1..=9 {
        let fields = json!({"publish": true, "device_types": ["10013"]});
        let fields = with(release_fields(CHUKU, version), fields);
        admin.post(&in_app("/releases"), &fields).await.expect(201);
    }
}

async fn a_catalog_is_kept_when_its_releases_vanish_behind_the_nodes_back(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let device = app.device(&admin, TENANT).await;
    for package in [PACKAGE, OTHER] {
        admin
            .post(&in_tenant("/apps"), &app_fields(package))
            .await
            .expect(201);
    }
    publish_nine(&admin).await;
    let check = with(check_fields(), json!({"device_type": "10013"}));
    let before = device.post("/v1/check", &check).await.expect(200);
    assert_eq!(before["data"][0]["version_code"], 9);

    let connection = sea_orm::Database::connect(&app.database.url).await.unwrap();
    connection
        .execute_unprepared("DELETE FROM releases")
        .await
        .unwrap();
    // The node detects the loss at the next change of the tenant, in whichever app.
    for name in ["Point of sale", "Points of sale"] {
        let other = in_tenant(&format!("/apps/{OTHER}"));
        admin.patch(&other, &json!({"app_name": name})).await.expect(200);
        let after = device.post("/v1/check", &check).await.expect(200);
        assert_eq!(after["data"], before["data"], "the previous catalog is kept");
    }
}
