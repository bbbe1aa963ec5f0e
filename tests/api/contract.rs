//! Common properties of all answers, and endpoints for operators.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{
    Answer, CHUKU, Merchant, PACKAGE, TENANT, TestApp, app_fields, check_fields, in_app, in_tenant, path_of,
    release_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn every_answer_names_its_request(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for (caller, path) in [
        (&admin, in_tenant("/apps")),
        (&admin, in_tenant("/apps/none")),
        (&admin, "/nowhere".to_owned()),
        (&app.anyone(), in_tenant("/apps")),
        (&app.anyone(), "/healthz".to_owned()),
    ] {
        let echoed = caller
            .call_with(("X-Request-Id", "build-77_a.b"), Method::GET, &path, &Value::Null)
            .await;
        assert_eq!(echoed.header("x-request-id"), "build-77_a.b", "{path}");
        let (one, other) = (caller.get(&path).await, caller.get(&path).await);
        assert!(!one.header("x-request-id").is_empty(), "{path}");
        assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
        for unfit in ["a b", "", &"x".repeat(65), "a\"b"] {
            let header = ("X-Request-Id", unfit);
            let replaced = caller.call_with(header, Method::GET, &path, &Value::Null).await;
            assert_ne!(replaced.header("x-request-id"), unfit);
            assert!(!replaced.header("x-request-id").is_empty());
        }
    }
}

async fn a_write_names_the_state_that_the_next_check_is_made_from(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let admin = &merchant.admin;
    let release = merchant.draft(CHUKU, 1).await;
    let pin = json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "A", "mode": "hold", "reason": "x"});
    let rollout = format!("{}/rollout", path_of(&release));
    let resource = in_app(&format!("/resources/{CHUKU}"));

    is_served(&merchant, &merchant.create(&release_fields(CHUKU, 2)).await).await;
    is_served(&merchant, &merchant.take(&release, "publish", &json!({})).await).await;
    is_served(&merchant, &admin.put(&rollout, &json!({"percent": 5})).await).await;
    is_served(
        &merchant,
        &admin.patch(&path_of(&release), &json!({"floor": true})).await,
    )
    .await;
    is_served(&merchant, &merchant.take(&release, "pause", &json!({})).await).await;
    is_served(&merchant, &merchant.take(&release, "resume", &json!({})).await).await;
    is_served(&merchant, &merchant.recall(&release, "stop").await).await;
    is_served(&merchant, &admin.patch(&resource, &json!({"name": "x"})).await).await;
    let set = admin.put(&in_tenant("/pins"), &pin).await;
    is_served(&merchant, &set).await;
    let path = in_tenant(&format!("/pins/{}", set.body["id"].as_str().unwrap()));
    is_served(&merchant, &admin.delete(&path).await).await;
    let nodes = json!({"nodes": [{"path": ["HM"]}]});
    is_served(&merchant, &admin.put(&in_tenant("/org-directory"), &nodes).await).await;
    let other = admin.post(&in_tenant("/apps"), &app_fields("com.other")).await;
    is_served(&merchant, &other).await;
    let path = in_tenant("/apps/com.other");
    is_served(&merchant, &admin.patch(&path, &json!({"enabled": false})).await).await;
    is_served(&merchant, &admin.delete(&path).await).await;
    let keys = in_tenant("/device-keys");
    let key = admin.post(&keys, &json!({"name": "x"})).await;
    is_served(&merchant, &key).await;
    let path = format!("{keys}/{}", key.body["id"].as_str().unwrap());
    is_served(&merchant, &admin.delete(&path).await).await;
    let platform = app.platform_admin().await;
    let renamed = platform.patch(&in_tenant(""), &json!({"name": "Hema"})).await;
    is_served(&merchant, &renamed).await;
    // An unchanged state is served too.
    is_served(&merchant, &merchant.create(&release_fields(CHUKU, 2)).await).await;
    is_served(
        &merchant,
        &admin.patch(&in_app(""), &json!({"enabled": true})).await,
    )
    .await;
}

async fn what_cannot_change_an_answer_names_no_state(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let admin = &merchant.admin;
    let person = json!({"username": "li.na", "password": "a password of theirs", "role": "viewer"});
    let token = json!({"name": "x", "role": "viewer"});
    for answer in [
        admin.post(&in_tenant("/users"), &person).await,
        admin.post(&in_tenant("/api-tokens"), &token).await,
        admin.get(&in_app("")).await,
        admin.patch(&in_app(""), &json!({"enabled": "x"})).await,
    ] {
        assert_eq!(answer.header("slipway-revision"), "", "{}", answer.text);
    }
}

