//! Limits on the traffic of one device, equal over HTTP and MQTT.

use serde_json::{Value, json};

use super::harness::{Answer, TestApp, in_tenant, push_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Calls until a call is refused. Returns the number of successful calls, and the refusal.
async fn count_until_refused(mut call: impl AsyncFnMut(usize) -> Answer) -> (usize, Answer) {
    for number in 0..1_000 {
        let answer = call(number).await;
        if answer.status == 429 {
            return (number, answer);
        }
        assert!(answer.status < 300, "{}", answer.text);
    }
    panic!("nothing was refused");
}

async fn acknowledgements_of_one_device_are_limited(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.delivery.device_rate = 1).await;
    let merchant = app.merchant().await;
    let enrol = async |id: &str| {
        let body = json!({"device_id": id, "project_id": "stores"});
        let enrolled = merchant.device.post("/v1/devices", &body).await.expect(201);
        app.bearer(enrolled["device_token"].as_str().unwrap())
    };
    let (busy, quiet) = (enrol("PDA001").await, enrol("PDA002").await);
    let fields = push_fields(&["PDA001", "PDA002"]);
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &fields)
        .await
        .expect(201);
    let push = push["id"].as_str().unwrap();
    let said = json!({"state": "received"});
    let ack = |id: &str| format!("/v1/devices/{id}/pushes/{push}/ack");
    let (count, refused) = count_until_refused(async |_| busy.post(&ack("PDA001"), &said).await).await;
    assert!(count >= 15, "{count}");
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(429, "rate_limited");
    quiet.post(&ack("PDA002"), &said).await.expect(200);
}

async fn pushes_to_one_device_are_limited(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.delivery.device_rate = 1).await;
    let merchant = app.merchant().await;
    merchant.know(&["PDA001", "PDA002"]).await;
    let to = |device: &str, number: usize| -> Value {
        with(
            push_fields(&[device]),
            json!({"trace_id": format!("push-{number}")}),
        )
    };
    let send = async |number| {
        merchant
            .admin
            .post(&in_tenant("/pushes"), &to("PDA001", number))
            .await
    };
    let (count, refused) = count_until_refused(send).await;
    assert!(count >= 15, "{count}");
    refused.problem(429, "rate_limited");
    merchant
        .admin
        .post(&in_tenant("/pushes"), &to("PDA002", 0))
        .await
        .expect(201);
}

on_both_databases!(
    acknowledgements_of_one_device_are_limited,
    pushes_to_one_device_are_limited,
);
