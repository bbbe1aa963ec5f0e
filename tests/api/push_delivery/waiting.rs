//! Flag of waiting pushes in a check.

use serde_json::{Value, json};

use super::super::harness::{Answer, check_fields, with};
use super::fixture::{Device, Fixture, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn check(device: &Device) -> Answer {
    let body = with(check_fields(), json!({"device_id": device.id}));
    device.caller.post("/v1/check", &body).await
}

async fn waits(device: &Device, expected: u64) {
    until(async || check(device).await.expect(200)["pushes_waiting"] == expected).await;
}

async fn a_check_says_how_many_pushes_wait(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let before = check(&device).await;
    assert_eq!(before.header("slipway-pushes-waiting"), "0");
    let tag = before.header("etag").to_owned();
    assert_eq!(before.expect(200)["pushes_waiting"], 0);
    let first = fixture.push(&[&device]).await;
    let second = fixture.push(&[&device]).await;
    waits(&device, 2).await;
    assert_eq!(
        check(&device).await.header("etag"),
        tag,
        "the tag covers the offers alone"
    );

    // A 304 carries the flag in its header.
    let path = "/v1/check?package_name=com.hema.wms&version_code=50&device_id=A";
    let known = device
        .caller
        .call_with(("If-None-Match", &tag), reqwest::Method::GET, path, &Value::Null);
    let known = known.await;
    assert_eq!((known.status, known.header("slipway-pushes-waiting")), (304, "2"));

    device.acknowledge(&first, "received").await;
    waits(&device, 1).await;
    fixture.withdraw(&second).await;
    waits(&device, 0).await;
}

async fn only_the_device_itself_is_told(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    fixture.push(&[&device]).await;
    waits(&device, 1).await;
    let body = with(check_fields(), json!({"device_id": "A"}));
    let by_key = fixture.merchant.device.post("/v1/check", &body).await;
    assert_eq!(by_key.header("slipway-pushes-waiting"), "");
    assert!(by_key.expect(200).get("pushes_waiting").is_none());
    let other = fixture.device("B").await;
    waits(&other, 0).await;
}

async fn an_expired_push_no_longer_waits(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    fixture.push(&[&device]).await;
    waits(&device, 1).await;
    fixture.app.set_clock("2026-03-02T02:10:00Z");
    assert_eq!(check(&device).await.expect(200)["pushes_waiting"], 0);
}

/// A node that was started later knows the waiting pushes too.
async fn another_node_knows_it_too(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    fixture.push(&[&device]).await;
    let (node, caller) = fixture.app.at_another_node(&device.caller).await;
    let there = Device { caller, ..device };
    waits(&there, 1).await;
    node.stop().await.unwrap();
}

on_both_databases!(
    a_check_says_how_many_pushes_wait,
    only_the_device_itself_is_told,
    an_expired_push_no_longer_waits,
    another_node_knows_it_too,
);
