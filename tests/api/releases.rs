//! Releases over HTTP: created, published, changed, and offered in checks.

use serde_json::{Value, json};

use super::harness::{CHUKU, TestApp, check_fields, in_app, in_tenant, path_of, release_fields, with};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn a_published_release_is_offered_by_the_next_check(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    assert_eq!(merchant.offers(&json!({})).await, json!([]));

    let fields = with(release_fields(CHUKU, 240), json!({"publish": true}));
    let published = merchant.create(&fields).await;
    let revision = published.header("slipway-revision").to_owned();
    assert_eq!(published.expect(201)["state"], "published");

    let answer = merchant.device.post("/v1/check", &check_fields()).await;
    assert_eq!(answer.header("slipway-revision"), revision);
    let body = answer.expect(200);
    assert_eq!(body["data"][0]["version_code"], 240);
    assert_eq!(body["succeed"], true);
}

async fn a_release_of_required_fields_alone_is_a_draft_for_everybody(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let mut made = merchant.draft(CHUKU, 240).await;
    assert_eq!(merchant.offered(0).await, [0; 0]);
    let read = merchant.read(&made).await;
    assert_eq!(made["ignored"], json!([]));
    made.as_object_mut().unwrap().remove("ignored");
    assert_eq!(read, made);
    let expected = json!({
        "identifier": CHUKU, "version_code": 240, "version_name": "1.0.240", "state": "draft",
        "recall_mode": null, "recall_reason": null, "origin": "external", "file_damaged": false, "targeting": "every device",
        "artifact": null, "min_sdk": null,
        "download_url": format!("https://files.example/{CHUKU}/240.bin"), "size": 1_000,
        "md5": format!("{:032x}", 240), "sha256": null, "update_desc": "",
        "auto_install": false, "mandatory": false, "floor": false, "qrcode": null, "icon_url": null,
        "config_json": {}, "org_scopes": [], "org_exclusions": [], "device_types": [],
        "host_version_min": null, "host_version_max": null, "attribute_rules": [], "device_ids": [],
        "rollout": {"percent": 100, "key": null, "unit": "device"},
        "starts_at": null, "ends_at": null, "published_at": null,
        "id": made["id"], "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(read, expected);
}

async fn every_field_is_kept_as_given(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let given = with(release_fields(CHUKU, 240), everything());
    let made = merchant.create(&given).await.expect(201);
    let read = merchant.read(&made).await;
    for (field, value) in given.as_object().unwrap() {
        assert_eq!(&read[field], value, "{field}");
    }
}

async fn wrong_fields_of_a_release_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let missing = merchant.create(&json!({"publish": true})).await;
    assert_eq!(
        missing.wrong_fields(),
        [
            "identifier",
            "version_code",
            "version_name",
            "download_url",
            "size",
            "md5"
        ]
    );
    let wrong = json!({"version_code": 0, "size": -1, "md5": "x", "sha256": "x", "download_url": "x",
        "host_version_min": -1, "rollout": {"percent": 12.345}, "org_scopes": [{}], "state": "published"});
    let unknown = merchant
        .create(&with(release_fields(CHUKU, 1), wrong.clone()))
        .await;
    assert_eq!(unknown.wrong_fields(), ["state"]);
    let mut known = with(release_fields(CHUKU, 1), wrong);
    known.as_object_mut().unwrap().remove("state");
    let mut fields = merchant.create(&known).await.wrong_fields();
    fields.sort();
    assert_eq!(
        fields,
        [
            "download_url",
            "host_version_min",
            "md5",
            "org_scopes[0]",
            "rollout.percent",
            "sha256",
            "size",
            "version_code"
        ]
    );
}

async fn everything_of_a_draft_can_change(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let draft = merchant.draft(CHUKU, 240).await;
    let wish = with(facts(), everything());
    let changed = merchant.admin.patch(&path_of(&draft), &wish).await.expect(200);
    for (field, value) in wish.as_object().unwrap() {
        assert_eq!(&changed[field], value, "{field}");
    }
    assert_eq!(merchant.read(&draft).await, changed);
}

async fn null_takes_away_what_may_be_absent(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let made = merchant
        .create(&with(release_fields(CHUKU, 240), everything()))
        .await
        .expect(201);
    let absent = json!({"sha256": null, "qrcode": null, "icon_url": null, "host_version_min": null,
        "host_version_max": null, "starts_at": null, "ends_at": null});
    let changed = merchant.admin.patch(&path_of(&made), &absent).await.expect(200);
    for field in absent.as_object().unwrap().keys() {
        assert_eq!(changed[field], Value::Null, "{field}");
    }
    let present = json!({"md5": null, "org_scopes": null, "auto_install": null});
    let refused = merchant.admin.patch(&path_of(&made), &present).await;
    assert_eq!(refused.wrong_fields(), ["md5", "auto_install", "org_scopes"]);
}

async fn file_facts_and_versions_are_fixed_once_published(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let path = path_of(&release);
    for verb in ["resume", "pause", "recall"] {
        let arguments = match verb {
            "recall" => json!({"mode": "stop", "reason": "a test"}),
            _ => json!({}),
        };
        merchant.take(&release, verb, &arguments).await.expect(200);
        let refused = merchant.admin.patch(&path, &facts()).await;
        let problem = refused.problem(409, "wrong_state");
        let named: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
        let named: Vec<_> = named.iter().map(|error| &error["field"]).collect();
        assert_eq!(
            named,
            [
                "version_code",
                "version_name",
                "download_url",
                "size",
                "md5",
                "sha256"
            ]
        );
    }
    // The same facts change nothing and are therefore accepted.
    let same = json!({"md5": release["md5"], "size": 1_000, "update_desc": "new words"});
    let changed = merchant.admin.patch(&path, &same).await.expect(200);
    assert_eq!(changed["update_desc"], "new words");
}

async fn targeting_and_texts_of_a_published_release_may_change(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 240).await;
    let change = async |wish: Value| merchant.admin.patch(&path_of(&release), &wish).await.expect(200);
    change(json!({"device_types": ["10013"]})).await;
    assert_eq!(merchant.offered(0).await, [0; 0]);
    change(json!({"device_types": [], "update_desc": "new words"})).await;
    let offers = merchant.offers(&json!({})).await;
    assert_eq!(offers[0]["update_desc"], "new words");
}

