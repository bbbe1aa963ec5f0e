//! Security headers of answers: secrets are not cached, and the documentation cannot be framed.

use reqwest::Method;
use serde_json::{Value, json};
use slipway::config::Config;

use super::harness::{ADMIN, Answer, PASSWORD, TENANT, TestApp, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn answers_with_secrets_are_not_stored(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let device = app.device(&admin, TENANT).await;
    let login = json!({"username": ADMIN, "password": PASSWORD});
    let signed_in = app.anyone().post("/api/v1/auth/login", &login).await;
    let refresh = json!({"refresh_token": signed_in.body["refresh_token"]});
    let mut answers = vec![
        app.anyone().post("/api/v1/auth/refresh", &refresh).await,
        app.anyone()
            .post("/api/v1/auth/refresh", &json!({"refresh_token": "x"}))
            .await,
        app.anyone().post("/api/v1/auth/login", &json!({})).await,
        app.anyone().post("/%61pi/v1/auth/login", &login).await,
        signed_in,
    ];
    let enrolment = json!({"device_id": "PDA001", "project_id": "stores"});
    answers.push(device.post("/v1/devices", &enrolment).await);
    answers.push(device.post("/v1/devices", &enrolment).await);
    let again = ("Idempotency-Key", "again");
    for (path, body) in [
        ("/api-tokens", json!({"name": "ci", "role": "viewer"})),
        ("/device-keys", json!({"name": "devices"})),
        ("/app-keys", json!({"name": "sdk", "role": "device"})),
        ("/devices/PDA001/enrolment-codes", json!({})),
    ] {
        for _ in 0..2 {
            answers.push(
                admin
                    .call_with(again, Method::POST, &in_tenant(path), &body)
                    .await,
            );
        }
    }
    let keys = admin.get(&in_tenant("/app-keys")).await.expect(200);
    let rotate = format!("/app-keys/{}/rotate", keys["items"][0]["id"].as_str().unwrap());
    answers.push(admin.post(&in_tenant(&rotate), &json!({})).await);
    for answer in answers {
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.text);
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{}",
            answer.text
        );
    }
}

async fn the_documentation_loads_its_own_files_alone_and_is_in_no_frame(database: TestDatabase) {
    let app = TestApp::start_with(database, |config| {
        config.public_url = Some("https://slipway.example/base".to_owned());
    })
    .await;
    for path in [
        "/docs/",
        "/docs/index.html",
        "/docs/swagger-initializer.js",
        "/docs/nothing",
        "/%64ocs/",
    ] {
        let answer = app.anyone().get(path).await;
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "connect-src 'self' https://slipway.example;",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    // The policy forbids scripts within the page itself.
    let page = app.anyone().get("/docs/").await.text;
    let scripts = page.split("<script").skip(1);
    assert!(page.contains("<script"), "{page}");
    for script in scripts {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(
            tag.contains("src=") && rest.trim_start().starts_with("</script>"),
            "{script}"
        );
    }
    assert!(!page.contains("onload="), "{page}");
}

async fn operators_may_have_an_address_of_their_own(database: TestDatabase) {
    let own_address = |config: &mut Config| config.operations_listen = Some("127.0.0.1:0".parse().unwrap());
    let app = TestApp::start_with(database, own_address).await;
    let address = app.running.operations_address.unwrap();
    let http = reqwest::Client::new();
    let at_operations = async |path: &str| {
        let response = http.get(format!("http://{address}{path}")).send().await.unwrap();
        Answer::read(response).await
    };
    for path in ["/metrics", "/docs/", "/docs", "/openapi.json"] {
        app.anyone().get(path).await.problem(404, "not_found");
        assert_eq!(at_operations(path).await.status, 200, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        app.anyone().get(path).await.expect(200);
        at_operations(path).await.expect(200);
    }
    for path in ["/api/v1/me", "/v1/check", "/router/rest"] {
        at_operations(path).await.problem(404, "not_found");
    }
    let described = at_operations("/openapi.json").await.expect(200);
    assert!(described["paths"]["/api/v1/auth/login"]["post"].is_object());
    let metrics = at_operations("/metrics").await;
    assert!(
        metrics.text.contains("slipway_http_requests_total"),
        "{}",
        metrics.text
    );
}

async fn a_body_that_is_encoded_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let device = app.device(&admin, TENANT).await;
    let key = json!({"name": "ci"});
    let check = json!({"package_name": "com.example", "version_code": 1, "device_id": "PDA001"});
    for coding in ["gzip", "br", "identity, zstd", "x-made-up"] {
        let header = ("Content-Encoding", coding);
        for refused in [
            admin
                .call_with(header, Method::POST, &in_tenant("/device-keys"), &key)
                .await,
            device.call_with(header, Method::POST, "/v1/check", &check).await,
            device
                .call_with(header, Method::POST, "/v1/devices", &check)
                .await,
            app.anyone()
                .call_with(header, Method::POST, "/api/v1/auth/login", &key)
                .await,
        ] {
            assert_eq!(refused.header("accept-encoding"), "identity");
            let problem = refused.problem(415, "unsupported_media_type");
            assert!(
                problem["detail"].as_str().unwrap().contains("Content-Encoding"),
                "{problem}"
            );
        }
        let gateway = app.anyone().request(Method::POST, "/router/rest?format=json");
        let gateway = gateway.header("Content-Encoding", coding).body("method=x");
        let refused: Value = app.anyone().send(gateway).await.expect(200);
        let error = &refused["error_response"];
        assert_eq!(
            (&error["code"], &error["sub_code"]),
            (&json!(47), &json!("isv.unsupported-content-encoding")),
            "{refused}"
        );
    }
    let header = ("Content-Encoding", "Identity");
    admin
        .call_with(header, Method::POST, &in_tenant("/device-keys"), &key)
        .await
        .expect(201);
}

on_both_databases!(
    answers_with_secrets_are_not_stored,
    the_documentation_loads_its_own_files_alone_and_is_in_no_frame,
    operators_may_have_an_address_of_their_own,
    a_body_that_is_encoded_is_refused,
);
