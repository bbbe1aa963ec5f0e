//! After a network failure, clients repeat a push at any node. It stays one push.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;
use slipway::clock::Clock;

use super::fixture::{fixture, push_call, push_req};
use crate::api::harness::{TopCall, TopClient, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn push(client: &TopClient, call: &TopCall) {
    let answer = client.send(call).await;
    let result = &answer.body["yunos_miniapp_offlinepkg_push_response"]["result"];
    assert_eq!(result["result_code"], "200", "{}", answer.text);
}

async fn a_trace_id_tells_a_repeat_whatever_the_signature(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let other = fixture.operator(&["B"]).await;
    let call = |trace_id: &str| push_call(&operator, &push_req(&["A"], json!({"trace_id": trace_id})));
    push(&operator, &call("t")).await;
    push(&operator, &call("t")).await;
    push(
        &operator,
        &call("t")
            .with("sign_method", "md5")
            .with("timestamp", "2026-03-02 10:00:01"),
    )
    .await;
    assert_eq!(fixture.pushes().await.len(), 1);
    push(&operator, &call("u")).await;
    push(
        &operator,
        &call("t").with("req", &push_req(&["A", "B"], json!({"trace_id": "t"}))),
    )
    .await;
    assert_eq!(fixture.pushes().await.len(), 3);
    // Another key is another sender.
    push(
        &other,
        &push_call(&other, &push_req(&["A"], json!({"trace_id": "t"}))),
    )
    .await;
    assert_eq!(fixture.pushes().await.len(), 4);
    let clock = &fixture.app.clock;
    clock.set(clock.now() + TimeDelta::minutes(10));
    push(&operator, &call("t")).await;
    assert_eq!(fixture.pushes().await.len(), 5);
}

/// The signature identifies a repeat while it is valid, so a recorded request never becomes a second push.
async fn without_a_trace_id_the_signature_tells_a_repeat(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    // A session would expire when the clock is set.
    let reader = fixture.app.pipeline(&fixture.admin, "viewer").await;
    let count = async || every_item(&reader, &in_tenant("/pushes?limit=9")).await.len();
    let call = push_call(&operator, &push_req(&["A"], json!({}))).with("timestamp", "2026-03-02 10:10:00");
    push(&operator, &call).await;
    let lower = call
        .clone()
        .with("sign", &call.signed_with("")["sign"].to_lowercase());
    push(&operator, &lower).await;
    let clock = &fixture.app.clock;
    for minutes in [9, 11] {
        clock.set(clock.now() + TimeDelta::minutes(minutes) - TimeDelta::milliseconds(1));
        push(&operator, &call).await;
    }
    assert_eq!(count().await, 1);
    push(&operator, &call.with("timestamp", "2026-03-02 10:20:00")).await;
    assert_eq!(count().await, 2);
}

async fn the_same_request_at_two_nodes_at_once_is_one_push(database: TestDatabase) {
    let fixture = fixture(database).await;
    let operator = fixture.operator(&["A"]).await;
    let (node, _) = fixture.app.at_another_node(&fixture.admin).await;
    let there = TopClient {
        url: format!("http://{}/router/rest", node.address),
        ..operator.clone()
    };
    for round in 0..8 {
        let other = if round % 2 == 0 {
            json!({"trace_id": round.to_string()})
        } else {
            json!({"action": round.to_string()})
        };
        let call = push_call(&operator, &push_req(&["A"], other));
        let calls = [&operator, &there, &operator, &there].map(|client| push(client, &call));
        join_all(calls).await;
    }
    assert_eq!(fixture.pushes().await.len(), 8);
    node.stop().await.unwrap();
}

on_both_databases!(
    a_trace_id_tells_a_repeat_whatever_the_signature,
    without_a_trace_id_the_signature_tells_a_repeat,
    the_same_request_at_two_nodes_at_once_is_one_push,
);
