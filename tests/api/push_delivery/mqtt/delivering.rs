//! Delivery of pushes to a device's MQTT client.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use slipway::storage::push_targets::claim_due_for_mqtt;

use super::super::super::harness::NOW;
use super::{LATER, MqttDevice, MqttStage, TOO_LATE, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_push_reaches_the_device(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    let came = mqtt.push().await;
    assert_eq!(
        (came.push_id(), &came.data["sequence"]),
        (push.as_str(), &json!(1))
    );
    let expires_in = came.expires_in.unwrap();
    assert!((590..=600).contains(&expires_in), "{expires_in}");
    let target = there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "delivered")
        .await;
    assert_eq!(
        (&target["channel"], &target["deliveries"]),
        (&json!("mqtt"), &json!(1))
    );
    // Every channel delivers the same push, and none withholds it from another.
    assert_eq!(device.poll(30).await, [came.data]);
    let taken = there
        .fixture
        .metric(r#"slipway_push_mqtt_publishes_total{outcome="accepted"}"#);
    assert!(taken.await >= 1.0);
    let by_channel = there
        .fixture
        .metric(r#"slipway_push_deliveries_total{channel="mqtt"}"#);
    assert!(by_channel.await >= 1.0);
    assert!((there.fixture.metric("slipway_mqtt_connected").await - 1.0).abs() < 0.5);
}

async fn what_is_not_acknowledged_comes_again_the_same(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    let first = mqtt.push().await;
    there.fixture.app.set_clock(LATER);
    let again = mqtt.push().await;
    assert_eq!(again.data, first.data);
    // Until the next delivery is due: 15 to 25 seconds.
    assert!(again.expires_in.is_some_and(|seconds| seconds <= 25), "{again:?}");
    there
        .fixture
        .target_once(&push, &device, |target| target["deliveries"] == 2)
        .await;
    assert_eq!(mqtt.try_next(), None, "once for each time that it was due");
}

async fn what_has_expired_comes_no_more(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), push);
    there.fixture.app.set_clock(TOO_LATE);
    let next = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), next);
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "expired")
        .await;
}

async fn a_device_that_connects_later_gets_what_waits(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let device = there.fixture.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    let no_subscriber = r#"slipway_push_mqtt_publishes_total{outcome="no_subscriber"}"#;
    until(async || there.fixture.metric(no_subscriber).await >= 1.0).await;
    // There was no subscriber, so nothing was delivered, and the push could still be withdrawn.
    assert_eq!(there.fixture.target(&push, &device).await["state"], "queued");
    let mut mqtt = MqttDevice::connect(&there.broker, "A").await;
    there.fixture.app.set_clock(LATER);
    assert_eq!(mqtt.push().await.push_id(), push);
}

async fn what_is_withdrawn_does_not_come(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let device = there.fixture.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    there.fixture.withdraw(&push).await;
    let mut mqtt = MqttDevice::connect(&there.broker, "A").await;
    there.fixture.app.set_clock(LATER);
    let next = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), next);
}

/// Covers ids that would be wildcards or several levels if they were not encoded.
async fn every_id_has_a_topic_of_its_own(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let device = there.fixture.device("店/1+#").await;
    let mut mqtt = MqttDevice::connect(&there.broker, "%E5%BA%97%2F1%2B%23").await;
    let push = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), push);
    mqtt.acknowledge(&push, "applied").await;
    there
        .fixture
        .target_once(&push, &device, |target| target["state"] == "applied")
        .await;
}

/// Each channel of the device delivers it, with the same id.
async fn a_device_on_a_stream_too_gets_the_same(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let mut events = device.events().await;
    there.fixture.push(&[&device]).await;
    assert_eq!(events.push().await.data, mqtt.push().await.data);
}

async fn a_disabled_tenant_gets_nothing(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let push = there.fixture.push(&[&device]).await;
    mqtt.push().await;
    let refused = r#"slipway_push_mqtt_acknowledgements_total{outcome="refused"}"#;
    let before = there.fixture.metric(refused).await;
    let platform = there.fixture.app.platform_admin().await;
    let tenant = "/api/v1/tenants/10000000";
    platform
        .patch(tenant, &json!({"enabled": false}))
        .await
        .expect(200);
    mqtt.acknowledge(&push, "applied").await;
    until(async || there.fixture.metric(refused).await > before).await;
    // Meanwhile it is due and claimed, but not published.
    there.fixture.app.set_clock(LATER);
    until(async || is_claimed_until_later(&there.fixture.app.database).await).await;
    platform
        .patch(tenant, &json!({"enabled": true}))
        .await
        .expect(200);
    assert_eq!(there.fixture.target(&push, &device).await["state"], "delivered");
    let next = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), next);
}

/// Returns true if the only target has been claimed since the clock was set to [`LATER`].
async fn is_claimed_until_later(database: &TestDatabase) -> bool {
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    let later: DateTime<Utc> = LATER.parse().unwrap();
    let claimed = Statement::from_sql_and_values(
        connection.get_database_backend(),
        "SELECT device_id FROM push_targets WHERE mqtt_due_at > $1",
        [later.into()],
    );
    connection.query_one_raw(claimed).await.unwrap().is_some()
}

/// Another node claims it when it is due again.
async fn what_a_dead_node_had_claimed_comes_later(database: TestDatabase) {
    let there = MqttStage::set(database).await;
    let (device, mut mqtt) = there.device("A").await;
    let connections = mqtt.connections();
    there.lose_broker().await;
    let push = there.fixture.push(&[&device]).await;
    // Simulates a node that dies after claiming.
    let (now, next_due_at) = (NOW.parse().unwrap(), LATER.parse().unwrap());
    let claim = claim_due_for_mqtt(&there.fixture.app.database.db, now, |_, _| next_due_at, 10).await;
    assert_eq!(claim.unwrap().claimed.len(), 1);
    there.regain_broker(&mqtt, connections).await;
    let next = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), next);
    mqtt.acknowledge(&next, "received").await;
    there
        .fixture
        .target_once(&next, &device, |target| target["state"] == "received")
        .await;
    there.fixture.app.set_clock(LATER);
    assert_eq!(mqtt.push().await.push_id(), push);
}

on_both_databases!(
    a_push_reaches_the_device,
    what_is_not_acknowledged_comes_again_the_same,
    what_has_expired_comes_no_more,
    a_device_that_connects_later_gets_what_waits,
    what_is_withdrawn_does_not_come,
    every_id_has_a_topic_of_its_own,
    a_device_on_a_stream_too_gets_the_same,
    a_disabled_tenant_gets_nothing,
    what_a_dead_node_had_claimed_comes_later,
);
