//! Number of devices by version.

use serde_json::{Value, json};

use super::harness::{CHUKU, Merchant, PACKAGE, TestApp, app_fields, check_fields, in_app, in_tenant, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn versions_are_counted_by_resource(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    // Sorts before the app itself, which comes first nevertheless.
    merchant.published("a", 1).await;
    merchant.published(CHUKU, 240).await;
    check(&merchant, "A", 50, json!({CHUKU: 240, "a": 1})).await;
    check(&merchant, "B", 50, json!({CHUKU: 239, "unknown": 7})).await;
    check(&merchant, "C", 51, json!({CHUKU: 240})).await;
    let of_another_app = json!({"package_name": "com.other", "device_id": "D"});
    merchant
        .admin
        .post(&in_tenant("/apps"), &app_fields("com.other"))
        .await
        .expect(201);
    let of_another_app = with(check_fields(), of_another_app);
    merchant
        .device
        .post("/v1/check", &of_another_app)
        .await
        .expect(200);
    recorded(&merchant, "D").await;

    let third = 0.3333;
    let of_chuku = json!({"identifier": CHUKU, "versions": [
        {"version_code": 240, "devices": 2, "share": 0.6667},
        {"version_code": 239, "devices": 1, "share": third},
    ]});
    assert_eq!(
        adoption(&merchant, "").await,
        json!([
            {"identifier": PACKAGE, "versions": [
                {"version_code": 51, "devices": 1, "share": third},
                {"version_code": 50, "devices": 2, "share": 0.6667},
            ]},
            {"identifier": "a", "versions": [{"version_code": 1, "devices": 1, "share": 1.0}]},
            of_chuku,
        ])
    );
    let only = adoption(&merchant, &format!("?identifier={CHUKU}")).await;
    assert_eq!(only, json!([of_chuku]));
    assert_eq!(adoption(&merchant, "?identifier=unknown").await, json!([]));
}

async fn devices_count_that_were_seen_within_the_days(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let viewer = app.pipeline(&merchant.admin, "viewer").await;
    let merchant = Merchant {
        admin: viewer,
        ..merchant
    };
    check(&merchant, "A", 50, json!({})).await;
    recorded(&merchant, "A").await;
    app.set_clock("2026-03-22T02:00:00Z");
    check(&merchant, "B", 50, json!({})).await;
    recorded(&merchant, "B").await;
    let count = async |query: &str| adoption(&merchant, query).await[0]["versions"][0]["devices"].clone();
    assert_eq!(count("").await, 2);
    assert_eq!(count("?seen_within_days=20").await, 2);
    assert_eq!(count("?seen_within_days=19").await, 1);
    app.set_clock("2026-04-02T02:00:00Z");
    assert_eq!(count("").await, 1);
    assert_eq!(count("?seen_within_days=365").await, 2);
}

async fn an_app_that_is_not_there_has_no_adoption(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    assert_eq!(adoption(&merchant, "").await, json!([]));
    let path = in_tenant("/apps/com.absent/adoption");
    merchant.admin.get(&path).await.problem(404, "not_found");
}

async fn adoption(merchant: &Merchant, query: &str) -> Value {
    let path = in_app(&format!("/adoption{query}"));
    merchant.admin.get(&path).await.expect(200)["resources"].clone()
}

async fn check(merchant: &Merchant, device: &str, version: i64, old_versions: Value) {
    let own = json!({"device_id": device, "version_code": version, "old_versions": old_versions});
    let check = with(check_fields(), own);
    merchant.device.post("/v1/check", &check).await.expect(200);
}

async fn recorded(merchant: &Merchant, device: &str) {
    let path = in_tenant(&format!("/devices/{device}"));
    merchant.admin.get_once(&path, |_| true).await;
}

on_both_databases!(
    versions_are_counted_by_resource,
    devices_count_that_were_seen_within_the_days,
    an_app_that_is_not_there_has_no_adoption,
);
