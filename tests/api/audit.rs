//! The audit: author, time, and state before and after each change.

use reqwest::Method;
use serde_json::{Value, json};

use super::console::Browser;
use super::harness::{
    ADMIN, Answer, CHUKU, Merchant, PACKAGE, PASSWORD, TENANT, TestApp, app_fields, in_app, in_tenant,
    path_of, release_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

async fn every_change_of_the_catalog_leaves_one_entry(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let admin = &merchant.admin;
    let other = admin.post(&in_tenant("/apps"), &app_fields("com.other")).await;
    expect_entry(&merchant, &other, "app.create").await;
    let path = in_tenant("/apps/com.other");
    let changed = admin.patch(&path, &json!({"enabled": false})).await;
    let entry = expect_entry(&merchant, &changed, "app.update").await;
    assert_eq!(entry["object_id"], "com.other");
    assert_eq!(entry["before"]["enabled"], true);
    assert_eq!(entry["after"]["enabled"], false);
    let deleted = admin.delete(&path).await;
    expect_entry(&merchant, &deleted, "app.delete").await;

    let draft = merchant.create(&release_fields(CHUKU, 1)).await;
    expect_entry(&merchant, &draft, "release.create").await;
    let draft = draft.body;
    let changed = admin.patch(&path_of(&draft), &json!({"floor": true})).await;
    let entry = expect_entry(&merchant, &changed, "release.update").await;
    assert_eq!(entry["object_id"], draft["id"]);
    assert_eq!(entry["before"]["floor"], false);
    assert_eq!(entry["after"]["floor"], true);
    let rollout = format!("{}/rollout", path_of(&draft));
    let set = admin.put(&rollout, &json!({"percent": 12.5})).await;
    let entry = expect_entry(&merchant, &set, "release.set_rollout").await;
    assert_eq!(entry["after"]["rollout"]["percent"], 12.5);
    for (verb, arguments) in [
        ("publish", json!({})),
        ("pause", json!({})),
        ("resume", json!({})),
        ("recall", json!({"mode": "stop", "reason": "a test"})),
    ] {
        let taken = merchant.take(&draft, verb, &arguments).await;
        expect_entry(&merchant, &taken, &format!("release.{verb}")).await;
    }
    let unwanted = merchant.draft(CHUKU, 2).await;
    let discarded = merchant.take(&unwanted, "discard", &json!({})).await;
    expect_entry(&merchant, &discarded, "release.discard").await;

    let resource = in_app(&format!("/resources/{CHUKU}"));
    let changed = admin.patch(&resource, &json!({"kind": "miniapp"})).await;
    let entry = expect_entry(&merchant, &changed, "resource.update").await;
    assert_eq!(entry["before"]["kind"], "other");
    let pin = json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "A", "mode": "hold",
        "reason": "a test"});
    let set = admin.put(&in_tenant("/pins"), &pin).await;
    expect_entry(&merchant, &set, "pin.put").await;
    let path = in_tenant(&format!("/pins/{}", set.body["id"].as_str().unwrap()));
    let deleted = admin.delete(&path).await;
    expect_entry(&merchant, &deleted, "pin.delete").await;
    let nodes = json!({"nodes": [{"path": ["HM"]}]});
    let replaced = admin.put(&in_tenant("/org-directory"), &nodes).await;
    let entry = expect_entry(&merchant, &replaced, "org_directory.replace").await;
    assert_eq!(entry["before"]["node_count"], 0);
    assert_eq!(entry["after"]["node_count"], 1);
}

