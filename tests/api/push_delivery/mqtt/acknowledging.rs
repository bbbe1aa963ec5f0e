//! Acknowledgements over MQTT.

use futures_util::future::join_all;
use rumqttc::PubAckReason;
use serde_json::json;

use super::{LATER, MqttStage, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn acknowledgements_on_the_topic_move_the_push_on(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    mqtt.push().await;
    mqtt.acknowledge(&push, "received").await;
    // A repetition has no effect.
    mqtt.acknowledge(&push, "received").await;
    mqtt.acknowledge(&push, "opened").await;
    let body = json!({"push_id": push, "state": "failed", "detail": "no room"}).to_string();
    assert_eq!(mqtt.send(&body).await, PubAckReason::Success);
    let target = there
        .fixture
        .target_once(&push, &device, |target| {
            target["state"] == "failed" && target["channel"] == "mqtt"
        })
        .await;
    assert_eq!(target["detail"], "no room");
    for time in ["delivered_at", "received_at", "opened_at", "ended_at"] {
        assert!(target[time].is_string(), "{target}");
    }
}

/// An acknowledgement over any channel ends the publishing.
async fn what_was_acknowledged_comes_no_more(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let by_http = there.fixture.push(&[&device]).await;
    let by_mqtt = there.fixture.push(&[&device]).await;
    for _ in 0..2 {
        mqtt.push().await;
    }
    device.acknowledge(&by_http, "received").await;
    mqtt.acknowledge(&by_mqtt, "received").await;
    for push in [&by_http, &by_mqtt] {
        there
            .fixture
            .target_once(push, &device, |target| target["state"] == "received")
            .await;
    }
    there.fixture.app.set_clock(LATER);
    let next = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), next);
}

async fn wrong_acknowledgements_change_nothing(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let (other, others_mqtt) = there.device("B").await;
    let push = there.fixture.push(&[&device]).await;
    mqtt.push().await;
    let bad = r#"slipway_push_mqtt_acknowledgements_total{outcome="bad"}"#;
    let refused = r#"slipway_push_mqtt_acknowledgements_total{outcome="refused"}"#;
    let before = [
        there.fixture.metric(bad).await,
        there.fixture.metric(refused).await,
    ];
    let wrong = [
        String::new(),
        "{".to_owned(),
        "\u{0}".to_owned(),
        // Deeper than the client library parses by itself.
        "[".repeat(20_000),
        json!({"push_id": push}).to_string(),
        json!({"push_id": push, "state": "delivered"}).to_string(),
        json!({"push_id": push, "state": "received", "detail": "x".repeat(501)}).to_string(),
    ];
    for body in &wrong {
        mqtt.send(body).await;
    }
    // A push of another device, and a nonexistent push.
    others_mqtt.acknowledge(&push, "applied").await;
    mqtt.acknowledge("01a213d3-aaa7-7637-9634-e45716b63ffd", "applied")
        .await;
    until(async || {
        there.fixture.metric(bad).await >= before[0] + 7.0
            && there.fixture.metric(refused).await >= before[1] + 2.0
    })
    .await;
    assert_eq!(there.fixture.target(&push, &device).await["state"], "delivered");
    mqtt.acknowledge(&push, "opened").await;
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "opened")
        .await;
    assert!(other.poll(0).await.is_empty());
}

/// The excess is refused without transactions, and does not delay other devices.
async fn a_device_that_floods_is_refused_alone(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (_, flooding) = there.device("A").await;
    let (device, mut mqtt) = there.device("B").await;
    let push = there.fixture.push(&[&device]).await;
    mqtt.push().await;
    let too_many = r#"slipway_push_mqtt_acknowledgements_total{outcome="too_many"}"#;
    let before = there.fixture.metric(too_many).await;
    let unknown = json!({"push_id": "01a213d3-aaa7-7637-9634-e45716b63ffd", "state": "applied"}).to_string();
    for _ in 0..12 {
        join_all((0..50).map(|_| flooding.send(&unknown))).await;
    }
    mqtt.acknowledge(&push, "applied").await;
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "applied")
        .await;
    until(async || there.fixture.metric(too_many).await > before).await;
}

on_both_databases!(
    acknowledgements_on_the_topic_move_the_push_on,
    what_was_acknowledged_comes_no_more,
    wrong_acknowledgements_change_nothing,
    a_device_that_floods_is_refused_alone,
);
