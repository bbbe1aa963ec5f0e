//! People, API tokens, device keys and app keys of a tenant.

use serde_json::{Value, json};

use super::harness::{Caller, TENANT, TestApp, check_fields, every_item, in_tenant};
use slipway_test_support::database::TestDatabase;
use slipway_test_support::on_both_databases;

/// A kind of key: its path, the body that creates one, the member that is shown once, and its prefix.
struct Kind {
    noun: &'static str,
    body: Value,
    secret: &'static str,
    prefix: String,
}

fn kinds() -> [Kind; 3] {
    [
        Kind {
            noun: "api-tokens",
            body: json!({"name": "ci", "role": "publisher"}),
            secret: "token",
            prefix: "slipway_token_".to_owned(),
        },
        Kind {
            noun: "device-keys",
            body: json!({"name": "handhelds"}),
            secret: "device_key",
            prefix: format!("slipway_device_{TENANT}_"),
        },
        Kind {
            noun: "app-keys",
            body: json!({"name": "handheld SDK", "role": "device"}),
            secret: "app_secret",
            prefix: String::new(),
        },
    ]
}

async fn a_key_is_made_read_listed_and_deleted(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for kind in kinds() {
        let keys = in_tenant(&format!("/{}", kind.noun));
        let made = admin.post(&keys, &kind.body).await;
        assert!(!made.header("etag").is_empty());
        let made = made.expect(201);
        assert!(text(&made[kind.secret]).starts_with(&kind.prefix), "{made}");
        assert_eq!(made["name"], kind.body["name"]);
        assert_eq!(made["role"], kind.body["role"]);

        let path = format!("{keys}/{}", text(&made["id"]));
        let read = admin.get(&path).await.expect(200);
        let mut without_secret = made.clone();
        without_secret.as_object_mut().unwrap().remove(kind.secret);
        assert_eq!(read, without_secret);
        assert_eq!(every_item(&admin, &format!("{keys}?limit=1")).await, [read]);

        admin.delete(&path).await.expect(204);
        admin.get(&path).await.problem(404, "not_found");
        admin.delete(&path).await.problem(404, "not_found");
        assert_eq!(admin.get(&keys).await.expect(200)["items"], json!([]));
    }
}

async fn a_secret_is_shown_once(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    for kind in kinds() {
        let keys = in_tenant(&format!("/{}", kind.noun));
        let made = admin.post(&keys, &kind.body).await.expect(201);
        // In a prefixed token only the last piece is secret. The rest identifies it.
        let secret = text(&made[kind.secret]).rsplit('_').next().unwrap();
        assert!(secret.len() >= 32);
        let path = format!("{keys}/{}", text(&made["id"]));
        admin.delete(&path).await.expect(204);
        let made_again = admin.post(&keys, &kind.body).await.expect(201);
        assert_ne!(made_again[kind.secret], made[kind.secret]);
        for path in [keys, in_tenant("/audit?limit=200")] {
            let answer = admin.get(&path).await;
            assert!(!answer.text.contains(secret), "{path} shows a secret");
        }
    }
}

async fn an_app_key_is_a_text_of_digits(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let body = json!({"name": "operators", "role": "operator"});
    let made = admin.post(&in_tenant("/app-keys"), &body).await.expect(201);
    let key = text(&made["app_key"]);
    assert!(key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit()));
}

async fn a_deleted_device_key_checks_no_more(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let keys = in_tenant("/device-keys");
    let made = admin.post(&keys, &json!({"name": "one"})).await.expect(201);
    let device = app.bearer(text(&made["device_key"]));
    let other = app.device(&admin, TENANT).await;
    device.post("/v1/check", &check_fields()).await.expect(200);
    let path = format!("{keys}/{}", text(&made["id"]));
    admin.delete(&path).await.expect(204);
    let refused = device.post("/v1/check", &check_fields()).await;
    refused.problem(401, "unauthenticated");
    other.post("/v1/check", &check_fields()).await.expect(200);
}

async fn wrong_fields_of_a_key_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let create = async |noun: &str, body: Value| {
        let answer = admin.post(&in_tenant(&format!("/{noun}")), &body).await;
        answer.wrong_fields()
    };
    assert_eq!(create("api-tokens", json!({})).await, ["name", "role"]);
    let platform = json!({"name": "x", "role": "platform_admin"});
    assert_eq!(create("api-tokens", platform).await, ["role"]);
    let publisher = json!({"name": "", "role": "publisher"});
    assert_eq!(create("app-keys", publisher).await, ["name", "role"]);
    assert_eq!(create("device-keys", json!({"name": "\u{7}"})).await, ["name"]);
    let more = json!({"name": "x", "role": "device"});
    assert_eq!(create("device-keys", more).await, ["role"]);
}