async fn a_release_is_audited_with_its_targeting_in_words(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let own = json!({"org_scopes": [{"l1Code": "HM"}], "rollout": {"percent": 5, "unit": "l3"}});
    let release = merchant.published_with(CHUKU, 1, own).await;
    let rollout = format!("{}/rollout", path_of(&release));
    let raised = merchant.admin.put(&rollout, &json!({"percent": 20})).await;
    let entry = expect_entry(&merchant, &raised, "release.set_rollout").await;
    assert_eq!(entry["targeting_before"], "HM, 5% of stores");
    assert_eq!(entry["targeting_after"], "HM, 20% of stores");
    let events = merchant.audit().await;
    let app_made = events.iter().find(|event| event["action"] == "app.create");
    assert!(app_made.unwrap().get("targeting_after").is_none());

    let mut browser = Browser::signed_in(&app, ADMIN, PASSWORD).await;
    let audit = format!("/console/tenants/{TENANT}/audit");
    let row = |before: &str, after: &str| {
        format!("<td class=\"value\">{before}</td><td class=\"value\">{after}</td>")
    };
    let page = browser.get(&audit).await.text;
    assert!(
        page.contains(&row("HM, 5% of stores", "HM, 20% of stores")),
        "{page}"
    );
    browser.headers = vec![("accept-language".to_owned(), "zh".to_owned())];
    let page = browser.get(&audit).await.text;
    assert!(page.contains(&row("HM，5% 的门店", "HM，20% 的门店")), "{page}");
    let csv = browser.get(&format!("{audit}.csv")).await.text;
    assert!(
        csv.contains("\"HM, 5% of stores\",\"HM, 20% of stores\""),
        "{csv}"
    );
}

async fn every_change_of_people_and_keys_leaves_one_entry(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let admin = &merchant.admin;
    let person = json!({"username": "li.na", "password": "a password of theirs", "role": "viewer"});
    let made = admin.post(&in_tenant("/users"), &person).await;
    let entry = expect_entry(&merchant, &made, "user.create").await;
    assert_eq!(entry["after"]["username"], "li.na");
    let li_na = app.login("li.na", "a password of theirs").await;
    let passwords = json!({"current": "a password of theirs", "new": "a new long password"});
    let changed = li_na.put("/api/v1/me/password", &passwords).await;
    let entry = expect_entry(&merchant, &changed, "user.change_password").await;
    assert_eq!(entry["actor_name"], "li.na");
    let path = in_tenant(&format!("/users/{}", made.body["id"].as_str().unwrap()));
    let changed = admin.patch(&path, &json!({"role": "admin"})).await;
    expect_entry(&merchant, &changed, "user.update").await;
    let password = json!({"password": "another new password"});
    let changed = admin.patch(&path, &password).await;
    expect_entry(&merchant, &changed, "user.set_password").await;
    let deleted = admin.delete(&path).await;
    expect_entry(&merchant, &deleted, "user.delete").await;

    for (noun, name, body) in [
        ("api_token", "api-tokens", json!({"name": "x", "role": "viewer"})),
        ("device_key", "device-keys", json!({"name": "x"})),
        ("app_key", "app-keys", json!({"name": "x", "role": "device"})),
    ] {
        let keys = in_tenant(&format!("/{name}"));
        let made = admin.post(&keys, &body).await;
        expect_entry(&merchant, &made, &format!("{noun}.create")).await;
        let path = format!("{keys}/{}", made.body["id"].as_str().unwrap());
        let deleted = admin.delete(&path).await;
        expect_entry(&merchant, &deleted, &format!("{noun}.delete")).await;
    }

    let platform = app.platform_admin().await;
    let renamed = platform.patch(&in_tenant(""), &json!({"name": "Hema"})).await;
    let entry = expect_entry(&merchant, &renamed, "tenant.update").await;
    assert_eq!(entry["actor_name"], "admin");
    let first = merchant.audit().await.pop().unwrap();
    assert_eq!(first["action"], "tenant.create");
}

async fn an_entry_says_who_when_and_in_which_request(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let pipeline = app.pipeline(&merchant.admin, "publisher").await;
    let me = merchant.admin.get("/api/v1/me").await.expect(200);
    let token = pipeline.get("/api/v1/me").await.expect(200);
    app.set_clock("2026-03-02T02:10:00.123456Z");
    let fields = release_fields(CHUKU, 1);
    let header = ("X-Request-Id", "build-77");
    pipeline
        .call_with(header, Method::POST, &in_app("/releases"), &fields)
        .await
        .expect(201);
    let release = &merchant.audit().await[0];
    assert_eq!(
        release["actor"],
        format!("token:{}", token["id"].as_str().unwrap())
    );
    assert_eq!(release["actor_name"], "ci");
    assert_eq!(release["at"], "2026-03-02T02:10:00.123456Z");
    assert_eq!(release["request_id"], "build-77");
    assert_eq!(release["object_type"], "release");
    assert_eq!(release["before"], Value::Null);
    assert_eq!(release["after"]["download_url"], fields["download_url"]);

    let app_made = &merchant.audit().await[2];
    assert_eq!(app_made["action"], "app.create");
    assert_eq!(app_made["actor"], format!("user:{}", me["id"].as_str().unwrap()));
    assert_eq!(app_made["actor_name"], format!("admin-{TENANT}"));
}

