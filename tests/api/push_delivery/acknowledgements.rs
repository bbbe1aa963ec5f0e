//! Acknowledgements by devices.

use serde_json::json;

use super::fixture::Fixture;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn acknowledgements_move_a_push_forward(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    for (said, counts) in [
        ("received", "received"),
        ("received", "received"),
        ("opened", "opened"),
        ("received", "opened"),
        ("applied", "applied"),
        ("failed", "applied"),
    ] {
        assert_eq!(device.acknowledge(&push, said).await, counts, "{said}");
    }
    let target = fixture.target(&push, &device).await;
    assert_eq!(target["state"], "applied", "{target}");
    for instant in ["received_at", "opened_at", "ended_at"] {
        assert!(target[instant].is_string(), "{target}");
    }
}

async fn a_device_says_why_it_failed(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    let said = json!({"state": "failed", "detail": "no space\nleft"});
    let answer = device.send_acknowledgement(&push, &said).await.expect(200);
    assert_eq!(
        (&answer["push_id"], &answer["sequence"]),
        (&json!(push), &json!(1))
    );
    let target = fixture.target(&push, &device).await;
    assert_eq!(
        (&target["state"], &target["detail"]),
        (&json!("failed"), &said["detail"])
    );
}

async fn wrong_acknowledgements_are_named(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    let long = "a".repeat(501);
    for (body, fields) in [
        (json!({}), vec!["state"]),
        (json!({"state": null}), vec!["state"]),
        (json!({"state": "delivered"}), vec!["state"]),
        (json!({"state": "Received"}), vec!["state"]),
        (json!({"state": 1}), vec!["state"]),
        (json!({"state": "failed", "detail": long}), vec!["detail"]),
        (json!({"state": "x", "detail": ""}), vec!["state", "detail"]),
        (json!({"state": "failed", "why": "x"}), vec!["why"]),
    ] {
        let answer = device.send_acknowledgement(&push, &body).await;
        assert_eq!(answer.wrong_fields(), fields, "{body}");
    }
    assert_eq!(fixture.target(&push, &device).await["state"], "queued");
}

async fn a_push_that_the_device_does_not_have_is_not_there(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let (device, other) = (fixture.device("A").await, fixture.device("B").await);
    let push = fixture.push(&[&other]).await;
    let unknown = "0192f0c1-0000-7000-8000-000000000000";
    for id in [push.as_str(), unknown, "1", "x"] {
        let answer = device
            .send_acknowledgement(id, &json!({"state": "received"}))
            .await;
        answer.problem(404, "not_found");
    }
    assert_eq!(fixture.target(&push, &other).await["state"], "queued");
}

/// The push was delivered before, but that was not recorded yet.
async fn a_device_that_has_what_was_withdrawn_says_so(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    fixture.withdraw(&push).await;
    let target = fixture.target(&push, &device).await;
    assert_eq!(target["state"], "withdrawn");
    assert!(target["ended_at"].is_string() && target["received_at"].is_null());

    assert_eq!(device.acknowledge(&push, "received").await, "received");
    let target = fixture.target(&push, &device).await;
    assert_eq!(target["state"], "received");
    assert!(target["ended_at"].is_null() && target["received_at"].is_string());
    // A delivered push cannot be withdrawn, and is not offered again.
    fixture.withdraw(&push).await;
    assert_eq!(fixture.target(&push, &device).await, target);
    assert!(device.poll(0).await.is_empty());

    assert_eq!(device.acknowledge(&push, "applied").await, "applied");
    let target = fixture.target(&push, &device).await;
    assert_eq!(target["state"], "applied");
    assert!(target["ended_at"].is_string());
}

async fn acknowledgements_are_counted_and_measured(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let mut events = device.events().await;
    let push = fixture.push(&[&device]).await;
    events.push().await;
    device.acknowledge(&push, "opened").await;
    for sample in [
        "slipway_push_acknowledged_total{state=\"opened\"}",
        "slipway_push_acknowledge_seconds_count{channel=\"events\"}",
        "slipway_push_acknowledge_seconds_bucket{channel=\"events\",le=\"604800\"}",
        "slipway_push_deliveries_total{channel=\"events\"}",
        "slipway_push_streams",
    ] {
        assert!(fixture.metric(sample).await >= 1.0, "{sample}");
    }
}

on_both_databases!(
    acknowledgements_move_a_push_forward,
    a_device_says_why_it_failed,
    wrong_acknowledgements_are_named,
    a_push_that_the_device_does_not_have_is_not_there,
    a_device_that_has_what_was_withdrawn_says_so,
    acknowledgements_are_counted_and_measured,
);