async fn a_person_is_added_read_changed_and_removed(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let users = in_tenant("/users");
    let made = admin.post(&users, &person("li.na")).await.expect(201);
    assert_eq!(made["role"], "viewer");
    assert_eq!(made["enabled"], true);
    let path = format!("{users}/{}", text(&made["id"]));
    assert_eq!(admin.get(&path).await.expect(200), made);
    let listed = every_item(&admin, &format!("{users}?limit=1")).await;
    let names: Vec<_> = listed.iter().map(|user| text(&user["username"])).collect();
    assert_eq!(names, [&format!("admin-{TENANT}"), "li.na"]);

    let wish = json!({"role": "publisher", "enabled": false});
    let changed = admin.patch(&path, &wish).await.expect(200);
    assert_eq!(changed["role"], "publisher");
    assert_eq!(changed["enabled"], false);
    assert_eq!(changed["username"], "li.na");
    let rename = admin.patch(&path, &json!({"username": "li.ming"})).await;
    assert_eq!(rename.wrong_fields(), ["username"]);

    admin.delete(&path).await.expect(204);
    admin.get(&path).await.problem(404, "not_found");
    admin.post(&users, &person("li.na")).await.expect(201);
}

async fn usernames_are_unique_in_the_installation(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let here = app.tenant_admin(TENANT).await;
    let there = app.tenant_admin(20_000_000).await;
    here.post(&in_tenant("/users"), &person("li.na"))
        .await
        .expect(201);
    let taken = there
        .post("/api/v1/tenants/20000000/users", &person("li.na"))
        .await;
    taken.problem(409, "already_exists");
    let of_the_platform = here.post(&in_tenant("/users"), &person("admin")).await;
    of_the_platform.problem(409, "already_exists");
}

async fn an_administrator_sets_a_new_password(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let made = admin
        .post(&in_tenant("/users"), &person("li.na"))
        .await
        .expect(201);
    let path = in_tenant(&format!("/users/{}", text(&made["id"])));
    let short = admin.patch(&path, &json!({"password": "short"})).await;
    assert_eq!(short.wrong_fields(), ["password"]);
    let session = app.login("li.na", "a password of theirs").await;
    admin
        .patch(&path, &json!({"password": "a new long password"}))
        .await
        .expect(200);
    session.get("/api/v1/me").await.problem(401, "unauthenticated");
    app.login("li.na", "a new long password").await;
}

async fn no_answer_shows_a_password_or_its_hash(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    let users = in_tenant("/users");
    let made = admin.post(&users, &person("li.na")).await;
    let path = format!("{users}/{}", text(&made.body["id"]));
    let patched = admin
        .patch(&path, &json!({"password": "a new long password"}))
        .await;
    let read = admin.get(&path).await;
    let listed = admin.get(&users).await;
    let audited = admin.get(&in_tenant("/audit")).await;
    for answer in [made, patched, read, listed, audited] {
        for secret in ["a password of theirs", "a new long password", "argon2"] {
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
    }
}

async fn wrong_fields_of_a_person_are_all_named(database: TestDatabase) {
    let app = TestApp::start(database).await;
    let admin = app.tenant_admin(TENANT).await;
    assert_eq!(
        refused_fields(&admin, json!({})).await,
        ["username", "password", "role"]
    );
    let body = json!({"username": "li na", "password": "123456789", "role": "platform_admin"});
    assert_eq!(
        refused_fields(&admin, body).await,
        ["username", "password", "role"]
    );
}

async fn refused_fields(admin: &Caller, body: Value) -> Vec<String> {
    admin.post(&in_tenant("/users"), &body).await.wrong_fields()
}

fn person(username: &str) -> Value {
    json!({"username": username, "password": "a password of theirs", "role": "viewer"})
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

on_both_databases!(
    a_key_is_made_read_listed_and_deleted,
    a_secret_is_shown_once,
    an_app_key_is_a_text_of_digits,
    a_deleted_device_key_checks_no_more,
    wrong_fields_of_a_key_are_all_named,
    a_person_is_added_read_changed_and_removed,
    usernames_are_unique_in_the_installation,
    an_administrator_sets_a_new_password,
    no_answer_shows_a_password_or_its_hash,
    wrong_fields_of_a_person_are_all_named,
);
