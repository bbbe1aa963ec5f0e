//! Connected devices in the registry.

use super::super::harness::in_tenant;
use super::fixture::{Device, Fixture, until};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;
use slipway_test_support::sse::SseItem;

async fn is_connected(fixture: &Fixture, device: &Device, expected: bool) {
    let path = in_tenant(&format!("/devices/{}", device.id));
    fixture
        .sender
        .get_once(&path, |shown| shown["connected"] == expected)
        .await;
}

async fn a_device_is_connected_while_it_listens(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let (device, other) = (fixture.device("A").await, fixture.device("B").await);
    let events = [device.events().await, device.events().await];
    is_connected(&fixture, &device, true).await;
    is_connected(&fixture, &other, false).await;
    drop(events);
    is_connected(&fixture, &device, false).await;
}

/// Detected although nothing is sent: the next comment would come in twenty minutes.
async fn a_stream_whose_client_closed_it_is_gone_at_once(database: TestDatabase) {
    let fixture = Fixture::set_with(database, |config| config.delivery.heartbeat_ms = 1_200_000).await;
    let device = fixture.device("A").await;
    for _ in 0..3 {
        let events = [device.events().await, device.events().await];
        until(async || fixture.app.running.context.push_delivery().status().streams == 2).await;
        drop(events);
        until(async || fixture.app.running.context.push_delivery().status().streams == 0).await;
    }
}

/// Its open half is still watched, and it receives its pushes.
async fn a_client_that_only_sends_no_more_keeps_its_stream(database: TestDatabase) {
    let fixture = Fixture::set_with(database, |config| config.delivery.heartbeat_ms = 1_200_000).await;
    let device = fixture.device("A").await;
    let mut events = device.events().await;
    events.close_sending_half().await;
    assert!(matches!(events.next().await, Some(SseItem::Retry(_))));
    for _ in 0..3 {
        assert_eq!(events.next().await.unwrap(), SseItem::Comment);
    }
    let push = fixture.push(&[&device]).await;
    assert_eq!(events.push().await.push_id(), push);
    assert_eq!(fixture.app.running.context.push_delivery().status().streams, 1);
}

async fn a_device_that_polls_stays_connected_between_two_polls(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    device.poll(1).await;
    is_connected(&fixture, &device, true).await;
    device.poll(1).await;
    is_connected(&fixture, &device, true).await;
    is_connected(&fixture, &device, false).await;
}

async fn a_node_that_stops_lets_its_devices_go(database: TestDatabase) {
    let fixture = Fixture::set(database).await;
    let device = fixture.device("A").await;
    let (node, caller) = fixture.app.at_another_node(&device.caller).await;
    let there = Device {
        caller,
        ..device.clone()
    };
    let mut events = there.events().await;
    is_connected(&fixture, &device, true).await;
    node.stop().await.unwrap();
    events.ended().await;
    is_connected(&fixture, &device, false).await;
}

on_both_databases!(
    a_device_is_connected_while_it_listens,
    a_stream_whose_client_closed_it_is_gone_at_once,
    a_client_that_only_sends_no_more_keeps_its_stream,
    a_device_that_polls_stays_connected_between_two_polls,
    a_node_that_stops_lets_its_devices_go,
);