async fn a_discarded_release_stays_as_it_is(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let draft = merchant.draft(CHUKU, 240).await;
    merchant.take(&draft, "discard", &json!({})).await.expect(200);
    let path = path_of(&draft);
    let refused = merchant
        .admin
        .patch(&path, &json!({"update_desc": "new words"}))
        .await;
    let problem = refused.problem(409, "wrong_state");
    assert_eq!(problem["errors"][0]["field"], "update_desc");
    let rollout = json!({"percent": 5});
    let refused = merchant.admin.put(&format!("{path}/rollout"), &rollout).await;
    refused.problem(409, "wrong_state");
}

async fn a_release_is_found_only_in_its_own_app(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.draft(CHUKU, 240).await;
    let other = json!({"package_name": "com.other", "app_name": "Another app"});
    let apps = in_tenant("/apps");
    merchant.admin.post(&apps, &other).await.expect(201);
    let id = release["id"].as_str().unwrap();
    let elsewhere = format!("{apps}/com.other/releases/{id}");
    for path in [&elsewhere, &in_app("/releases/x")] {
        merchant.admin.get(path).await.problem(404, "not_found");
        let patched = merchant.admin.patch(path, &json!({"floor": true})).await;
        patched.problem(404, "not_found");
    }
}

/// Returns file facts and versions, all different from those of [`release_fields`].
fn facts() -> Value {
    json!({"version_code": 241, "version_name": "2.0.0", "download_url": "https://files.example/other.bin",
        "size": 0, "md5": "f".repeat(32), "sha256": "e".repeat(64)})
}

/// Returns all other fields of a release, none with its default.
fn everything() -> Value {
    json!({
        "sha256": "e".repeat(64), "update_desc": "two\nlines", "auto_install": true, "mandatory": true,
        "floor": true, "qrcode": "https://files.example/qr.png", "icon_url": "https://files.example/icon.png",
        "config_json": {"theme": {"dark": true}}, "org_scopes": [{"l1Code": "HM", "l3Code": "8007"}],
        "org_exclusions": [{"l2Code": "HM-SH"}], "device_types": ["10013", "10014"], "host_version_min": 0,
        "host_version_max": 9_223_372_036_854_775_807_i64,
        "attribute_rules": [{"name": "abi", "op": "in", "value": ["arm64-v8a"]}],
        "device_ids": ["PDA001"], "rollout": {"percent": 12.5, "key": "spring", "unit": "l3"},
        "starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-04-01T00:00:00.500Z",
    })
}

on_both_databases!(
    a_published_release_is_offered_by_the_next_check,
    a_release_of_required_fields_alone_is_a_draft_for_everybody,
    every_field_is_kept_as_given,
    wrong_fields_of_a_release_are_all_named,
    everything_of_a_draft_can_change,
    null_takes_away_what_may_be_absent,
    file_facts_and_versions_are_fixed_once_published,
    targeting_and_texts_of_a_published_release_may_change,
    a_discarded_release_stays_as_it_is,
    a_release_is_found_only_in_its_own_app,
);
