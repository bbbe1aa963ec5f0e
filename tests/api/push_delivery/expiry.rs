//! Pushes whose time runs out.

use super::stage::Stage;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn what_nobody_acknowledged_expires_and_is_offered_no_more(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let (device, other) = (stage.device("A").await, stage.device("B").await);
    let push = stage.push(&[&device, &other]).await;
    device.say(&push, "received").await;
    stage.app.set_clock("2026-03-02T02:10:00Z");
    assert!(other.poll(0).await.is_empty());
    let target = stage
        .target_once(&push, &other, |target| target["state"] == "expired")
        .await;
    assert!(target["ended_at"].is_string(), "{target}");
    assert_eq!(stage.target(&push, &device).await["state"], "received");
    assert!(stage.metric("slipway_push_expired_total").await >= 1.0);
    // What the device did before it could say so counts all the same.
    assert_eq!(other.say(&push, "applied").await, "applied");
}

async fn a_stream_does_not_offer_again_what_has_expired(database: TestDatabase) {
    let stage = Stage::set_impatient(database).await;
    let device = stage.device("A").await;
    let push = stage.push(&[&device]).await;
    let mut events = device.events().await;
    assert_eq!(events.push().await.push_id(), push);
    stage.app.set_clock("2026-03-02T02:10:00Z");
    let next = stage.push(&[&device]).await;
    while events.push().await.push_id() != next {}
    for _ in 0..3 {
        assert_eq!(events.push().await.push_id(), next);
    }
}

on_both_databases!(
    what_nobody_acknowledged_expires_and_is_offered_no_more,
    a_stream_does_not_offer_again_what_has_expired,
);
