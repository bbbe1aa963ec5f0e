//! Streams and polls of a stopping node.

use std::time::{Duration, Instant};

use super::fixture::{Device, Fixture, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::sse::SseItem;

async fn streams_and_polls_end_when_the_node_stops(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let (node, caller) = fixture.app.at_another_node(&device.caller).await;
    let there = Device { caller, ..device };
    let mut events = there.events().await;
    let polling = tokio::spawn({
        let there = there.clone();
        async move { there.poll(60).await }
    });
    until(async || node.context.push_delivery().status().polls == 1).await;
    let began = Instant::now();
    node.stop().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(25), "nobody holds the stop");
    events.ended().await;
    assert!(polling.await.unwrap().is_empty());
}

async fn a_node_that_is_about_to_stop_sends_devices_elsewhere(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    fixture.app.running.context.push_delivery().end_streams();
    // A browser's EventSource reconnects only after a 200.
    let mut events = device.events().await;
    assert_eq!(events.status, 200);
    assert!(matches!(events.next().await, Some(SseItem::Retry(_))));
    assert_eq!(events.next().await, None);
    assert!(device.poll(60).await.is_empty());
    // A push is not lost meanwhile.
    let push = fixture.push(&[&device]).await;
    assert_eq!(super::fixture::ids(&device.poll(0).await), [push.as_str()]);
    device.acknowledge(&push, "received").await;
}

async fn a_draining_node_closes_each_connection_after_its_response(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    assert_eq!(
        fixture.app.anyone().get("/healthz").await.header("connection"),
        ""
    );
    fixture.app.running.context.node().begin_drain();
    for path in ["/healthz", "/nothing", "/v1/check"] {
        let answer = fixture.app.anyone().get(path).await;
        assert_eq!(answer.header("connection"), "close", "{path}");
    }
}

on_both_databases!(
    a_draining_node_closes_each_connection_after_its_response,
    streams_and_polls_end_when_the_node_stops,
    a_node_that_is_about_to_stop_sends_devices_elsewhere,
);
