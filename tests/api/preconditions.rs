//! `ETag` and `If-Match`: a write based on an old state is refused.

use reqwest::Method;
use serde_json::{Value, json};

use super::harness::{
    Answer, CHUKU, Caller, Merchant, PACKAGE, TestApp, in_app, in_tenant, path_of, push_fields,
};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// A write to an existing object.
struct Write {
    /// Path for reading the object.
    object: String,
    method: Method,
    path: String,
    body: Value,
}

async fn single_objects_have_a_strong_etag_that_changes_with_them(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for write in changes(&merchant).await {
        let caller = who_may(&app, &merchant, &write).await;
        let before = etag(&caller, &write).await;
        assert!(before.starts_with('"') && before.ends_with('"'), "{before}");
        assert_eq!(etag(&caller, &write).await, before);
        let written = conditional(&caller, &write, &before).await;
        assert_eq!(written.status, 200, "{} {}", write.path, written.text);
        let after = etag(&caller, &write).await;
        assert_ne!(after, before, "{}", write.path);
        assert_eq!(written.header("etag"), after, "{}", write.path);
    }
}

async fn a_write_on_an_old_state_is_refused(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for write in changes(&merchant)
        .await
        .into_iter()
        .chain(deletions(&merchant).await)
    {
        let caller = who_may(&app, &merchant, &write).await;
        let now = etag(&caller, &write).await;
        // The comparison is strong, so even the right tag does not match as a weak one.
        for stale in ["\"x\"", &format!("W/{now}"), "\"x\", \"y\""] {
            let refused = conditional(&caller, &write, stale).await;
            refused.problem(412, "stale");
        }
        for malformed in ["x", &now.replace('"', ""), ""] {
            let refused = conditional(&caller, &write, malformed).await;
            assert_eq!(refused.wrong_fields(), ["If-Match"], "{malformed}");
        }
        assert_eq!(etag(&caller, &write).await, now, "{}", write.path);
        let several = format!("\"x\", {now}");
        let written = conditional(&caller, &write, &several).await;
        assert!(
            matches!(written.status, 200 | 204),
            "{} {}",
            write.path,
            written.text
        );
    }
}

async fn a_star_matches_whatever_is_there(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    for write in changes(&merchant)
        .await
        .into_iter()
        .chain(deletions(&merchant).await)
    {
        let caller = who_may(&app, &merchant, &write).await;
        let written = conditional(&caller, &write, "*").await;
        assert!(
            matches!(written.status, 200 | 204),
            "{} {}",
            write.path,
            written.text
        );
    }
}

async fn if_match_never_matches_an_absent_object(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    merchant.draft(CHUKU, 1).await;
    for tag in ["*", "\"x\""] {
        let header = ("If-Match", tag);
        let refused = merchant
            .admin
            .call_with(header, Method::PUT, &in_tenant("/pins"), &pin("hold"))
            .await;
        refused.problem(412, "stale");
        let absent = in_app("/resources/com.other");
        let refused = merchant
            .admin
            .call_with(header, Method::PATCH, &absent, &json!({"enabled": false}))
            .await;
        refused.problem(404, "not_found");
    }
}

