//! Guessing passwords is slow, and only the guessing client is locked out.

use reqwest::Method;
use serde_json::json;
use slipway::config::Config;

use super::harness::{ADMIN, Answer, PASSWORD, TestApp};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

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
    // Addresses before the proxy's own entry come from the client and are not trusted.
    let limited = attempt(&app, ADMIN, PASSWORD, "203.0.113.9, 203.0.113.1").await;
    limited.problem(429, "rate_limited");
}

/// Settings of a node behind a proxy on this machine.
fn behind_a_proxy(config: &mut Config) {
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

async fn a_stranger_who_guesses_locks_out_nobody_else(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        behind_a_proxy(config);
        config.login_attempts_per_account = 3;
    })
    .await;
    for _ in 0..3 {
        attempt(&app, ADMIN, "not the password", "198.51.100.1")
            .await
            .expect(401);
    }
    let limited = attempt(&app, ADMIN, PASSWORD, "198.51.100.1:4711").await;
    limited.problem(429, "rate_limited");
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    attempt(&app, ADMIN, PASSWORD, "2001:db8::1").await.expect(200);
}

async fn an_ipv6_customer_counts_as_one_however_its_address_is_written(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        behind_a_proxy(config);
        config.login_attempts_per_account = 2;
    })
    .await;
    for noted in ["2001:db8::1", "[2001:db8::2]:4711"] {
        attempt(&app, ADMIN, "not the password", noted).await.expect(401);
    }
    let limited = attempt(&app, ADMIN, PASSWORD, "2001:db8::ffff%eth0").await;
    limited.problem(429, "rate_limited");
}

async fn guesses_from_everywhere_stop_only_where_the_account_never_signed_in(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        behind_a_proxy(config);
        config.login_attempts_per_account_anywhere = 5;
    })
    .await;
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    for number in 1..=4 {
        let guesser = format!("198.51.100.{number}");
        attempt(&app, ADMIN, "not the password", &guesser)
            .await
            .expect(401);
    }
    let limited = attempt(&app, ADMIN, PASSWORD, "198.51.100.9").await;
    limited.problem(429, "rate_limited");
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    attempt(&app, "somebody.else", PASSWORD, "198.51.100.9")
        .await
        .expect(401);

    // After a restart, or at another node, the database shows where the account has signed in.
    let (node, other) = app
        .at_another_node_with(&app.anyone(), |config| {
            behind_a_proxy(config);
            config.login_attempts_per_account_anywhere = 1;
        })
        .await;
    let body = json!({"username": ADMIN, "password": PASSWORD});
    let at_other = async |from: &str| {
        let header = ("X-Forwarded-For", from);
        other
            .call_with(header, Method::POST, "/api/v1/auth/login", &body)
            .await
    };
    at_other("198.51.100.10").await.expect(200);
    at_other("198.51.100.11").await.problem(429, "rate_limited");
    at_other("203.0.113.1").await.expect(200);
    node.stop().await.unwrap();
}

async fn others_behind_an_address_do_not_use_up_what_its_people_have(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        behind_a_proxy(config);
        config.login_attempts_per_source = 3;
    })
    .await;
    let signed_in = attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    for number in 0..5 {
        attempt(&app, &format!("guess-{number}"), PASSWORD, "203.0.113.1").await;
    }
    let limited = attempt(&app, "somebody", PASSWORD, "203.0.113.1").await;
    limited.problem(429, "rate_limited");
    attempt(&app, ADMIN, PASSWORD, "203.0.113.1").await.expect(200);
    // They do not end existing sessions either.
    let body = json!({"refresh_token": signed_in["refresh_token"]});
    let header = ("X-Forwarded-For", "203.0.113.1");
    let refreshed = app
        .anyone()
        .call_with(header, Method::POST, "/api/v1/auth/refresh", &body)
        .await;
    refreshed.expect(200);
}

async fn proxies_note_a_client_in_many_forms(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        behind_a_proxy(config);
        config.login_attempts_per_source = 2;
    })
    .await;
    let from = async |headers: &[(&str, &str)]| {
        let body = json!({"username": "nobody", "password": PASSWORD});
        let mut request = app
            .anyone()
            .request(Method::POST, "/api/v1/auth/login")
            .json(&body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.anyone().send(request).await.status
    };
    let for_9 = "x-forwarded-for";
    // One client, in every notation. Addresses to its left come from the client itself.
    let forms: &[&[(&str, &str)]] = &[
        &[(for_9, "203.0.113.9")],
        &[(for_9, " 1.1.1.1 , 203.0.113.9:4711 ")],
        &[(for_9, "2.2.2.2"), (for_9, "::ffff:203.0.113.9, 127.0.0.2")],
        &[(
            "forwarded",
            "for=3.3.3.3, For=\"203.0.113.9:80\";proto=https;by=_x",
        )],
        &[
            ("forwarded", "for=unknown"),
            ("Forwarded", "proto=http;FOR=203.0.113.9"),
        ],
        &[(for_9, "203.0.113.9"), ("forwarded", "for=203.0.113.9")],
    ];
    for (index, headers) in forms.iter().enumerate() {
        assert_eq!(
            from(headers).await,
            if index < 2 { 401 } else { 429 },
            "{headers:?}"
        );
    }
    // If no client is named, or two are, the proxy's own address counts.
    let unnamed: &[&[(&str, &str)]] = &[
        &[(for_9, "unknown")],
        &[("forwarded", "for=_hidden")],
        &[("forwarded", "for=\"5.5.5.5")],
        &[(for_9, "6.6.6.6, nonsense")],
        &[(for_9, "7.7.7.7"), ("forwarded", "for=8.8.8.8")],
        &[],
    ];
    for (index, headers) in unnamed.iter().enumerate() {
        assert_eq!(
            from(headers).await,
            if index < 2 { 401 } else { 429 },
            "{headers:?}"
        );
    }
}

/// Signs in through a proxy that added these addresses, if any.
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
    a_stranger_who_guesses_locks_out_nobody_else,
    an_ipv6_customer_counts_as_one_however_its_address_is_written,
    guesses_from_everywhere_stop_only_where_the_account_never_signed_in,
    others_behind_an_address_do_not_use_up_what_its_people_have,
    proxies_note_a_client_in_many_forms,
);
