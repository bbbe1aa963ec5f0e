//! Replaced and revoked tokens: on other nodes, after restarts and with other keys.

use std::time::Instant;

use super::{check, enrol, enrolled, first, merchant, path};
use crate::api::harness::{Caller, DEADLINE, SECRET_KEY, TestApp};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// Key that follows the usual one.
const NEXT_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";

async fn other_nodes_refuse_a_token_soon_after_it_was_replaced(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    let (node, old_elsewhere) = app.at_another_node(&old).await;
    check(&old_elsewhere, "A").await.expect(200);
    let new = enrolled(&app, enrol(&old, "A").await, 200);
    // Operations that query the database detect it at once.
    enrol(&old_elsewhere, "A").await.problem(401, "unauthenticated");
    is_refused_soon(&old_elsewhere, "A").await;
    let (another, new_elsewhere) = app.at_another_node(&new).await;
    check(&new_elsewhere, "A").await.expect(200);

    merchant
        .admin
        .delete(&format!("{}/token", path("A")))
        .await
        .expect(204);
    check(&new, "A").await.problem(401, "unauthenticated");
    is_refused_soon(&new_elsewhere, "A").await;
    node.stop().await.unwrap();
    another.stop().await.unwrap();
}

async fn a_node_that_starts_knows_what_was_replaced(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    let new = enrolled(&app, enrol(&old, "A").await, 200);
    let gone = first(&app, &merchant, "B").await;
    merchant.admin.delete(&path("B")).await.expect(204);
    let (node, old) = app.at_another_node(&old).await;
    check(&old, "A").await.problem(401, "unauthenticated");
    check(&gone, "B").await.problem(401, "unauthenticated");
    check(&new, "A").await.expect(200);
    node.stop().await.unwrap();
}

async fn a_token_outlasts_a_rotation_and_enrolling_again_gives_one_by_the_first_key(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = merchant(&app).await;
    let old = first(&app, &merchant, "A").await;
    let keys = format!("{NEXT_KEY},{SECRET_KEY}");
    let (rotated, old_elsewhere) = app
        .at_another_node_with(&old, |config| config.secret_key = Some(keys))
        .await;
    check(&old_elsewhere, "A").await.expect(200);
    let new = enrolled(&app, enrol(&old_elsewhere, "A").await, 200);
    // A node without the new key does not recognize the token.
    check(&new, "A").await.problem(401, "unauthenticated");
    rotated.stop().await.unwrap();
    let (alone, new_elsewhere) = app
        .at_another_node_with(&new, |config| config.secret_key = Some(NEXT_KEY.to_owned()))
        .await;
    check(&new_elsewhere, "A").await.expect(200);
    alone.stop().await.unwrap();
}

async fn is_refused_soon(caller: &Caller, device: &str) {
    let deadline = Instant::now() + DEADLINE;
    while check(caller, device).await.status != 401 {
        assert!(Instant::now() < deadline, "the token is still good");
    }
}

on_both_databases!(
    other_nodes_refuse_a_token_soon_after_it_was_replaced,
    a_node_that_starts_knows_what_was_replaced,
    a_token_outlasts_a_rotation_and_enrolling_again_gives_one_by_the_first_key,
);
