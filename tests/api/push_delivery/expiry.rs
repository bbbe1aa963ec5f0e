//! Pushes that expire.

use super::fixture::Fixture;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn what_nobody_acknowledged_expires_and_is_offered_no_more(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let (device, other) = (fixture.device("A").await, fixture.device("B").await);
    let push = fixture.push(&[&device, &other]).await;
    device.acknowledge(&push, "received").await;
    fixture.app.set_clock("2026-03-02T02:10:00Z");
    assert!(other.poll(0).await.is_empty());
    let target = fixture
        .target_once(&push, &other, |target| target["state"] == "expired")
        .await;
    assert!(target["ended_at"].is_string(), "{target}");
    assert_eq!(fixture.target(&push, &device).await["state"], "received");
    assert!(fixture.metric("slipway_push_expired_total").await >= 1.0);
    // A late acknowledgement of an earlier action still counts.
    assert_eq!(other.acknowledge(&push, "applied").await, "applied");
}

async fn a_stream_does_not_offer_again_what_has_expired(database: TestDatabase) {
    let fixture = Fixture::set_impatient(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    let mut events = device.events().await;
    assert_eq!(events.push().await.push_id(), push);
    fixture.app.set_clock("2026-03-02T02:10:00Z");
    let next = fixture.push(&[&device]).await;
    while events.push().await.push_id() != next {}
    for _ in 0..3 {
        assert_eq!(events.push().await.push_id(), next);
    }
}

on_both_databases!(
    what_nobody_acknowledged_expires_and_is_offered_no_more,
    a_stream_does_not_offer_again_what_has_expired,
);
