//! Scripted brokers that misbehave. Tests with real brokers are in `tests/api/push_delivery/mqtt`.

mod scripted;

use rumqttc::mqttbytes::v5::{
    ConnectReturnCode, Disconnect, DisconnectReasonCode, Packet, SubscribeReasonCode,
};

use self::scripted::{Node, ScriptedBroker};
use super::{PublishError, Receipt};

const GRANTED: SubscribeReasonCode = SubscribeReasonCode::Success(rumqttc::QoS::AtLeastOnce);

#[tokio::test]
async fn a_session_that_only_the_broker_kept_serves_again() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut client = broker.accept().await;
    assert!(!client.starts_clean());
    client.accept_session(true).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
    let (published, ()) = tokio::join!(node.publish("one"), client.acknowledge());
    assert_eq!(published, Ok(Receipt::Accepted));
    // The same after a lost connection, with and without a kept session.
    for is_resumed in [true, false, true] {
        drop(client);
        node.becomes_disconnected().await;
        client = broker.accept().await;
        client.accept_session(is_resumed).await;
        client.answer_subscription(GRANTED).await;
        node.becomes_ready().await;
        let (published, ()) = tokio::join!(node.publish("again"), client.acknowledge());
        assert_eq!(published, Ok(Receipt::Accepted), "{is_resumed}");
    }
}

#[tokio::test]
async fn a_message_that_the_broker_kept_can_be_confirmed() {
    let broker = ScriptedBroker::listen().await;
    let mut node = Node::start(&broker);
    let mut client = broker.accept().await;
    client.accept_session(true).await;
    // Brokers send kept messages before the subscription is renewed.
    client.send_message(7).await;
    client.answer_subscription(GRANTED).await;
    node.received().await.acknowledge().await;
    assert_eq!(client.confirmed_message().await, 7);
}

#[tokio::test]
async fn a_refused_subscription_is_tried_again_and_publishing_goes_on() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut client = broker.accept().await;
    client.accept_session(false).await;
    client
        .answer_subscription(SubscribeReasonCode::NotAuthorized)
        .await;
    node.becomes_ready().await;
    assert!(!node.broker.is_subscribed());
    let (published, ()) = tokio::join!(node.publish("one"), client.acknowledge());
    assert_eq!(published, Ok(Receipt::Accepted));
    client.answer_subscription(GRANTED).await;
    node.becomes_subscribed().await;
}

#[tokio::test]
async fn a_subscription_without_an_answer_ends_the_connection() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut silent = broker.accept().await;
    silent.accept_session(true).await;
    let mut client = broker.accept().await;
    client.accept_session(true).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
}

#[tokio::test]
async fn a_broker_that_does_not_acknowledge_is_connected_to_again() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut silent = broker.accept().await;
    silent.accept_session(false).await;
    silent.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
    assert_eq!(node.publish("one").await, Err(PublishError::Disconnected));
    let mut client = broker.accept().await;
    client.accept_session(true).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
    let (published, ()) = tokio::join!(node.publish("two"), client.acknowledge());
    assert_eq!(published, Ok(Receipt::Accepted));
}

#[tokio::test]
async fn credentials_that_become_right_let_the_node_in() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    for code in [
        ConnectReturnCode::BadUserNamePassword,
        ConnectReturnCode::NotAuthorized,
        ConnectReturnCode::ServerBusy,
    ] {
        broker.accept().await.refuse(code).await;
    }
    let mut client = broker.accept().await;
    client.accept_session(false).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_for_the_broker_leaves_the_connection_alone() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut client = broker.accept().await;
    client.accept_packets_up_to(500).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
    let refused = node.publish(&"x".repeat(500)).await.unwrap_err();
    assert!(refused.to_string().contains("takes 500"), "{refused}");
    let (published, ()) = tokio::join!(node.publish("small"), client.acknowledge());
    assert_eq!(published, Ok(Receipt::Accepted));
}

/// Otherwise two processes with the same client id would end each other's connections forever.
#[tokio::test]
async fn a_node_whose_session_is_taken_over_goes_on_under_another_client_id() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut client = broker.accept().await;
    let name = client.client_id().to_owned();
    client.accept_session(false).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
    let taken_over = Disconnect::new(DisconnectReasonCode::SessionTakenOver);
    client.send(&Packet::Disconnect(taken_over)).await;
    drop(client);
    let mut client = broker.accept().await;
    assert_ne!(client.client_id(), name);
    client.accept_session(false).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
}

/// Some brokers only close the connection.
#[tokio::test]
async fn a_takeover_that_the_broker_does_not_announce_is_noticed() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut names = Vec::new();
    for _ in 0..4 {
        let mut client = broker.accept().await;
        names.push(client.client_id().to_owned());
        client.accept_session(true).await;
        client.answer_subscription(GRANTED).await;
        node.becomes_ready().await;
        drop(client);
        node.becomes_disconnected().await;
    }
    let mut leaving = broker.accept().await;
    names.push(leaving.client_id().to_owned());
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert!(leaving.starts_clean() && !leaving.is_kept());
    leaving.accept_session(false).await;
    let mut client = broker.accept().await;
    assert_ne!(client.client_id(), names[0]);
    assert!(!client.starts_clean() && client.is_kept());
    client.accept_session(false).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
}

/// The broker may keep a message that ends each connection.
#[tokio::test]
async fn a_session_in_which_no_connection_serves_is_discarded() {
    let broker = ScriptedBroker::listen().await;
    let node = Node::start(&broker);
    let mut cleans = Vec::new();
    for _ in 0..8 {
        let mut client = broker.accept().await;
        cleans.push(client.starts_clean());
        // A broker may keep the session even after a clean start; the node must retry in that case too.
        client.accept_session(true).await;
    }
    let expected = [false, false, false, false, true, false, true, false];
    assert_eq!(cleans, expected);
    let mut client = broker.accept().await;
    client.accept_session(false).await;
    client.answer_subscription(GRANTED).await;
    node.becomes_ready().await;
}
