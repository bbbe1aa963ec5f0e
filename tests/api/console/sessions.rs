//! Sessions of the console, and forms from other sites.

use reqwest::Method;
use serde_json::json;
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

use super::browser::Browser;
use crate::api::harness::{ADMIN, PASSWORD, TestApp};

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

async fn the_cookie_is_bound_to_tls_or_to_this_machine(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.public_url = Some("https://slipway.example".to_owned());
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let mut plain = Browser::new(&app);
    let page = plain.sign_in(ADMIN, PASSWORD).await;
    let cookie = page.set_cookie("slipway").expect("a session").to_owned();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");

    let mut secure = Browser::new(&app);
    secure.headers = vec![("host".to_owned(), "slipway.example".to_owned())];
    let page = secure.sign_in(ADMIN, PASSWORD).await;
    let cookie = page.set_cookie("__Host-slipway").expect("a session").to_owned();
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");

    // A browser on another machine that reaches the server without TLS.
    let mut exposed = Browser::new(&app);
    exposed.headers = vec![
        ("host".to_owned(), "10.1.2.3:8080".to_owned()),
        ("x-forwarded-for".to_owned(), "203.0.113.9".to_owned()),
    ];
    let page = exposed.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(page.status, 403, "{}", page.text);
    assert!(page.set_cookie("slipway").is_none());
}

async fn a_sign_in_makes_a_new_session_and_says_nothing_about_a_failure(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut browser = Browser::new(&app);
    let planted = "slipway_console_00000000000000000000000000000000_00";
    browser.cookies.insert("slipway".to_owned(), planted.to_owned());
    let page = browser.sign_in(ADMIN, PASSWORD).await;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_ne!(browser.cookies["slipway"], planted);
    let first = browser.cookies["slipway"].clone();
    let again = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    assert_ne!(
        again.cookies["slipway"], first,
        "each sign-in is a session of its own"
    );

    let mut wrong = Browser::new(&app);
    let (unknown, wrong_password) = (
        wrong.sign_in("nobody", PASSWORD).await,
        wrong.sign_in(ADMIN, "wrong").await,
    );
    assert_eq!((unknown.status, wrong_password.status), (401, 401));
    let message = "the username or the password is wrong";
    assert!(unknown.text.contains(message) && wrong_password.text.contains(message));
    assert!(
        !wrong_password.text.contains("value=\"wrong\""),
        "a password is not shown again"
    );
}

async fn a_session_ends_everywhere_at_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let stolen = browser.cookies.clone();
    assert_eq!(browser.get("/console").await.status, 200);
    let page = browser.post("/console/sign-out", &[]).await;
    assert_eq!(
        (page.status, page.location()),
        (303, "/console/sign-in?done=signed_out")
    );
    assert!(!browser.cookies.contains_key("slipway"));
    browser.cookies = stolen;
    assert_eq!(browser.get("/console").await.location(), "/console/sign-in");

    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let api = app.platform_admin().await;
    let change = json!({"current": PASSWORD, "new": "another long password"});
    assert_eq!(api.put("/api/v1/me/password", &change).await.status, 204);
    assert_eq!(browser.get("/console").await.location(), "/console/sign-in");
}

async fn a_cookie_is_no_api_token_and_a_token_is_no_cookie(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let cookie = &browser.cookies["slipway"];
    app.bearer(cookie)
        .get("/api/v1/me")
        .await
        .problem(401, "unauthenticated");
    let login = json!({"username": ADMIN, "password": PASSWORD});
    let tokens = app.anyone().post("/api/v1/auth/login", &login).await.expect(200);
    for token in ["access_token", "refresh_token"] {
        let mut other = Browser::new(&app);
        other
            .cookies
            .insert("slipway".to_owned(), tokens[token].as_str().unwrap().to_owned());
        assert_eq!(other.get("/console").await.location(), "/console/sign-in");
    }
}

async fn a_form_from_elsewhere_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let token = browser.get("/console/help").await.token();
    let other = Browser::signed_in(&app, ADMIN, PASSWORD)
        .await
        .get("/console/help")
        .await
        .token();
    let own = app.url.clone();
    let tenant = |token: &str, id: &str| fields(&[("csrf_token", token), ("id", id), ("name", "New")]);
    let mut post = async |fields: Vec<(String, String)>, headers: &[(&str, &str)]| {
        browser
            .send(Method::POST, "/console/tenants", &fields, headers)
            .await
            .status
    };
    assert_eq!(
        post(fields(&[("id", "1"), ("name", "New")]), &[]).await,
        403,
        "no token"
    );
    assert_eq!(post(tenant("", "1"), &[]).await, 403, "an empty token");
    assert_eq!(
        post(tenant(&other, "1"), &[]).await,
        403,
        "the token of another session"
    );
    for origin in [
        "null",
        "https://evil.example",
        "http://127.0.0.1:1",
        &own.replace("http:", "https:"),
    ] {
        assert_eq!(
            post(tenant(&token, "1"), &[("origin", origin)]).await,
            403,
            "{origin}"
        );
    }
    assert_eq!(
        post(tenant(&token, "1"), &[("sec-fetch-site", "cross-site")]).await,
        403
    );
    let same = [("origin", own.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(post(tenant(&token, "1"), &same).await, 303);

    let mut visitor = Browser::new(&app);
    let login = fields(&[("username", ADMIN), ("password", PASSWORD)]);
    let page = visitor.send(Method::POST, "/console/sign-in", &login, &[]).await;
    assert_eq!(page.status, 403, "a sign-in needs a token too");
    assert!(page.set_cookie("slipway").is_none());
}

async fn a_sign_in_returns_to_the_page_and_nowhere_else(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let mut browser = Browser::new(&app);
    let asked = browser.get("/console/audit?action=tenant.create").await;
    let form = asked.location().to_owned();
    assert_eq!(
        form,
        "/console/sign-in?return=%2Fconsole%2Faudit%3Faction%3Dtenant.create"
    );
    let page = browser.get(&form).await;
    let back = page.hidden("sign-in", "return").unwrap();
    for (back, place) in [
        (back.as_str(), "/console/audit?action=tenant.create"),
        ("https://evil.example/", "/console"),
        ("//evil.example", "/console"),
        ("/console/\\evil.example", "/console"),
        ("/api/v1/me", "/console"),
    ] {
        let mut browser = Browser::new(&app);
        let token = browser.get("/console/sign-in").await.token();
        let login = fields(&[
            ("csrf_token", &token),
            ("username", ADMIN),
            ("password", PASSWORD),
            ("return", back),
        ]);
        let page = browser.send(Method::POST, "/console/sign-in", &login, &[]).await;
        assert_eq!((page.status, page.location()), (303, place), "{back}");
    }
}

async fn attempts_are_limited_like_those_of_the_api(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| config.login_attempts_per_account = 2).await;
    let mut browser = Browser::new(&app);
    for status in [401, 401, 429] {
        assert_eq!(browser.sign_in(ADMIN, "wrong").await.status, status);
    }
    let login = json!({"username": ADMIN, "password": "wrong"});
    app.anyone()
        .post("/api/v1/auth/login", &login)
        .await
        .problem(429, "rate_limited");
}

on_both_databases!(
    the_cookie_is_bound_to_tls_or_to_this_machine,
    a_sign_in_makes_a_new_session_and_says_nothing_about_a_failure,
    a_session_ends_everywhere_at_once,
    a_cookie_is_no_api_token_and_a_token_is_no_cookie,
    a_form_from_elsewhere_is_refused,
    a_sign_in_returns_to_the_page_and_nowhere_else,
    attempts_are_limited_like_those_of_the_api,
);
