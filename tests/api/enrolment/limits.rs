//! Limits on the misuse of an extracted device key.

use serde_json::json;

use super::{check, code, enrol, enrol_with, first, import, merchant, path};
use crate::api::harness::TestApp;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn codes_cannot_be_guessed_on_and_on(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let a = first(&app, &merchant, "A").await;
    let guess = json!({"enrolment_code": "000000-000000-000000-000000"});
    for _ in 0..10 {
        let refused = enrol_with(&merchant.device, "A", guess.clone()).await;
        assert_eq!(refused.wrong_fields(), ["enrolment_code"]);
    }
    let right = json!({"enrolment_code": code(&merchant.admin, "A").await});
    let limited = enrol_with(&merchant.device, "A", right).await;
    assert!(limited.header("retry-after").parse::<u64>().unwrap() > 0);
    limited.problem(429, "rate_limited");
    // Devices that need no code, and other devices, are not affected.
    enrol(&a, "A").await.expect(200);
    import(&merchant.admin, "B", "stores").await;
    let right = json!({"enrolment_code": code(&merchant.admin, "B").await});
    enrol_with(&merchant.device, "B", right).await.expect(201);
}

async fn new_ids_by_enrolment_count_with_those_by_checks(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.device_records.new_devices_per_day = 3;
        config.device_records.batch = 1;
    })
    .await;
    let merchant = merchant(&app).await;
    let is_seen = |device: &serde_json::Value| !device["last_seen_at"].is_null();
    first(&app, &merchant, "A").await;
    check(&merchant.device, "B").await.expect(200);
    merchant.admin.get_once(&path("B"), is_seen).await;
    let c = first(&app, &merchant, "C").await;
    let limited = enrol(&merchant.device, "D").await;
    // From 02:00 to midnight.
    assert_eq!(limited.header("retry-after"), "79201");
    limited.problem(429, "rate_limited");
    merchant.admin.get(&path("D")).await.problem(404, "not_found");
    // A check of a new id is answered and not recorded.
    check(&merchant.device, "E").await.expect(200);
    // Known devices can still enrol.
    first(&app, &merchant, "B").await;
    enrol(&c, "C").await.expect(200);
    import(&merchant.admin, "F", "stores").await;
    first(&app, &merchant, "F").await;
    merchant.admin.get(&path("E")).await.problem(404, "not_found");

    app.set_clock("2026-03-03T00:00:00Z");
    first(&app, &merchant, "D").await;
}

/// A refused enrolment does not change the count.
async fn a_refused_enrolment_makes_no_device_known(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.device_records.new_devices_per_day = 1).await;
    let merchant = merchant(&app).await;
    let guess = json!({"enrolment_code": "000000-000000-000000-000000"});
    let refused = enrol_with(&merchant.device, "A", guess).await;
    assert_eq!(refused.wrong_fields(), ["enrolment_code"]);
    merchant.admin.get(&path("A")).await.problem(404, "not_found");
    first(&app, &merchant, "A").await;
    enrol(&merchant.device, "B").await.problem(429, "rate_limited");
}

on_both_databases!(
    codes_cannot_be_guessed_on_and_on,
    new_ids_by_enrolment_count_with_those_by_checks,
    a_refused_enrolment_makes_no_device_known,
);
