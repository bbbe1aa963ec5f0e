//! Long polls.

use std::time::{Duration, Instant};

use super::fixture::{Fixture, ids};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_poll_that_does_not_wait_gives_everything_open_every_time(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    assert!(device.poll(0).await.is_empty());
    let (first, second) = (fixture.push(&[&device]).await, fixture.push(&[&device]).await);
    for _ in 0..2 {
        let items = device.poll(0).await;
        assert_eq!(ids(&items), [first.as_str(), second.as_str()]);
        assert_eq!(
            (&items[0]["sequence"], &items[1]["sequence"]),
            (&1.into(), &2.into())
        );
    }
    let target = fixture.target(&first, &device).await;
    assert_eq!(
        (&target["state"], &target["channel"]),
        (&"delivered".into(), &"poll".into())
    );
    device.acknowledge(&first, "received").await;
    assert_eq!(ids(&device.poll(0).await), [second.as_str()]);
}

async fn a_poll_that_waits_is_answered_by_a_push(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let waits = async {
        // Pushed only after a poll is waiting.
        super::fixture::until(async || fixture.app.running.context.push_delivery().status().polls == 1).await;
        fixture.push(&[&device]).await
    };
    let began = Instant::now();
    let (items, push) = tokio::join!(device.poll(60), waits);
    assert_eq!(ids(&items), [push.as_str()]);
    assert!(began.elapsed() < Duration::from_mins(1));
}

async fn what_was_given_is_given_again_only_when_it_is_due(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    assert_eq!(ids(&device.poll(60).await), [push.as_str()]);
    assert!(device.poll(1).await.is_empty(), "it was given a moment ago");
    let next = fixture.push(&[&device]).await;
    assert_eq!(ids(&device.poll(60).await), [next.as_str()]);
    // The first interval of both is over by then; the longest is 18.75 seconds.
    fixture.app.set_clock("2026-03-02T02:00:19Z");
    assert_eq!(ids(&device.poll(60).await), [push.as_str(), next.as_str()]);
    assert!(device.poll(1).await.is_empty());
}

async fn what_a_stream_gave_is_not_given_by_a_poll_at_once(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let push = fixture.push(&[&device]).await;
    assert_eq!(device.events().await.push().await.push_id(), push);
    fixture
        .target_once(&push, &device, |target| target["state"] == "delivered")
        .await;
    assert!(device.poll(1).await.is_empty());
    assert_eq!(ids(&device.poll(0).await), [push.as_str()]);
}

async fn a_wait_that_is_none_is_named(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    for wrong in ["61", "-1", "1.5", "", "+1", "x"] {
        let path = format!("/v1/devices/A/pushes?wait_s={wrong}");
        assert_eq!(
            device.caller.get(&path).await.wrong_fields(),
            ["wait_s"],
            "{wrong}"
        );
    }
    let unknown = device.caller.get("/v1/devices/A/pushes?wait=1").await;
    assert_eq!(unknown.wrong_fields(), ["wait"]);
    let without = device.caller.get("/v1/devices/A/pushes").await.expect(200);
    assert_eq!(without, serde_json::json!({"items": []}));
}

on_both_databases!(
    a_poll_that_does_not_wait_gives_everything_open_every_time,
    a_poll_that_waits_is_answered_by_a_push,
    what_was_given_is_given_again_only_when_it_is_due,
    what_a_stream_gave_is_not_given_by_a_poll_at_once,
    a_wait_that_is_none_is_named,
);
