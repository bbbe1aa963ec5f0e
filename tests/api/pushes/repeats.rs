//! A repeated push is one push, at whichever node it arrives.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use slipway::clock::Clock;

use crate::api::harness::{Caller, TestApp, every_item, in_tenant, push_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

fn traced(trace_id: &str) -> Value {
    with(push_fields(&["A"]), json!({"trace_id": trace_id}))
}

async fn push(caller: &Caller, fields: &Value) -> (u16, String) {
    let answer = caller.post(&in_tenant("/pushes"), fields).await;
    let id = answer.body["id"].as_str().unwrap_or(&answer.text);
    (answer.status, id.to_owned())
}

async fn count(caller: &Caller) -> usize {
    every_item(caller, &in_tenant("/pushes?limit=200")).await.len()
}

async fn the_same_trace_id_and_content_is_one_push_for_ten_minutes(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    merchant.know(&["A", "B"]).await;
    let first = push(&pipeline, &traced("t")).await;
    assert_eq!(first.0, 201);
    assert_eq!(push(&pipeline, &traced("t")).await, (200, first.1.clone()));
    for other in [
        with(traced("t"), json!({"action": "install"})),
        with(traced("t"), json!({"source_url": "https://a"})),
        with(push_fields(&["A", "B"]), json!({"trace_id": "t"})),
        traced("u"),
    ] {
        assert_eq!(push(&pipeline, &other).await.0, 201, "{other}");
    }
    // From another sender it is another push.
    assert_eq!(push(&merchant.admin, &traced("t")).await.0, 201);
    app.clock.set(app.clock.now() + TimeDelta::seconds(599));
    assert_eq!(push(&pipeline, &traced("t")).await, (200, first.1.clone()));
    app.clock.set(app.clock.now() + TimeDelta::seconds(1));
    let later = push(&pipeline, &traced("t")).await;
    assert_eq!(later.0, 201);
    assert_ne!(later.1, first.1);
    assert_eq!(push(&pipeline, &traced("t")).await, (200, later.1));
    // Without a trace id every push is separate.
    let before = count(&pipeline).await;
    for _ in 0..2 {
        assert_eq!(push(&pipeline, &push_fields(&["A"])).await.0, 201);
    }
    assert_eq!(count(&pipeline).await, before + 2);
}

async fn a_key_makes_a_push_repeatable_too(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    let with_key = async |key: &str, fields: &Value| {
        merchant
            .admin
            .call_with(
                ("Idempotency-Key", key),
                Method::POST,
                &in_tenant("/pushes"),
                fields,
            )
            .await
    };
    let first = with_key("k", &push_fields(&["A"])).await;
    let again = with_key("k", &push_fields(&["A"])).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotency-replayed"), "true");
    with_key("k", &traced("t"))
        .await
        .problem(422, "idempotency_key_reused");
    // A repetition by trace id is stored under its own key.
    let made = with_key("one", &traced("t")).await.expect(201);
    let repeated = with_key("two", &traced("t")).await.expect(200);
    assert_eq!(made["id"], repeated["id"]);
    assert_eq!(with_key("two", &traced("t")).await.expect(200)["id"], made["id"]);
    // A refused request may be repeated.
    with_key("other", &push_fields(&["B"]))
        .await
        .problem(400, "invalid_parameter");
    merchant.know(&["B"]).await;
    with_key("other", &push_fields(&["B"])).await.expect(201);
    assert_eq!(count(&merchant.admin).await, 3);
}

async fn identical_calls_that_race_over_two_nodes_are_one_push(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    let (node, there) = app.at_another_node(&merchant.admin).await;
    for round in 0..8 {
        let fields = traced(&round.to_string());
        let calls = [&merchant.admin, &there, &merchant.admin, &there].map(|caller| push(caller, &fields));
        let mut answers = join_all(calls).await;
        answers.sort();
        let statuses: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
        assert_eq!(statuses, [200, 200, 200, 201], "{answers:?}");
        assert!(answers.iter().all(|(_, id)| *id == answers[0].1), "{answers:?}");
    }
    assert_eq!(count(&merchant.admin).await, 8);
    let newest = &merchant.admin.get(&in_tenant("/pushes")).await.expect(200)["items"][0];
    let path = in_tenant(&format!("/pushes/{}", newest["id"].as_str().unwrap()));
    // Repetitions used no number of the device's sequence.
    assert_eq!(there.get(&path).await.expect(200)["targets"][0]["sequence"], 8);
    node.stop().await.unwrap();
}

async fn housekeeping_forgets_what_is_repeated_no_more(database: TestDatabase) {
    use slipway::services::housekeeping::clean;
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.know(&["A"]).await;
    push(&merchant.admin, &traced("t")).await;
    let context = &app.running.context;
    let mut removed = 0;
    for _ in 0..100 {
        app.clock.set(app.clock.now() + TimeDelta::minutes(6));
        if let Some(done) = clean(context, "this test").await.unwrap() {
            removed += done.push_repeats;
        }
        if removed > 0 {
            break;
        }
    }
    assert_eq!(removed, 1);
}

on_both_databases!(
    the_same_trace_id_and_content_is_one_push_for_ten_minutes,
    a_key_makes_a_push_repeatable_too,
    identical_calls_that_race_over_two_nodes_are_one_push,
    housekeeping_forgets_what_is_repeated_no_more,
);
