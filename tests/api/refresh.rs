//! Refresh tokens: each is valid once, and for a moment again for its client.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{ADMIN, Answer, Caller, PASSWORD, TestApp};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ME: &str = "/api/v1/me";
const REFRESH: &str = "/api/v1/auth/refresh";

async fn the_same_client_gets_the_same_pair_for_thirty_seconds(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let first = sign_in(&app).await;
    app.set_clock("2026-03-02T02:10:00Z");
    let second = refresh(&app.anyone(), &first).await.expect(200);
    app.set_clock("2026-03-02T02:10:30Z");
    let again = refresh(&app.anyone(), &first).await.expect(200);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    assert_eq!(again["access_token"], second["access_token"]);
    assert_eq!(
        (&second["expires_in"], &again["expires_in"]),
        (&json!(900), &json!(870))
    );
    // Even if the other tab has refreshed again meanwhile.
    let third = refresh(&app.anyone(), &second).await.expect(200);
    assert_ne!(third["refresh_token"], second["refresh_token"]);
    let again = refresh(&app.anyone(), &first).await.expect(200);
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    with_access(&app, &third).get(ME).await.expect(200);
}

async fn another_node_gives_the_same_pair(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let (node, other) = app.at_another_node(&app.anyone()).await;
    let first = sign_in(&app).await;
    let second = refresh(&app.anyone(), &first).await.expect(200);
    assert_eq!(refresh(&other, &first).await.expect(200), second);
    let here = app.anyone();
    let (a, b) = tokio::join!(refresh(&here, &second), refresh(&other, &second));
    let (a, b) = (a.expect(200), b.expect(200));
    assert_eq!(a, b);
    assert_ne!(a["refresh_token"], second["refresh_token"]);
    node.stop().await.unwrap();
}

async fn tabs_that_refresh_at_once_all_stay_signed_in(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let first = sign_in(&app).await;
    let tabs = (0..6).map(|_| async { refresh(&app.anyone(), &first).await.expect(200) });
    let pairs = futures_util::future::join_all(tabs).await;
    assert!(pairs.iter().all(|pair| *pair == pairs[0]));
    with_access(&app, &pairs[0]).get(ME).await.expect(200);
}

async fn later_a_token_that_was_traded_ends_its_session(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let first = sign_in(&app).await;
    let other_session = app.platform_admin().await;
    let second = refresh(&app.anyone(), &first).await.expect(200);
    app.set_clock("2026-03-02T02:00:31Z");
    refresh(&app.anyone(), &first)
        .await
        .problem(401, "unauthenticated");
    refresh(&app.anyone(), &second)
        .await
        .problem(401, "unauthenticated");
    with_access(&app, &second)
        .get(ME)
        .await
        .problem(401, "unauthenticated");
    other_session.get(ME).await.expect(200);
}

async fn another_client_with_a_token_that_was_traded_ends_its_session(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    for header in [("user-agent", "a thief"), ("x-forwarded-for", "203.0.113.9")] {
        let first = sign_in(&app).await;
        let second = refresh(&app.anyone(), &first).await.expect(200);
        let body = json!({"refresh_token": first["refresh_token"]});
        let stolen = app.anyone().call_with(header, Method::POST, REFRESH, &body).await;
        stolen.problem(401, "unauthenticated");
        refresh(&app.anyone(), &second)
            .await
            .problem(401, "unauthenticated");
    }
}

async fn a_token_that_was_never_given_ends_no_session(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let first = sign_in(&app).await;
    let second = refresh(&app.anyone(), &first).await.expect(200);
    let token = second["refresh_token"].as_str().unwrap();
    let pieces: Vec<_> = token.split('_').collect();
    let (session, secret) = (pieces[2], pieces[pieces.len() - 1]);
    let other = app.platform_admin().await;
    for made_up in [
        format!("slipway_refresh_{session}_{}", "0".repeat(64)),
        format!("slipway_refresh_{session}_1_{}", "0".repeat(64)),
        format!(
            "slipway_refresh_{session}_2_{}",
            secret.chars().rev().collect::<String>()
        ),
        token.replace("_2_", "_3_"),
        token.replace("_2_", "_1_"),
        token[..token.len() - 1].to_owned(),
        format!("{token}0"),
    ] {
        let answer = refresh(&app.anyone(), &json!({"refresh_token": made_up})).await;
        answer.problem(401, "unauthenticated");
    }
    other.get(ME).await.expect(200);
    with_access(&app, &second).get(ME).await.expect(200);
    refresh(&app.anyone(), &second).await.expect(200);
}

async fn sign_in(app: &TestApp) -> Value {
    let body = json!({"username": ADMIN, "password": PASSWORD});
    app.anyone().post("/api/v1/auth/login", &body).await.expect(200)
}

async fn refresh(caller: &Caller, pair: &Value) -> Answer {
    let body = json!({"refresh_token": pair["refresh_token"]});
    caller.post(REFRESH, &body).await
}

fn with_access(app: &TestApp, pair: &Value) -> Caller {
    app.bearer(pair["access_token"].as_str().unwrap())
}

on_both_databases!(
    the_same_client_gets_the_same_pair_for_thirty_seconds,
    another_node_gives_the_same_pair,
    tabs_that_refresh_at_once_all_stay_signed_in,
    later_a_token_that_was_traded_ends_its_session,
    another_client_with_a_token_that_was_traded_ends_its_session,
    a_token_that_was_never_given_ends_no_session,
);
