//! A broker with TLS, passwords, and the access rules of the docs.

use rumqttc::PubAckReason;
use serde_json::json;

use super::{Fixture, LATER, MqttDevice, MqttStage, connect, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::mosquitto::Mosquitto;

async fn guarded_stage() -> MqttStage {
    let broker = Mosquitto::guarded(&["A", "B"]);
    MqttStage::set_at(broker, TestDatabase::sqlite().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_go_over_tls_with_credentials() {
    let there = guarded_stage().await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), push);
    mqtt.acknowledge(&push, "applied").await;
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "applied")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_has_its_own_topics_alone() {
    let there = guarded_stage().await;
    let (device, mut mqtt) = there.device("A").await;
    let mut thief = MqttDevice::subscribe(&there.broker, "B", "A").await;
    let push = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), push);
    let said = json!({"push_id": push, "state": "applied"}).to_string();
    assert_eq!(thief.send(&said).await, PubAckReason::NotAuthorized);
    there.fixture.app.set_clock(LATER);
    assert_eq!(mqtt.push().await.push_id(), push);
    assert_eq!(thief.try_next(), None);
    assert_eq!(
        there.fixture.target(&push, &device).await["received_at"],
        json!(null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_a_wrong_password_or_authority_does_without_the_broker() {
    let broker = Mosquitto::guarded(&[]);
    let fixture = Fixture::set_with(TestDatabase::sqlite().await, |config| {
        connect(config, &broker);
        config.mqtt.password = Some("wrong".to_owned());
    })
    .await;
    let another = Mosquitto::guarded(&[]);
    let (node, caller) = fixture
        .app
        .at_another_node_with(&fixture.sender, |config| {
            connect(config, &broker);
            config.mqtt.ca_file = another.ca_file();
        })
        .await;
    let device = fixture.device("A").await;
    fixture.push(&[&device]).await;
    // Both have tried by then.
    for refusal in ["not authorised", "tlsv1 alert"] {
        until(async || broker.log().contains(refusal)).await;
    }
    for caller in [&fixture.sender, &caller] {
        let ready = caller.get("/readyz").await.expect(200);
        assert_eq!(
            (&ready["status"], &ready["mqtt"]),
            (&json!("ready"), &json!("disconnected"))
        );
    }
    assert_eq!(device.poll(0).await.len(), 1);
    node.stop().await.unwrap();
}