async fn of_two_writes_on_one_state_one_gets_through(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let merchant = app.merchant().await;
    let release = merchant.published(CHUKU, 1).await;
    let read = merchant.admin.get(&path_of(&release)).await;
    let write = async |words: &str| {
        let body = json!({"update_desc": words});
        let header = ("If-Match", read.header("etag"));
        let answer = merchant
            .admin
            .call_with(header, Method::PATCH, &path_of(&release), &body)
            .await;
        answer.status
    };
    let mut statuses: [u16; 2] = tokio::join!(write("one"), write("other")).into();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

/// Returns an effective change of each kind of object.
async fn changes(merchant: &Merchant) -> Vec<Write> {
    let release = merchant.published(CHUKU, 1).await;
    let draft = merchant.draft(CHUKU, 2).await;
    let unwanted = merchant.draft(CHUKU, 3).await;
    let set = merchant
        .admin
        .put(&in_tenant("/pins"), &pin("hold"))
        .await
        .expect(200);
    let person = json!({"username": "li.na", "password": "a password of theirs", "role": "viewer"});
    let person = merchant
        .admin
        .post(&in_tenant("/users"), &person)
        .await
        .expect(201);
    let verb = |release: &Value, verb: &str, body: Value| Write {
        object: path_of(release),
        method: Method::POST,
        path: format!("{}/{verb}", path_of(release)),
        body,
    };
    let patch = |path: String, body: Value| Write {
        object: path.clone(),
        method: Method::PATCH,
        path,
        body,
    };
    let put = |object: String, path: String, body: Value| Write {
        object,
        method: Method::PUT,
        path,
        body,
    };
    merchant.know(&["A"]).await;
    let push = push_fields(&["A"]);
    let push = merchant
        .admin
        .post(&in_tenant("/pushes"), &push)
        .await
        .expect(201);
    let push = in_tenant(&format!("/pushes/{}", id(&push)));
    let rollout = format!("{}/rollout", path_of(&release));
    let directory = in_tenant("/org-directory");
    vec![
        patch(in_tenant(""), json!({"name": "Hema"})),
        patch(in_app(""), json!({"app_name": "Hema WMS"})),
        patch(in_app(&format!("/resources/{CHUKU}")), json!({"kind": "miniapp"})),
        patch(path_of(&release), json!({"update_desc": "new words"})),
        patch(
            in_tenant(&format!("/users/{}", id(&person))),
            json!({"role": "publisher"}),
        ),
        put(path_of(&release), rollout, json!({"percent": 5})),
        put(
            in_tenant(&format!("/pins/{}", id(&set))),
            in_tenant("/pins"),
            json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "A", "mode": "exact",
                "version_code": 1, "reason": "a test"}),
        ),
        put(directory.clone(), directory, json!({"nodes": [{"path": ["HM"]}]})),
        verb(&draft, "publish", json!({})),
        verb(&unwanted, "discard", json!({})),
        verb(&release, "pause", json!({})),
        verb(&release, "resume", json!({})),
        verb(&release, "recall", json!({"mode": "stop", "reason": "a test"})),
        // A withdrawn push can still be read.
        Write {
            object: push.clone(),
            method: Method::DELETE,
            path: push,
            body: Value::Null,
        },
    ]
}

/// Returns a deletion of each kind of object.
async fn deletions(merchant: &Merchant) -> Vec<Write> {
    let set = merchant
        .admin
        .put(&in_tenant("/pins"), &pin("hold"))
        .await
        .expect(200);
    let mut paths = vec![in_tenant(&format!("/pins/{}", id(&set)))];
    for (noun, body) in [
        ("api-tokens", json!({"name": "x", "role": "viewer"})),
        ("device-keys", json!({"name": "x"})),
        ("app-keys", json!({"name": "x", "role": "device"})),
        (
            "users",
            json!({"username": "li.ming", "password": "a password of theirs", "role": "viewer"}),
        ),
    ] {
        let objects = in_tenant(&format!("/{noun}"));
        let made = merchant.admin.post(&objects, &body).await.expect(201);
        paths.push(format!("{objects}/{}", id(&made)));
    }
    let other = json!({"package_name": "com.other", "app_name": "Another app"});
    merchant.admin.post(&in_tenant("/apps"), &other).await.expect(201);
    paths.push(in_tenant("/apps/com.other"));
    paths
        .into_iter()
        .map(|path| Write {
            object: path.clone(),
            method: Method::DELETE,
            path,
            body: Value::Null,
        })
        .collect()
}

/// Returns the permitted caller: the platform's administrator for tenants, otherwise the tenant's.
async fn who_may(app: &TestApp, merchant: &Merchant, write: &Write) -> Caller {
    if write.object == in_tenant("") {
        app.platform_admin().await
    } else {
        merchant.admin.clone()
    }
}

async fn etag(caller: &Caller, write: &Write) -> String {
    let read = caller.get(&write.object).await;
    assert_eq!(read.status, 200, "{}", read.text);
    read.header("etag").to_owned()
}

async fn conditional(caller: &Caller, write: &Write, if_match: &str) -> Answer {
    let header = ("If-Match", if_match);
    caller
        .call_with(header, write.method.clone(), &write.path, &write.body)
        .await
}

fn pin(mode: &str) -> Value {
    json!({"package_name": PACKAGE, "identifier": CHUKU, "device_id": "A", "mode": mode, "reason": "a test"})
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap()
}

on_both_databases!(
    single_objects_have_a_strong_etag_that_changes_with_them,
    a_write_on_an_old_state_is_refused,
    a_star_matches_whatever_is_there,
    if_match_never_matches_an_absent_object,
    of_two_writes_on_one_state_one_gets_through,
);
