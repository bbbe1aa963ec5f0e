//! Isolation of devices: each has access to its own pushes only.

use serde_json::json;

use super::super::harness::{Caller, TENANT};
use super::fixture::{Device, Fixture, enrol};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Tries every access to a device's pushes. All must be answered with this problem.
async fn is_told(caller: &Caller, device: &str, push: &str, status: u16, code: &str) {
    for path in ["events", "pushes", "pushes?wait_s=0"] {
        let answer = caller.get(&format!("/v1/devices/{device}/{path}")).await;
        answer.problem(status, code);
    }
    let path = format!("/v1/devices/{device}/pushes/{push}/ack");
    caller
        .post(&path, &json!({"state": "applied"}))
        .await
        .problem(status, code);
}

async fn only_a_devices_own_token_reads_and_acknowledges(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let (device, other) = (fixture.device("A").await, fixture.device("B").await);
    let admin = fixture.app.tenant_admin(TENANT + 1).await;
    let key = fixture.app.device(&admin, TENANT + 1).await;
    let namesake = enrol(&fixture.app, &key, "A").await;
    let push = fixture.push(&[&device]).await;

    for stranger in [&other.caller, &fixture.merchant.device, &key] {
        is_told(stranger, "A", &push, 404, "not_found").await;
    }
    for nobody in [
        &fixture.app.anyone(),
        &fixture.app.bearer("garbled"),
        &fixture.sender,
    ] {
        is_told(nobody, "A", &push, 401, "unauthenticated").await;
    }
    // Another tenant's device of the same name has its own pushes, and none here.
    assert!(namesake.poll(0).await.is_empty());
    let foreign = namesake
        .send_acknowledgement(&push, &json!({"state": "applied"}))
        .await;
    foreign.problem(404, "not_found");
    is_told(&device.caller, "B", &push, 404, "not_found").await;
    is_told(&device.caller, "unknown", &push, 404, "not_found").await;
    assert_eq!(fixture.target(&push, &device).await["state"], "queued");
}

async fn a_token_that_was_replaced_gets_nothing(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let again = json!({"device_id": "A", "project_id": "stores"});
    let enrolled = device.caller.post("/v1/devices", &again).await.expect(200);
    let newest = Device {
        caller: fixture.app.bearer(enrolled["device_token"].as_str().unwrap()),
        ..device.clone()
    };
    let push = fixture.push(&[&device]).await;
    is_told(&device.caller, "A", &push, 401, "unauthenticated").await;
    assert_eq!(newest.poll(0).await.len(), 1);
}

on_both_databases!(
    only_a_devices_own_token_reads_and_acknowledges,
    a_token_that_was_replaced_gets_nothing,
);
