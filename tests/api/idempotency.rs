//! `Idempotency-Key`: a repeated create is done once.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{
    Answer, CHUKU, Caller, PACKAGE, TENANT, TestApp, app_fields, every_item, in_app, in_tenant, push_fields,
    release_fields, with,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_repeated_create_is_answered_as_the_first(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let releases = in_app("/releases");
    let fields = release_fields(CHUKU, 1);
    let first = create(&merchant.admin, &releases, "k", &fields).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    // Even if the object has changed meanwhile.
    let path = format!("{releases}/{}", first.body["id"].as_str().unwrap());
    merchant
        .admin
        .patch(&path, &json!({"floor": true}))
        .await
        .expect(200);
    for _ in 0..2 {
        let again = create(&merchant.admin, &releases, "k", &fields).await;
        assert_eq!(again.status, 201);
        assert_eq!(again.text, first.text);
        assert_eq!(again.header("etag"), first.header("etag"));
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    // Without the key it is a separate request.
    merchant.create(&fields).await.expect(200);
}

async fn every_create_takes_a_key(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let platform = app.platform_admin().await;
    merchant.know(&["PDA001"]).await;
    for (caller, path, body) in [
        (
            &platform,
            "/api/v1/tenants".to_owned(),
            json!({"id": 7, "name": "x"}),
        ),
        (&merchant.admin, in_tenant("/apps"), app_fields("com.other")),
        (&merchant.admin, in_app("/releases"), release_fields(CHUKU, 1)),
        (&merchant.admin, in_tenant("/pushes"), push_fields(&["PDA001"])),
        (
            &merchant.admin,
            in_tenant("/users"),
            json!({"username": "li.na", "password": "a password of theirs", "role": "viewer"}),
        ),
    ] {
        let first = create(caller, &path, "k", &body).await;
        let again = create(caller, &path, "k", &body).await;
        assert_eq!(first.status, 201, "{path} {}", first.text);
        assert_eq!((again.status, &again.text), (201, &first.text), "{path}");
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
}

async fn a_secret_is_not_shown_again(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for (noun, body) in [
        ("api-tokens", json!({"name": "x", "role": "viewer"})),
        ("device-keys", json!({"name": "x"})),
        ("app-keys", json!({"name": "x", "role": "device"})),
    ] {
        let keys = in_tenant(&format!("/{noun}"));
        let made = create(&admin, &keys, "k", &body).await.expect(201);
        let again = create(&admin, &keys, "k", &body).await;
        let problem = again.problem(409, "secret_already_shown");
        assert_eq!(problem["id"], made["id"], "{noun}");
        assert_eq!(every_item(&admin, &format!("{keys}?limit=9")).await.len(), 1);
    }
}

async fn a_key_with_another_body_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let releases = in_app("/releases");
    create(&merchant.admin, &releases, "k", &release_fields(CHUKU, 1))
        .await
        .expect(201);
    let other = create(&merchant.admin, &releases, "k", &release_fields(CHUKU, 2)).await;
    other.problem(422, "idempotency_key_reused");
    let keys = in_tenant("/device-keys");
    create(&merchant.admin, &keys, "k", &json!({"name": "x"}))
        .await
        .expect(201);
    let other = create(&merchant.admin, &keys, "k", &json!({"name": "y"})).await;
    other.problem(422, "idempotency_key_reused");
}

async fn of_many_creates_at_once_one_is_done(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let releases = in_app("/releases");
    let fields = release_fields(CHUKU, 1);
    let at_once = (0..8).map(|_| create(&merchant.admin, &releases, "k", &fields));
    let mut done = 0;
    for answer in join_all(at_once).await {
        match answer.status {
            201 if answer.header("idempotency-replayed").is_empty() => done += 1,
            201 => {}
            _ => {
                answer.problem(409, "idempotency_key_in_use");
            }
        }
    }
    assert_eq!(done, 1);

    let keys = in_tenant("/api-tokens");
    let body = json!({"name": "x", "role": "viewer"});
    let at_once = (0..8).map(|_| create(&merchant.admin, &keys, "k", &body));
    let statuses: Vec<_> = join_all(at_once)
        .await
        .iter()
        .map(|answer| answer.status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1);
    assert!(statuses.iter().all(|status| matches!(status, 201 | 409)));
    let listed = every_item(&merchant.admin, &format!("{keys}?limit=9")).await;
    assert_eq!(listed.len(), 1);
}

async fn a_create_that_failed_frees_its_key(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let apps = in_tenant("/apps");
    for _ in 0..2 {
        let taken = create(&merchant.admin, &apps, "k", &app_fields(PACKAGE)).await;
        taken.problem(409, "already_exists");
    }
    let wrong = create(&merchant.admin, &apps, "k", &json!({})).await;
    wrong.expect(400);
    let other = create(&merchant.admin, &apps, "k", &app_fields("com.other")).await;
    assert_eq!(other.header("idempotency-replayed"), "");
    other.expect(201);
}

async fn a_key_is_kept_for_a_day(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    let releases = in_app("/releases");
    let fields = release_fields(CHUKU, 1);
    create(&pipeline, &releases, "k", &fields).await.expect(201);
    app.set_clock("2026-03-03T01:59:59Z");
    let again = create(&pipeline, &releases, "k", &fields).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    app.set_clock("2026-03-03T02:00:00Z");
    // Now it is a new request, which finds the existing version.
    let anew = create(&pipeline, &releases, "k", &fields).await;
    assert_eq!(anew.header("idempotency-replayed"), "");
    anew.expect(200);
}

async fn a_key_counts_by_caller_and_path(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    let other_app = in_tenant("/apps/com.other/releases");
    let apps = in_tenant("/apps");
    create(&merchant.admin, &apps, "k", &app_fields("com.other"))
        .await
        .expect(201);
    for (caller, path, version) in [
        (&merchant.admin, &in_app("/releases"), 1),
        (&merchant.admin, &other_app, 2),
        (&pipeline, &in_app("/releases"), 3),
        (&pipeline, &other_app, 4),
    ] {
        let made = create(caller, path, "k", &release_fields(CHUKU, version)).await;
        assert_eq!(made.header("idempotency-replayed"), "");
        made.expect(201);
    }
    // All sessions of a person are one caller.
    let again = app
        .login(&format!("admin-{TENANT}"), "a password of a tenant")
        .await;
    let again = create(&again, &other_app, "k", &release_fields(CHUKU, 2)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
}

async fn the_answer_that_a_version_was_there_is_kept_too(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    let fields = with(release_fields(CHUKU, 1), json!({"mandatory": true}));
    let releases = in_app("/releases");
    let first = create(&merchant.admin, &releases, "k", &fields).await;
    let again = create(&merchant.admin, &releases, "k", &fields).await;
    assert_eq!(first.body["ignored"], json!(["mandatory"]));
    assert_eq!((again.status, &again.text), (200, &first.text));
    assert_eq!(again.header("idempotency-replayed"), "true");
}

async fn a_key_has_up_to_255_characters(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let releases = in_app("/releases");
    let fields = release_fields(CHUKU, 1);
    for wrong in ["", &"k".repeat(256)] {
        let refused = create(&merchant.admin, &releases, wrong, &fields).await;
        assert_eq!(refused.wrong_fields(), ["Idempotency-Key"]);
    }
    create(&merchant.admin, &releases, &"k".repeat(255), &fields)
        .await
        .expect(201);
}

async fn create(caller: &Caller, path: &str, key: &str, body: &Value) -> Answer {
    let header = ("Idempotency-Key", key);
    caller.call_with(header, Method::POST, path, body).await
}

on_both_databases!(
    a_repeated_create_is_answered_as_the_first,
    every_create_takes_a_key,
    a_secret_is_not_shown_again,
    a_key_with_another_body_is_refused,
    of_many_creates_at_once_one_is_done,
    a_create_that_failed_frees_its_key,
    a_key_is_kept_for_a_day,
    a_key_counts_by_caller_and_path,
    the_answer_that_a_version_was_there_is_kept_too,
    a_key_has_up_to_255_characters,
);
