//! Guessing passwords is slow: attempts are limited by account and by source.

use reqwest::Method;
use serde_json::json;

use super::harness::{ADMIN, Answer, PASSWORD, TestApp};
use crate::support::database::{TestDatabase, on_both_databases};

async fn attempts_at_one_account_are_limited(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_account = 2).await;
    for _ in 0..2 {
        attempt(&app, ADMIN, "not the password", "").await.expect(401);
    }
    let limited = attempt(&app, "ADMIN", PASSWORD, "").await;
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    limited.problem(429, "rate_limited");
    attempt(&app, "somebody.else", PASSWORD, "").await.expect(401);
}

async fn an_account_that_does_not_exist_is_limited_alike(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_account = 2).await;
    for _ in 0..2 {
        attempt(&app, "nobody", PASSWORD, "").await.expect(401);
        attempt(&app, ADMIN, "not the password", "").await.expect(401);
    }
    let nobody = attempt(&app, "nobody", PASSWORD, "").await.expect(429);
    let somebody = attempt(&app, ADMIN, PASSWORD, "").await.expect(429);
    assert_eq!(nobody["code"], somebody["code"]);
}

async fn guessing_the_current_password_counts_as_an_attempt(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_account = 3).await;
    let admin = app.platform_admin().await;
    let guess = json!({"current": "not the password", "new": "another long password"});
    for _ in 0..2 {
        admin.put("/api/v1/me/password", &guess).await.expect(400);
    }
    let limited = admin.put("/api/v1/me/password", &guess).await;
    limited.problem(429, "rate_limited");
}

async fn attempts_from_one_source_are_limited_over_all_accounts(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_source = 2).await;
    attempt(&app, "somebody", PASSWORD, "").await.expect(401);
    attempt(&app, "somebody.else", PASSWORD, "").await.expect(401);
    let limited = attempt(&app, ADMIN, PASSWORD, "").await;
    assert!(!limited.header("retry-after").is_empty());
    limited.problem(429, "rate_limited");
}

async fn a_forwarding_header_of_an_untrusted_peer_does_not_count(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_source = 2).await;
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    attempt(&app, ADMIN, PASSWORD, "203.0.113.2").await.expect(200);
    let limited = attempt(&app, ADMIN, PASSWORD, "203.0.113.3").await;
    limited.problem(429, "rate_limited");
}

async fn behind_a_trusted_proxy_the_address_that_it_noted_counts(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.login_attempts_per_source = 2;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    attempt(&app, ADMIN, PASSWORD, "203.0.113.2").await.expect(200);
    // What the client itself wrote before the proxy's note is not believed.
    let limited = attempt(&app, ADMIN, PASSWORD, "203.0.113.9, 203.0.113.1").await;
    limited.problem(429, "rate_limited");
}

/// A login by way of a proxy that noted these addresses, if any.
async fn attempt(app: &TestApp, username: &str, password: &str, forwarded_for: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    let login = "/api/v1/auth/login";
    if forwarded_for.is_empty() {
        return app.anyone().post(login, &body).await;
    }
    let header = ("X-Forwarded-For", forwarded_for);
    app.anyone().call_with(header, Method::POST, login, &body).await
}

on_both_databases!(
    attempts_at_one_account_are_limited,
    an_account_that_does_not_exist_is_limited_alike,
    guessing_the_current_password_counts_as_an_attempt,
    attempts_from_one_source_are_limited_over_all_accounts,
    a_forwarding_header_of_an_untrusted_peer_does_not_count,
    behind_a_trusted_proxy_the_address_that_it_noted_counts,
);