async fn a_method_that_a_path_does_not_have_is_refused_with_those_it_has(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let refused = merchant.admin.delete(&in_app("/releases")).await;
    assert_eq!(refused.header("allow"), "GET, HEAD, POST");
    refused.problem(405, "method_not_allowed");
    merchant
        .admin
        .get("/api/v1/nothing")
        .await
        .problem(404, "not_found");
    let head = merchant.admin.request(Method::HEAD, &in_app(""));
    let head = merchant.admin.send(head).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert!(!head.header("etag").is_empty());
}

async fn a_body_must_be_json_and_of_bearable_size(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let post = |kind: &str, body: String| {
        let request = merchant.admin.request(Method::POST, &in_tenant("/apps"));
        merchant
            .admin
            .send(request.header("Content-Type", kind.to_owned()).body(body))
    };
    let form = post("application/x-www-form-urlencoded", "a=b".to_owned()).await;
    form.problem(415, "unsupported_media_type");
    let broken = post("application/json", "{".to_owned()).await;
    assert_eq!(broken.wrong_fields(), ["body"]);
    let repeated = post(
        "application/json",
        r#"{"app_name": "a", "app_name": "b"}"#.to_owned(),
    )
    .await;
    assert_eq!(repeated.wrong_fields(), ["app_name"]);
    let large = post("application/json", format!("{{}}{}", " ".repeat(1_048_577))).await;
    large.problem(413, "too_large");
}

async fn health_needs_no_credential(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let health = app.anyone().get("/healthz").await.expect(200);
    assert_eq!(health["status"], "ok");
    assert!(!health["version"].as_str().unwrap().is_empty());
}

async fn readiness_says_what_the_node_answers_from(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.published(CHUKU, 1).await;
    merchant.draft(CHUKU, 2).await;
    app.tenant_admin(20_000_000).await;
    let ready = app.anyone().get("/readyz").await.expect(200);
    let catalog = json!({"loaded": true, "age_s": 0, "stale": false, "tenants": 2, "apps": 1, "releases": 1});
    assert_eq!(
        ready,
        json!({
            "status": "ready",
            "writes": "working",
            "artifacts": "reachable",
            "damaged_artifacts": 0,
            "database": "reachable",
            "mqtt": "none",
            "tasks_down": [],
            "catalog": catalog,
        })
    );
}

async fn metrics_count_checks_requests_and_the_catalog(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.offers(&json!({})).await;
    let metrics = app.anyone().get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for name in [
        "slipway_checks_total{outcome=\"up_to_date\"}",
        "slipway_http_requests_total{method=\"POST\",route=\"/v1/check\",status=\"200\"}",
        "slipway_http_request_duration_seconds_bucket",
        "slipway_catalog_tenants",
        "slipway_catalog_apps",
        "slipway_catalog_releases",
        "slipway_catalog_revision",
        "slipway_catalog_stale",
        "slipway_catalog_age_seconds",
    ] {
        assert!(metrics.text.contains(name), "{name} is missing");
    }
    // Ids in paths would create an unlimited number of labels.
    let id = format!("/{TENANT}");
    let named = metrics.text.lines().find(|line| line.contains(&id));
    assert_eq!(named, None);
}

async fn the_description_of_the_api_is_served(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let described = app.anyone().get("/openapi.json").await.expect(200);
    assert!(described["paths"]["/v1/check"]["post"].is_object());
    let docs = app.anyone().get("/docs/").await;
    assert!(docs.header("content-type").starts_with("text/html"));
    docs.expect(200);
}

/// The write names a state, and the next check uses that state.
async fn is_served(merchant: &Merchant, written: &Answer) {
    assert!((200..300).contains(&written.status), "{}", written.text);
    let check = merchant.device.post("/v1/check", &check_fields()).await;
    assert!(!written.header("slipway-revision").is_empty(), "{}", written.text);
    assert_eq!(
        written.header("slipway-revision"),
        check.header("slipway-revision")
    );
}

on_both_databases!(
    every_answer_names_its_request,
    a_write_names_the_state_that_the_next_check_is_made_from,
    what_cannot_change_an_answer_names_no_state,
    a_method_that_a_path_does_not_have_is_refused_with_those_it_has,
    a_body_must_be_json_and_of_bearable_size,
    health_needs_no_credential,
    readiness_says_what_the_node_answers_from,
    metrics_count_checks_requests_and_the_catalog,
    the_description_of_the_api_is_served,
);
