//! Who hangs on a node, as the registry shows it.

use super::super::harness::in_tenant;
use super::stage::{Device, Stage};
use crate::support::database::{TestDatabase, on_both_databases};

async fn is_connected(stage: &Stage, device: &Device, expected: bool) {
    let path = in_tenant(&format!("/devices/{}", device.id));
    stage
        .sender
        .get_once(&path, |shown| shown["connected"] == expected)
        .await;
}

async fn a_device_is_connected_while_it_listens(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let (device, other) = (stage.device("A").await, stage.device("B").await);
    let events = [device.events().await, device.events().await];
    is_connected(&stage, &device, true).await;
    is_connected(&stage, &other, false).await;
    // Only sending shows that the other end is gone.
    drop(events);
    stage.push(&[&device]).await;
    stage.push(&[&device]).await;
    is_connected(&stage, &device, false).await;
}

async fn a_device_that_polls_stays_connected_between_two_polls(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let device = stage.device("A").await;
    device.poll(1).await;
    is_connected(&stage, &device, true).await;
    device.poll(1).await;
    is_connected(&stage, &device, true).await;
    is_connected(&stage, &device, false).await;
}

async fn a_node_that_stops_lets_its_devices_go(database: TestDatabase) {
    let stage = Stage::set(database).await;
    let device = stage.device("A").await;
    let (node, caller) = stage.app.at_another_node(&device.caller).await;
    let there = Device {
        caller,
        ..device.clone()
    };
    let mut events = there.events().await;
    is_connected(&stage, &device, true).await;
    node.stop().await.unwrap();
    events.ended().await;
    is_connected(&stage, &device, false).await;
}

on_both_databases!(
    a_device_is_connected_while_it_listens,
    a_device_that_polls_stays_connected_between_two_polls,
    a_node_that_stops_lets_its_devices_go,
);
