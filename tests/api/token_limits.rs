//! An invalid token costs a few lookups at most.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{TENANT, TestApp, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

const ME: &str = "/api/v1/me";

fn made_up() -> String {
    let secret = [Uuid::new_v4(), Uuid::new_v4()].map(|half| half.simple().to_string());
    format!("slipway_token_{}_{}", Uuid::now_v7().simple(), secret.concat())
}

async fn invalid_api_tokens_of_a_network_have_to_wait(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.invalid_tokens_per_source = 5;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let admin = app.tenant_admin(TENANT).await;
    let pipeline = app.pipeline(&admin, "publisher").await;
    for _ in 0..5 {
        app.bearer(&made_up())
            .get(ME)
            .await
            .problem(401, "unauthenticated");
    }
    let limited = app.bearer(&made_up()).get(ME).await;
    assert!(!limited.header("retry-after").is_empty());
    limited.problem(429, "rate_limited");

    // Valid callers are not limited, even behind the same address or with a new token.
    admin.get(ME).await.expect(200);
    pipeline.get(ME).await.expect(200);
    app.pipeline(&admin, "viewer").await.get(ME).await.expect(200);
    let elsewhere = ("x-forwarded-for", "203.0.113.9");
    let unknown = app.bearer(&made_up());
    unknown
        .call_with(elsewhere, Method::GET, ME, &Value::Null)
        .await
        .expect(401);
}

async fn a_token_that_was_deleted_uses_up_nothing_of_its_neighbours(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.invalid_tokens_per_source = 3).await;
    let admin = app.tenant_admin(TENANT).await;
    let body = json!({"name": "ci", "role": "viewer"});
    let made = admin.post(&in_tenant("/api-tokens"), &body).await.expect(201);
    let pipeline = app.bearer(made["token"].as_str().unwrap());
    pipeline.get(ME).await.expect(200);
    let path = in_tenant(&format!("/api-tokens/{}", made["id"].as_str().unwrap()));
    admin.delete(&path).await.expect(204);
    for _ in 0..10 {
        pipeline.get(ME).await.problem(401, "unauthenticated");
    }
    let neighbour = app.bearer(&made_up());
    neighbour.get(ME).await.problem(401, "unauthenticated");
}

async fn a_token_that_has_expired_uses_up_nothing_of_its_neighbours(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.invalid_tokens_per_source = 3).await;
    let admin = app.tenant_admin(TENANT).await;
    let expires_at = "2026-03-03T02:00:00Z";
    let body = json!({"name": "ci", "role": "viewer", "expires_at": expires_at});
    let made = admin.post(&in_tenant("/api-tokens"), &body).await.expect(201);
    let pipeline = app.bearer(made["token"].as_str().unwrap());
    app.set_clock(expires_at);
    for _ in 0..3 {
        pipeline.get(ME).await.expect(401);
    }
    pipeline.get(ME).await.problem(429, "rate_limited");
    let neighbour = app.bearer(&made_up());
    neighbour.get(ME).await.problem(401, "unauthenticated");
}

async fn a_session_that_has_ended_is_looked_up_a_few_times_only(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.invalid_tokens_per_source = 3).await;
    let (admin, other) = (app.platform_admin().await, app.platform_admin().await);
    admin.post("/api/v1/auth/logout", &json!({})).await.expect(204);
    for _ in 0..3 {
        admin.get(ME).await.expect(401);
    }
    admin.get(ME).await.problem(429, "rate_limited");
    other.get(ME).await.expect(200);
}

on_both_databases!(
    invalid_api_tokens_of_a_network_have_to_wait,
    a_token_that_was_deleted_uses_up_nothing_of_its_neighbours,
    a_token_that_has_expired_uses_up_nothing_of_its_neighbours,
    a_session_that_has_ended_is_looked_up_a_few_times_only,
);