async fn what_was_refused_or_changes_nothing_leaves_no_entry(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 1).await;
    let viewer = app.user(&merchant.admin, TENANT, "viewer").await;
    let before = merchant.audit().await;

    let admin = &merchant.admin;
    let (path, rollout) = (path_of(&release), format!("{}/rollout", path_of(&release)));
    for unchanged in [
        admin.patch(&in_app(""), &json!({"enabled": true})).await,
        admin.patch(&in_app(""), &json!({})).await,
        admin.patch(&path, &json!({"floor": false, "size": 1_000})).await,
        admin.put(&rollout, &json!({"percent": 100})).await,
        merchant.take(&release, "publish", &json!({})).await,
        merchant.take(&release, "resume", &json!({})).await,
        merchant.create(&release_fields(CHUKU, 1)).await,
        admin
            .put(&in_tenant("/org-directory"), &json!({"nodes": []}))
            .await,
    ] {
        unchanged.expect(200);
    }
    for refused in [
        admin.post(&in_tenant("/apps"), &app_fields(PACKAGE)).await,
        admin.delete(&in_app("")).await,
        admin.patch(&path, &json!({"size": 7})).await,
        admin.patch(&path, &json!({"floor": "yes"})).await,
        admin.patch(&in_app("/releases/x"), &json!({"floor": true})).await,
        merchant.take(&release, "discard", &json!({})).await,
        viewer.patch(&path, &json!({"floor": true})).await,
        viewer
            .post(&in_tenant("/device-keys"), &json!({"name": "x"}))
            .await,
        admin
            .call_with(
                ("If-Match", "\"x\""),
                Method::PATCH,
                &path,
                &json!({"floor": true}),
            )
            .await,
    ] {
        assert!((400..500).contains(&refused.status), "{}", refused.text);
    }
    assert_eq!(merchant.audit().await, before);
}

async fn entries_are_listed_the_newest_first(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for version in 1..=30 {
        merchant.draft(CHUKU, version).await;
    }
    let audit = merchant.audit().await;
    let versions: Vec<_> = audit[..30]
        .iter()
        .map(|entry| entry["after"]["version_code"].as_i64().unwrap())
        .collect();
    assert_eq!(versions, (1..=30).rev().collect::<Vec<_>>());
}

async fn a_viewer_does_not_read_the_audit(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let viewer = app.user(&merchant.admin, TENANT, "viewer").await;
    let refused = viewer.get(&in_tenant("/audit")).await;
    refused.problem(403, "permission_denied");
}

/// Returns the newest entry, which must be the only one of this write.
async fn expect_entry(merchant: &Merchant, written: &Answer, action: &str) -> Value {
    assert!((200..300).contains(&written.status), "{}", written.text);
    let audit = merchant.audit().await;
    let request_id = written.header("x-request-id");
    let of_it = audit.iter().filter(|entry| entry["request_id"] == request_id);
    assert_eq!(of_it.count(), 1, "{action}");
    let entry = audit[0].clone();
    assert_eq!(entry["request_id"], request_id);
    assert_eq!(entry["action"], action);
    let (before, after) = (entry.get("before"), entry.get("after"));
    let is_there = |side: Option<&Value>| side.is_some_and(|value| !value.is_null());
    if action != "user.change_password" {
        let is_first = action.ends_with(".create") || action == "pin.put";
        assert_eq!(is_there(before), !is_first, "{action}");
        assert_eq!(is_there(after), !action.ends_with(".delete"), "{action}");
    }
    entry
}

on_both_databases!(
    a_release_is_audited_with_its_targeting_in_words,
    every_change_of_the_catalog_leaves_one_entry,
    every_change_of_people_and_keys_leaves_one_entry,
    an_entry_says_who_when_and_in_which_request,
    what_was_refused_or_changes_nothing_leaves_no_entry,
    entries_are_listed_the_newest_first,
    a_viewer_does_not_read_the_audit,
);
