//! Two nodes on one database and one broker.

use std::collections::BTreeMap;

use super::{LATER, MqttStage, connect, push_by};
use slipway_test_support::database::TestDatabase;

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_published_by_one_node_alone() {
    let there = MqttStage::set(TestDatabase::postgres().await).await;
    let (device, mut mqtt) = there.device("A").await;
    let (node, second) = there
        .fixture
        .app
        .at_another_node_with(&there.fixture.sender, |config| connect(config, &there.broker))
        .await;
    super::until(async || {
        let ready = second.get("/readyz").await.expect(200);
        ready["mqtt"] == "connected"
    })
    .await;
    let mut pushes = Vec::new();
    for _ in 0..10 {
        pushes.push(there.fixture.push(&[&device]).await);
        pushes.push(push_by(&second, &[&device]).await);
    }
    let mut came = BTreeMap::new();
    for _ in &pushes {
        let push = mqtt.push().await;
        *came.entry(push.push_id().to_owned()).or_insert(0) += 1;
    }
    assert!(
        came.len() == pushes.len() && came.values().all(|times| *times == 1),
        "{came:?}"
    );
    // Either node receives each acknowledgement, and both know it.
    for push in &pushes {
        mqtt.acknowledge(push, "received").await;
    }
    for push in &pushes {
        let target = there
            .fixture
            .target_once(push, &device, |target| target["state"] == "received")
            .await;
        assert_eq!(
            target["sequence"],
            pushes.iter().position(|other| other == push).unwrap() + 1
        );
    }
    there.fixture.app.set_clock(LATER);
    let last = there.fixture.push(&[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), last);
    node.stop().await.unwrap();
}

/// A node without a connection to its broker claims nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_broker_leaves_the_publishing_to_another() {
    let there = MqttStage::set(TestDatabase::postgres().await).await;
    let (device, mut mqtt) = there.device("A").await;
    let (node, caller) = there
        .fixture
        .app
        .at_another_node_with(&there.fixture.sender, |config| {
            connect(config, &there.broker);
            config.mqtt.url = Some("mqtt://127.0.0.1:1".parse().unwrap());
        })
        .await;
    let push = push_by(&caller, &[&device]).await;
    assert_eq!(mqtt.push().await.push_id(), push);
    node.stop().await.unwrap();
}
